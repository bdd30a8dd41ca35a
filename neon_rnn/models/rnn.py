"""The recurrent network of the published table, layer for layer; the same with other cells."""

import collections

from neon_rnn import engines
from neon_rnn.engines.parameters import check_depth
from neon_rnn.support.errors import UsageError


class Cell(collections.namedtuple('Cell', 'layer directions gated deep')):
    """A recurrent layer for SpatialRNN.

    Attributes
    ----------
    layer : str
        The name of the class on either engine.
    directions : int
        1 or 2.
    gated : bool
        It takes a `gate_activation`.
    deep : bool
        It takes a `depth`: the layers of a step, or the networks of a stack.
    """


#: Value of ``--rnn`` -> `Cell`. birnn is the published one.
CELLS = collections.OrderedDict(
    [
        ('birnn', Cell('BiRNN', 2, False, False)),
        ('bibnrnn', Cell('BiBNRNN', 2, False, False)),
        ('bilstm', Cell('BiLSTM', 2, True, False)),
        ('bigru', Cell('BiGRU', 2, True, False)),
        ('elman', Cell('Recurrent', 1, False, False)),
        ('lstm', Cell('LSTM', 1, True, False)),
        ('gru', Cell('GRU', 1, True, False)),
        ('jordan', Cell('BiJordan', 2, False, False)),
        ('deep_transition', Cell('BiDeepTransition', 2, False, True)),
        ('deep_output', Cell('BiDeepOutput', 2, False, True)),
        ('stacked', Cell('StackedBiRNN', 2, False, True)),
        ('jordan_forward', Cell('Jordan', 1, False, False)),
        ('deep_transition_forward', Cell('DeepTransition', 1, False, True)),
        ('deep_output_forward', Cell('DeepOutput', 1, False, True)),
        ('stacked_forward', Cell('StackedRNN', 1, False, True)),
    ]
)


def check_cell(rnn, depth=None):
    """Return the `Cell` of a name.

    Raises
    ------
    UsageError
        There is no such cell, or it takes no depth, or not this one.
    """
    if rnn not in CELLS:
        raise UsageError(
            'there is no recurrent cell {!r}; the cells are {}.'.format(rnn, ', '.join(CELLS))
        )
    if depth is not None:
        if not CELLS[rnn].deep:
            raise UsageError(
                'the cells {} have no depth; these have one: {}.'.format(
                    rnn, ', '.join(name for name, cell in CELLS.items() if cell.deep)
                )
            )
        check_depth(rnn, depth)
    return CELLS[rnn]


def generate_rnn_cls_model(input_shape=(3, 128, 128), nn=None, rnn='birnn', rnn_depth=None):
    """Build the published recurrent classifier of two classes.

    Convolutions (3x3, dilation 2) and pooling make feature maps of an eighth of the image's side.
    Two SpatialRNN layers sweep their 2x2 blocks. A 1x1 convolution, averaged over the map, decides.
    The padding of 1 around it is as published.

    Parameters
    ----------
    input_shape : tuple of int
        (C, H, W); H and W divide by 32.
    nn : module, optional
        The engine; default: the one in use.
    rnn : str
        The cells of the SpatialRNN layers, one of `CELLS`. All but the published ``'birnn'`` are
        ablations. Cells of one direction have half as many features.
    rnn_depth : int, optional
        The depth of deep and stacked cells; default: 2.

    Returns
    -------
    model : Model
    cost : GeneralizedCost

    Raises
    ------
    UsageError
        The sides do not divide by 32, or there is no such cell or depth.
    """
    nn = nn or engines.current()
    channels, height, width = input_shape
    if height % 32 or width % 32 or min(height, width) < 32:
        raise UsageError(
            'the RNN network takes images whose sides divide by 32 (it was published for 128x128), '
            'not {}x{}.'.format(height, width)
        )

    convolution = dict(
        init=nn.Kaiming(),
        bias=nn.Constant(0),
        activation=nn.Rectlin(),
        padding=2,
        strides=1,
        dilation=2,
    )
    cell = check_cell(rnn, rnn_depth)
    directions = cell.directions
    recurrent = dict(init=nn.GlorotUniform(), activation=nn.Tanh(), reset_cells=True)
    if cell.gated:
        recurrent['gate_activation'] = nn.Logistic()
    if rnn_depth is not None:
        recurrent['depth'] = rnn_depth

    layers = [
        nn.DataTransform(transform=nn.Normalizer(divisor=128.0)),
        nn.BatchNorm(),
        nn.Conv(fshape=(3, 3, 32), **convolution),
        nn.BatchNorm(),
        nn.Pooling(fshape=(3, 3), padding=1, strides=2),
        nn.Conv(fshape=(3, 3, 64), **convolution),
        nn.BatchNorm(),
        nn.Pooling(fshape=(3, 3), padding=1, strides=2),
        nn.Conv(fshape=(3, 3, 128), **convolution),
        nn.BatchNorm(),
        nn.Pooling(fshape=(3, 3), padding=1, strides=2),
        nn.Conv(fshape=(3, 3, 256), **convolution),
        nn.BatchNorm(),
        nn.SpatialRNN(
            input_shape=(256, height // 8, width // 8),
            block_shape=(256, 2, 2),
            RNN=getattr(nn, cell.layer),
            RNN_params=dict(recurrent, output_size=256),
        ),
        nn.BatchNorm(),
        nn.SpatialRNN(
            input_shape=(256 * directions, height // 16, width // 16),
            block_shape=(256 * directions, 2, 2),
            RNN=getattr(nn, cell.layer),
            RNN_params=dict(recurrent, output_size=512),
        ),
        nn.BatchNorm(),
        nn.Conv(
            fshape=(1, 1, 2),
            init=nn.Kaiming(),
            bias=nn.Constant(0),
            activation=nn.Rectlin(),
            padding=1,
            strides=1,
            dilation=1,
        ),
        nn.Pooling(fshape='all', op='avg'),
        nn.Activation(transform=nn.Softmax()),
    ]
    return nn.Model(layers=layers), nn.GeneralizedCost(costfunc=nn.CrossEntropyMulti())
