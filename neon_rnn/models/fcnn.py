"""The fully connected networks: FCNN-1, FCNN-2, FCNN-3.

Published of each are the accuracy and the time; the topologies are not, and those here are this project's. The times
suggest the sizes: ResNet-18 and ResNet-50 are known networks, of 592 and 1259 million multiplications an image forward,
and took 168 and 395 s an epoch: 0.28 and 0.31 s a million. At that rate FCNN-1, FCNN-2 and FCNN-3 come to 33 to 36, 20
to 23 and 36 to 40 million weights at the most (reading the images takes time too), nearly all of them in the first
layer, which reads 49,152 numbers. The networks below have 31, 19 and 35 million, in the published order of times, and
grow in depth in the published order of accuracies.

Batch norm in every hidden layer is our choice as well: without it, with 49,152 inputs and the published learning rate of
0.01, the first epoch on photographs took FCNN-2's cost from 0.8 up to 3.8 before it came down.
"""

from neon_rnn import engines
from neon_rnn.models.inputs import normalised


def _hidden(nn):
    """The settings of a hidden layer."""
    return dict(init=nn.Kaiming(local=False), batch_norm=True, activation=nn.Rectlin())


def _output(nn):
    """The settings of the output layer."""
    return dict(nout=2, init=nn.GlorotUniform(), bias=nn.Constant(0), activation=nn.Softmax())


def _model(nn, layers):
    return nn.Model(layers=layers), nn.GeneralizedCost(costfunc=nn.CrossEntropyMulti())


def generate_fcnn1_model(input_shape=(3, 128, 128), nn=None):
    """FCNN-1: one hidden layer of 640.

    Parameters
    ----------
    input_shape : tuple of int
        (C, H, W), any.
    nn : module, optional
        The engine; default: the one in use.

    Returns
    -------
    model : Model
    cost : GeneralizedCost
    """
    nn = nn or engines.current()
    return _model(
        nn,
        normalised(nn)
        + [
            nn.Affine(nout=640, **_hidden(nn)),
            nn.Affine(**_output(nn)),
        ],
    )


def generate_fcnn2_model(input_shape=(3, 128, 128), nn=None):
    """FCNN-2: hidden layers of 384 and 128; parameters and results as for `generate_fcnn1_model`."""
    nn = nn or engines.current()
    return _model(
        nn,
        normalised(nn)
        + [
            nn.Affine(nout=384, **_hidden(nn)),
            nn.Affine(nout=128, **_hidden(nn)),
            nn.Affine(**_output(nn)),
        ],
    )


def generate_fcnn3_model(input_shape=(3, 128, 128), nn=None):
    """FCNN-3: hidden layers of 704, 256 and 64; parameters and results as for `generate_fcnn1_model`."""
    nn = nn or engines.current()
    return _model(
        nn,
        normalised(nn)
        + [
            nn.Affine(nout=704, **_hidden(nn)),
            nn.Affine(nout=256, **_hidden(nn)),
            nn.Affine(nout=64, **_hidden(nn)),
            nn.Affine(**_output(nn)),
        ],
    )
