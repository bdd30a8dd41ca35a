"""The cases in which an engine is compared with results recorded from Intel neon.

In most cases one layer stands between a convolution and a classifier. The last ones are the
published network. The pixels are synthetic.
"""

import collections
import functools

import numpy as np

from neon_rnn.models.rnn import generate_rnn_cls_model
from neon_rnn.verification.tolerances import (
    AMPLIFIED,
    EXACT,
    EXACT_CELLS,
    OTHER_MAXIMA,
    ROUNDED,
    UNDECIDED,
)

#: neon's gpu backend takes multiples of so many images.
NEON_GPU_IMAGES = 32


class Case(
    collections.namedtuple(
        'Case', 'name build shape batch_size minibatches precision tolerances left_out'
    )
):
    """A small training.

    Attributes
    ----------
    name : str
    build : callable
        Takes the engine, returns (model, cost).
    shape : tuple of int
        (C, H, W) of the images.
    batch_size, minibatches : int
    precision : str
        ``'float32'`` or ``'float64'``.
    tolerances : dict
        Kind of result -> limit.
    left_out : tuple of str
        Results that are not compared.
    """


def cases():
    """Return every case, the published network last.

    Returns
    -------
    list of Case
    """
    one_layer = [
        Case(name, functools.partial(_between, layers), (3, 8, 8), 8, 3, 'float32', ROUNDED, ())
        for name, layers in _LAYERS.items()
    ]
    one_layer += [
        Case(name, functools.partial(_between, layers), (3, 8, 8), 8, 3, 'float64', EXACT_CELLS, ())
        for name, layers in _EXACT_LAYERS.items()
    ]
    return one_layer + [
        Case('network rnn, float64', _network, (3, 64, 64), 16, 12, 'float64', EXACT, ()),
        Case('network rnn, float32', _network, (3, 64, 64), 16, 12, 'float32', AMPLIFIED, ()),
    ]


def is_network(case):
    """Tell whether a case is the whole published network, not one layer."""
    return case.build is _network


def on_fast_neon(case):
    """Return a case as it is judged on neon's mkl and gpu backends."""
    return case._replace(tolerances=OTHER_MAXIMA, left_out=UNDECIDED) if is_network(case) else case


def copies_on(engine, backend, case):
    """Return how often each minibatch of a case is repeated on an engine's backend.

    neon's convolutions in CUDA C take batch sizes that divide by 32. A minibatch with every image
    repeated has the cost, the gradients and the statistics of the minibatch itself.
    """
    if engine != 'neon' or backend != 'gpu':
        return 1
    return -(-NEON_GPU_IMAGES // case.batch_size)


def _network(nn):
    return generate_rnn_cls_model((3, 64, 64), nn)


def _between(layers, nn):
    """Build the layers under test between a convolution and a classifier.

    The gradients of the convolution show the error that the layers propagate back.
    """
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


def _spatial(cell, nn, **depth):
    params = dict(output_size=4, init=nn.GlorotUniform(), activation=nn.Tanh(), reset_cells=True)
    params.update(depth)
    if 'LSTM' in cell or 'GRU' in cell:
        params['gate_activation'] = nn.Logistic()
    return [
        nn.SpatialRNN(
            input_shape=(6, 8, 8), block_shape=(6, 2, 4), RNN=getattr(nn, cell), RNN_params=params
        )
    ]


_NEONS_CELLS = ('BiRNN', 'BiLSTM', 'BiBNRNN', 'Recurrent', 'LSTM', 'GRU')
_OWN_CELLS = (
    'BiGRU',
    'Jordan',
    'BiJordan',
    'DeepTransition',
    'BiDeepTransition',
    'DeepOutput',
    'BiDeepOutput',
    'StackedRNN',
    'StackedBiRNN',
)
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
#: neon's own cells, then those that this project adds to it.
for _cell in _NEONS_CELLS + _OWN_CELLS:
    _LAYERS['SpatialRNN, ' + _cell] = functools.partial(_spatial, _cell)

#: In float64: every cell, the deep ones with a third layer.
_EXACT_LAYERS = collections.OrderedDict()  # type: collections.OrderedDict
for _cell in _NEONS_CELLS + _OWN_CELLS:
    _depth = {'depth': 3} if 'Deep' in _cell or 'Stacked' in _cell else {}
    _name = 'SpatialRNN, {}{}, float64'.format(_cell, ', depth 3' if _depth else '')
    _EXACT_LAYERS[_name] = functools.partial(_spatial, _cell, **_depth)


def pixels(case, tiles=8, seed=7):
    """Make the images of a case: mosaics of random tiles.

    Those of class 1 are brighter above the middle, so that the classes can be learnt.

    Parameters
    ----------
    case : Case
    tiles : int
        In each direction; the sides of the images are multiples of it.
    seed : int

    Returns
    -------
    inputs : numpy.ndarray
        uint8 (minibatches * batch_size, C*H*W).
    labels : numpy.ndarray
        int64 (minibatches * batch_size,).
    """
    rng = np.random.RandomState(seed)
    count = case.minibatches * case.batch_size
    labels = rng.randint(0, 2, count)
    channels, height, width = case.shape
    inputs = rng.randint(0, 224, (count, channels, tiles, tiles))
    inputs[:, :, : tiles // 2] += 31 * labels[:, None, None, None]
    inputs = inputs.repeat(height // tiles, axis=2).repeat(width // tiles, axis=3)
    return inputs.astype(np.uint8).reshape(count, -1), labels
