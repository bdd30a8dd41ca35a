"""The convolutional networks: CNN-1 and CNN-2.

Their accuracies and times are published, their topologies are not: those here are this project's.
By the rate explained in `neon_rnn.models.fcnn`, the times allow 56 to 62 and 72 to 80 million
multiplications for the forward pass of an image. The networks below need 60 and 77 million. CNN-2
is CNN-1 with one more convolution, and batch norm in place of the biases.
"""

from neon_rnn import engines
from neon_rnn.models.inputs import check_sides, normalised


def generate_cnn1_model(input_shape=(3, 128, 128), nn=None):
    """Build CNN-1: three convolutions, each with max pooling, and one hidden layer of 128.

    Parameters
    ----------
    input_shape : tuple of int
        (C, H, W); sides of at least 8 pixels.
    nn : module, optional
        The engine; default: the one in use.

    Returns
    -------
    model : Model
    cost : GeneralizedCost

    Raises
    ------
    UsageError
        A side is too short.
    """
    nn = nn or engines.current()
    check_sides('CNN-1', input_shape, 8)
    convolution = dict(init=nn.Kaiming(), bias=nn.Constant(0), activation=nn.Rectlin())
    layers = normalised(nn) + [
        nn.Conv(fshape=(5, 5, 16), padding=2, **convolution),
        nn.Pooling(fshape=(2, 2), strides=2),
        nn.Conv(fshape=(3, 3, 32), padding=1, **convolution),
        nn.Pooling(fshape=(2, 2), strides=2),
        nn.Conv(fshape=(3, 3, 64), padding=1, **convolution),
        nn.Pooling(fshape=(2, 2), strides=2),
        nn.Affine(
            nout=128, init=nn.Kaiming(local=False), bias=nn.Constant(0), activation=nn.Rectlin()
        ),
        nn.Affine(nout=2, init=nn.GlorotUniform(), bias=nn.Constant(0), activation=nn.Softmax()),
    ]
    return nn.Model(layers=layers), nn.GeneralizedCost(costfunc=nn.CrossEntropyMulti())


def generate_cnn2_model(input_shape=(3, 128, 128), nn=None):
    """Build CNN-2: four convolutions with batch norm and max pooling, one hidden layer of 128.

    Parameters and results as for `generate_cnn1_model`; sides of at least 16 pixels.
    """
    nn = nn or engines.current()
    check_sides('CNN-2', input_shape, 16)
    convolution = dict(init=nn.Kaiming(), batch_norm=True, activation=nn.Rectlin())
    layers = normalised(nn) + [
        nn.Conv(fshape=(5, 5, 16), padding=2, **convolution),
        nn.Pooling(fshape=(2, 2), strides=2),
        nn.Conv(fshape=(3, 3, 32), padding=1, **convolution),
        nn.Pooling(fshape=(2, 2), strides=2),
        nn.Conv(fshape=(3, 3, 64), padding=1, **convolution),
        nn.Pooling(fshape=(2, 2), strides=2),
        nn.Conv(fshape=(3, 3, 128), padding=1, **convolution),
        nn.Pooling(fshape=(2, 2), strides=2),
        nn.Affine(nout=128, init=nn.Kaiming(local=False), batch_norm=True, activation=nn.Rectlin()),
        nn.Affine(nout=2, init=nn.GlorotUniform(), bias=nn.Constant(0), activation=nn.Softmax()),
    ]
    return nn.Model(layers=layers), nn.GeneralizedCost(costfunc=nn.CrossEntropyMulti())
