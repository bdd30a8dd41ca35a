"""The recurrent network of the published table, layer for layer."""
from neon_rnn import engines
from neon_rnn.errors import UsageError


def generate_rnn_cls_model(input_shape=(3, 128, 128), nn=None):
    """The published recurrent classifier of two classes.

    Convolutions (3x3, dilation 2) make feature maps of an eighth of the image's side; two SpatialRNN layers sweep their
    2x2 blocks; a 1x1 convolution, averaged over the map, decides. The padding of 1 around that 1x1 convolution is what
    was published.

    Parameters
    ----------
    input_shape : tuple of int
        (C, H, W); H and W divide by 32.
    nn : module, optional
        The engine; default: the one in use.

    Returns
    -------
    model : Model
    cost : GeneralizedCost

    Raises
    ------
    UsageError
        The sides do not divide by 32.
    """
    nn = nn or engines.current()
    channels, height, width = input_shape
    if height % 32 or width % 32 or min(height, width) < 32:
        raise UsageError('the RNN network takes images whose sides divide by 32 (it was published for 128x128), not '
                         '{}x{}.'.format(height, width))

    convolution = dict(init=nn.Kaiming(), bias=nn.Constant(0), activation=nn.Rectlin(), padding=2, strides=1,
                       dilation=2)
    recurrent = dict(init=nn.GlorotUniform(), activation=nn.Tanh(), reset_cells=True)

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

        nn.SpatialRNN(input_shape=(256, height // 8, width // 8), block_shape=(256, 2, 2), RNN=nn.BiRNN,
                      RNN_params=dict(recurrent, output_size=256)),
        nn.BatchNorm(),
        nn.SpatialRNN(input_shape=(512, height // 16, width // 16), block_shape=(512, 2, 2), RNN=nn.BiRNN,
                      RNN_params=dict(recurrent, output_size=512)),
        nn.BatchNorm(),

        nn.Conv(fshape=(1, 1, 2), init=nn.Kaiming(), bias=nn.Constant(0), activation=nn.Rectlin(), padding=1, strides=1,
                dilation=1),
        nn.Pooling(fshape='all', op='avg'),
        nn.Activation(transform=nn.Softmax()),
    ]
    return nn.Model(layers=layers), nn.GeneralizedCost(costfunc=nn.CrossEntropyMulti())
