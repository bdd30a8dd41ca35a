"""The residual networks: ResNet-18 and ResNet-50 (He et al., arXiv 1512.03385, table 1).

Their names, accuracies, times and numbers of epochs are published. The topologies are those of the
paper, written as neon writes residual networks: a block is a MergeSum of two pathways, then an
activation. Where the map becomes smaller, the first 1x1 convolution of a bottleneck has a stride of
2 (as in the paper and in neon), and the shortcut is a 1x1 convolution. Everywhere else the shortcut
is a SkipNode. Our choices: the first two layers, which are those of the published recurrent
network, and the bias of the output layer.
"""

from neon_rnn import engines
from neon_rnn.models.inputs import check_sides, normalised

#: Residual blocks on maps of 64, 128, 256 and 512 channels (four times as many at the end of a
#: bottleneck).
STAGES_18 = (2, 2, 2, 2)
STAGES_50 = (3, 4, 6, 3)


def _convolution(nn, size, maps, strides=1, rectified=True, eps=1e-3):
    """Return convolution, batch norm and, unless they end a pathway, Rectlin.

    The padding keeps the side of the map, apart from the stride.
    """
    layers = [
        nn.Conv(fshape=(size, size, maps), init=nn.Kaiming(), strides=strides, padding=size // 2),
        nn.BatchNorm(eps=eps),
    ]
    return layers + ([nn.Activation(transform=nn.Rectlin())] if rectified else [])


def residual_block(nn, maps, strides, project, bottleneck, stride_in_first=True, eps=1e-3):
    """Return one residual block: the sum of two pathways, then Rectlin.

    Parameters
    ----------
    nn : module
        The engine.
    maps : int
        Feature maps of the block's 3x3 convolutions. A bottleneck returns four times as many.
    strides : int
    project : bool
        The shortcut is a 1x1 convolution, not a SkipNode.
    bottleneck, stride_in_first, eps
        As for `residual_layers`.

    Returns
    -------
    list of layers
    """
    if bottleneck:
        first, second = (strides, 1) if stride_in_first else (1, strides)
        pathway = (
            _convolution(nn, 1, maps, first, eps=eps)
            + _convolution(nn, 3, maps, second, eps=eps)
            + _convolution(nn, 1, 4 * maps, rectified=False, eps=eps)
        )
    else:
        pathway = _convolution(nn, 3, maps, strides, eps=eps) + _convolution(
            nn, 3, maps, rectified=False, eps=eps
        )
    width = 4 * maps if bottleneck else maps
    shortcut = (
        _convolution(nn, 1, width, strides, rectified=False, eps=eps)
        if project
        else [nn.SkipNode()]
    )
    return [nn.MergeSum([pathway, shortcut]), nn.Activation(transform=nn.Rectlin())]


def residual_layers(nn, stages, bottleneck, stride_in_first=True, pool_padding=1, eps=1e-3):
    """Return the layers of a residual network, from its 7x7 convolution to the average pooling.

    Parameters
    ----------
    nn : module
        The engine.
    stages : sequence of int
        Blocks in each of the four stages.
    bottleneck : bool
        Blocks have three convolutions (1x1, 3x3, 1x1), not two.
    stride_in_first : bool
        The stride of a bottleneck is that of its first convolution (the paper), not of its 3x3
        convolution (torchvision).
    pool_padding : int
        Padding of the max pooling behind the 7x7 convolution.
    eps : float
        The number that every batch norm adds to the variance.

    Returns
    -------
    list of layers
        A map of (C, H, W) becomes (512 or 2048, 1, 1).
    """
    layers = _convolution(nn, 7, 64, strides=2, eps=eps)
    layers.append(nn.Pooling(fshape=(3, 3), padding=pool_padding, strides=2))
    for stage, count in enumerate(stages):
        for block in range(count):
            strides = 2 if block == 0 and stage > 0 else 1
            project = block == 0 and (stage > 0 or bottleneck)
            layers += residual_block(
                nn, 64 * 2**stage, strides, project, bottleneck, stride_in_first, eps
            )
    return layers + [nn.Pooling(fshape='all', op='avg')]


def _classifier(row, input_shape, nn, stages, bottleneck):
    nn = nn or engines.current()
    check_sides(row, input_shape, 32)
    layers = (
        normalised(nn)
        + residual_layers(nn, stages, bottleneck)
        + [
            nn.Affine(
                nout=2, init=nn.GlorotUniform(), bias=nn.Constant(0), activation=nn.Softmax()
            ),
        ]
    )
    return nn.Model(layers=layers), nn.GeneralizedCost(costfunc=nn.CrossEntropyMulti())


def generate_resnet18_model(input_shape=(3, 128, 128), nn=None):
    """Build ResNet-18: 8 blocks of two 3x3 convolutions.

    Parameters
    ----------
    input_shape : tuple of int
        (C, H, W); sides of at least 32 pixels.
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
    return _classifier('ResNet-18', input_shape, nn, STAGES_18, bottleneck=False)


def generate_resnet50_model(input_shape=(3, 128, 128), nn=None):
    """Build ResNet-50: 16 bottleneck blocks.

    Parameters and results as for `generate_resnet18_model`.
    """
    return _classifier('ResNet-50', input_shape, nn, STAGES_50, bottleneck=True)
