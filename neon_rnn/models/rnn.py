"""The recurrent network of the published table, layer for layer; the same with other cells."""

import collections

from neon_rnn import engines
from neon_rnn.support.errors import UsageError

#: Value of ``--rnn`` -> (layer of the engine, directions, has gates). birnn is the published one.
CELLS = collections.OrderedDict(
    [
        ('birnn', ('BiRNN', 2, False)),
        ('bibnrnn', ('BiBNRNN', 2, False)),
        ('bilstm', ('BiLSTM', 2, True)),
        ('bigru', ('BiGRU', 2, True)),
        ('elman', ('Recurrent', 1, False)),
        ('lstm', ('LSTM', 1, True)),
        ('gru', ('GRU', 1, True)),
        ('jordan', ('BiJordan', 2, False)),
        ('deep_transition', ('BiDeepTransition', 2, False)),
        ('deep_output', ('BiDeepOutput', 2, False)),
        ('stacked', ('StackedBiRNN', 2, False)),
    ]
)


def _cell(nn, rnn):
    """Return the class of a cell, its directions and its parameters.

    Raises
    ------
    UsageError
        There is no such cell, or the engine does not have it.
    """
    if rnn not in CELLS:
        raise UsageError(
            'there is no recurrent cell {!r}; the cells are {}.'.format(rnn, ', '.join(CELLS))
        )
    name, directions, gated = CELLS[rnn]
    if not hasattr(nn, name):
        raise UsageError(
            'the neon engine has no {} cells; it has {}. The torch engine has all.'.format(
                rnn, ', '.join(cell for cell in CELLS if hasattr(nn, CELLS[cell][0]))
            )
        )
    params = dict(init=nn.GlorotUniform(), activation=nn.Tanh(), reset_cells=True)
    if gated:
        params['gate_activation'] = nn.Logistic()
    return getattr(nn, name), directions, params


def generate_rnn_cls_model(input_shape=(3, 128, 128), nn=None, rnn='birnn'):
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

    Returns
    -------
    model : Model
    cost : GeneralizedCost

    Raises
    ------
    UsageError
        The sides do not divide by 32, or the engine does not have the cell.
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
    cell, directions, recurrent = _cell(nn, rnn)

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
            RNN=cell,
            RNN_params=dict(recurrent, output_size=256),
        ),
        nn.BatchNorm(),
        nn.SpatialRNN(
            input_shape=(256 * directions, height // 16, width // 16),
            block_shape=(256 * directions, 2, 2),
            RNN=cell,
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
