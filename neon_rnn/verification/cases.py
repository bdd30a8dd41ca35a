"""The cases in which an engine is held to results recorded from Intel neon: small networks and what they may deviate by.

Each layer stands between a convolution and a classifier; then comes the published network. The pixels are made up.
"""

import collections
import functools

import numpy as np

from neon_rnn.models.rnn import generate_rnn_cls_model

#: The kinds of results that are compared, see `neon_rnn.verification.observe`.
KINDS = (
    'initial',
    'cost',
    'later cost',
    'gradient',
    'step 1',
    'last step',
    'last offset',
    'probability',
)
#: Parameters that start at zero and stay small: their deviations after the last minibatch are a kind of their own.
OFFSETS = ('.beta', '.weight_bias')


def _tolerances(*limits):
    return collections.OrderedDict(zip(KINDS, limits))


#: Largest deviation from neon's cpu backend that counts as the same arithmetic, in the order of `KINDS`. All are relative:
#: a cost's to the cost, an array's largest to the array's largest value; probabilities' are absolute. In float64 only the
#: arithmetic counts (weights are read, probabilities predicted in float32).
EXACT = _tolerances(1e-7, 1e-9, 1e-9, 1e-7, 1e-7, 1e-7, 1e-7, 1e-6)
ROUNDED = _tolerances(1e-7, 1e-5, 1e-5, 2e-5, 2e-5, 2e-5, 2e-5, 1e-4)
#: In float32 the network amplifies rounding, at the kinks of its rectifiers and the ties of its maxima, from one minibatch
#: to the next; float64 holds the arithmetic. Measured with torch, in the order of `KINDS`, with AVX2 and AVX-512 kernels: 0,
#: 4e-7, 3e-4, 1e-5, 1e-5, 9e-4, 4e-2, 2e-3; with SSE4.1 ones, which take a rectifier across its kink in the first minibatch:
#: 0, 2e-6, 4e-4, 2e-2, 2e-2, 3e-3, 7e-2, 4e-3.
AMPLIFIED = _tolerances(1e-7, 1e-5, 5e-3, 5e-2, 5e-2, 1e-2, 2e-1, 2e-2)
#: neon's fast backends also choose otherwise among equal maxima, so that gradients depart at once. Measured with mkl, with
#: AVX2 and SSE2 kernels, on one core and two: 0, 1e-6, 2e-3, 3e-2, 2e-2, 3e-3, 1e-1, 3e-3.
OTHER_MAXIMA = _tolerances(1e-7, 1e-5, 1e-2, 1e-1, 1e-1, 2e-2, 5e-1, 2e-2)
#: Not compared on those backends: the two biases in front of the softmax after the last minibatch. They are a thousandth,
#: the remainder of gradients that cancel, and mkl's differ from cpu's by 1.4 times their size.
UNDECIDED = ('last step/21.weight_bias',)

#: `build` takes the engine and returns (model, cost); `shape` is (C, H, W); `tolerances` maps each of `KINDS` to a limit;
#: `left_out` are the results that are not compared.
Case = collections.namedtuple(
    'Case', 'name build shape batch_size minibatches precision tolerances left_out'
)


def cases():
    """Every case, the published network last.

    Returns
    -------
    list of Case
    """
    small = [
        Case(name, functools.partial(_between, layers), (3, 8, 8), 8, 3, 'float32', ROUNDED, ())
        for name, layers in _LAYERS.items()
    ]
    return small + [
        Case('network rnn, float64', _network, (3, 64, 64), 16, 12, 'float64', EXACT, ()),
        Case('network rnn, float32', _network, (3, 64, 64), 16, 12, 'float32', AMPLIFIED, ()),
    ]


def is_network(case):
    """Whether a case is the whole published network, not one layer."""
    return case.build is _network


def on_fast_neon(case):
    """A case as it is judged on neon's mkl and gpu backends."""
    return case._replace(tolerances=OTHER_MAXIMA, left_out=UNDECIDED) if is_network(case) else case


def _network(nn):
    return generate_rnn_cls_model((3, 64, 64), nn)


