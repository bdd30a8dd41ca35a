"""The fully connected networks: FCNN-1, FCNN-2, FCNN-3.

Their accuracies and times are published, their topologies are not: those here are this project's.

The times suggest the sizes. ResNet-18 and ResNet-50 are known networks: the forward pass of an
image takes 592 and 1259 million multiplications, and an epoch took 168 and 395 s. That is 0.28 and
0.31 s for each million. At that rate FCNN-1, FCNN-2 and FCNN-3 have at most 33 to 36, 20 to 23 and
36 to 40 million weights; reading the images takes time too. Nearly all weights are in the first
layer, which reads 49,152 numbers. The networks below have 31, 19 and 35 million weights, in the
published order of times. Their depth grows in the published order of accuracies.

Batch norm in every hidden layer is our choice as well. Without it, with 49,152 inputs and the
published learning rate of 0.01, the cost of FCNN-2 rose from 0.8 to 3.8 in the first epoch on
photographs, before it fell.
"""

from neon_rnn import engines
from neon_rnn.models.inputs import normalised


def _hidden(nn):
    """Return the settings of a hidden layer."""
    return dict(init=nn.Kaiming(local=False), batch_norm=True, activation=nn.Rectlin())


def _output(nn):
    """Return the settings of the output layer."""
    return dict(nout=2, init=nn.GlorotUniform(), bias=nn.Constant(0), activation=nn.Softmax())


def _model(nn, layers):
    return nn.Model(layers=layers), nn.GeneralizedCost(costfunc=nn.CrossEntropyMulti())


def generate_fcnn1_model(input_shape=(3, 128, 128), nn=None):
    """Build FCNN-1: one hidden layer of 640.

    Parameters
    ----------
    input_shape : tuple of int
        (C, H, W); any sides.
    nn : module, optional
        The engine; default: the one in use.

    Returns
    -------
    model : Model
    cost : GeneralizedCost
    """
    nn = nn or engines.current()
    layers = normalised(nn) + [
        nn.Affine(nout=640, **_hidden(nn)),
        nn.Affine(**_output(nn)),
    ]
    return _model(nn, layers)


def generate_fcnn2_model(input_shape=(3, 128, 128), nn=None):
    """Build FCNN-2: hidden layers of 384 and 128.

    Parameters and results as for `generate_fcnn1_model`.
    """
    nn = nn or engines.current()
    layers = normalised(nn) + [
        nn.Affine(nout=384, **_hidden(nn)),
        nn.Affine(nout=128, **_hidden(nn)),
        nn.Affine(**_output(nn)),
    ]
    return _model(nn, layers)


def generate_fcnn3_model(input_shape=(3, 128, 128), nn=None):
    """Build FCNN-3: hidden layers of 704, 256 and 64.

    Parameters and results as for `generate_fcnn1_model`.
    """
    nn = nn or engines.current()
    layers = normalised(nn) + [
        nn.Affine(nout=704, **_hidden(nn)),
        nn.Affine(nout=256, **_hidden(nn)),
        nn.Affine(nout=64, **_hidden(nn)),
        nn.Affine(**_output(nn)),
    ]
    return _model(nn, layers)