def _between(layers, nn):
    """The layers under test between a convolution, whose gradients show the error that they hand back, and a classifier."""
    model = nn.Model(
        layers=[
            nn.DataTransform(transform=nn.Normalizer(divisor=128.0)),
            nn.Conv(
                fshape=(3, 3, 6),
                init=nn.Kaiming(),
                bias=nn.Constant(0),
                activation=nn.Tanh(),
                padding=1,
            ),
        ]
        + layers(nn)
        + [nn.Affine(nout=2, init=nn.GlorotUniform(), bias=nn.Constant(0), activation=nn.Softmax())]
    )
    return model, nn.GeneralizedCost(costfunc=nn.CrossEntropyMulti())


def _convolution(nn):
    return [
        nn.Conv(
            fshape=(3, 3, 8),
            init=nn.Kaiming(),
            bias=nn.Constant(0),
            activation=nn.Rectlin(),
            padding=2,
            strides=1,
            dilation=2,
        )
    ]


def _strided_convolution(nn):
    return [
        nn.Conv(
            fshape=(3, 2, 5),
            init=nn.Gaussian(scale=0.1),
            bias=nn.Constant(0.1),
            activation=nn.Logistic(),
            padding=1,
            strides=2,
        )
    ]


def _batch_norm(nn):
    return [nn.BatchNorm(), nn.Activation(transform=nn.Tanh())]


def _max_pooling(nn):
    return [nn.Pooling(fshape=(3, 3), padding=1, strides=2)]


def _average_pooling(nn):
    return [nn.Pooling(fshape=2, strides=2, op='avg'), nn.Pooling(fshape='all', op='avg')]


def _affine(nn):
    return [nn.Affine(nout=7, init=nn.GlorotUniform(), batch_norm=True, activation=nn.Rectlin())]


def _residual(nn):
    side = [
        nn.Conv(
            fshape=(3, 3, 6), init=nn.Kaiming(), padding=1, batch_norm=True, activation=nn.Rectlin()
        ),
        nn.Conv(fshape=(3, 3, 6), init=nn.Kaiming(), padding=1),
    ]
    return [nn.MergeSum([side, [nn.SkipNode()]]), nn.Activation(transform=nn.Rectlin())]


def _spatial(cell, nn):
    params = dict(output_size=4, init=nn.GlorotUniform(), activation=nn.Tanh(), reset_cells=True)
    if 'LSTM' in cell or 'GRU' in cell:
        params['gate_activation'] = nn.Logistic()
    return [
        nn.SpatialRNN(
            input_shape=(6, 8, 8), block_shape=(6, 2, 4), RNN=getattr(nn, cell), RNN_params=params
        )
    ]


_LAYERS = collections.OrderedDict(
    [
        ('Conv, dilation 2', _convolution),
        ('Conv, stride 2', _strided_convolution),
        ('BatchNorm', _batch_norm),
        ('Pooling, max', _max_pooling),
        ('Pooling, avg', _average_pooling),
        ('Affine, batch norm', _affine),
        ('MergeSum, SkipNode', _residual),
    ]
)
for _cell in ('BiRNN', 'BiLSTM', 'BiBNRNN', 'Recurrent', 'LSTM', 'GRU'):
    _LAYERS['SpatialRNN, ' + _cell] = functools.partial(_spatial, _cell)


def pixels(case):
    """The pictures of a case: mosaics of 8 x 8 random tiles, brighter above the middle in class 1, so that they can be learnt.

    Returns
    -------
    inputs : numpy.ndarray
        uint8 (minibatches * batch_size, C*H*W).
    labels : numpy.ndarray
        int64 (minibatches * batch_size,).
    """
    rng = np.random.RandomState(7)
    count = case.minibatches * case.batch_size
    labels = rng.randint(0, 2, count)
    channels, height, width = case.shape
    inputs = rng.randint(0, 224, (count, channels, 8, 8))
    inputs[:, :, :4] += 31 * labels[:, None, None, None]
    inputs = inputs.repeat(height // 8, axis=2).repeat(width // 8, axis=3)
    return inputs.astype(np.uint8).reshape(count, -1), labels
