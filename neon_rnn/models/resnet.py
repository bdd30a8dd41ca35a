"""The residual networks: ResNet-18 and ResNet-50 (He et al., arXiv 1512.03385, table 1).

Published are the names, accuracies, times and numbers of epochs. The topologies are the paper's, written as neon writes
residual networks: a block is a MergeSum of two pathways and the activation behind it. Where the map shrinks, the
bottleneck's first 1x1 convolution strides (the paper's way, and neon's) and a 1x1 convolution stands on the shortcut,
which is a SkipNode everywhere else. Our choices: the first two layers, which are those of the published recurrent
network, and the output layer with a bias.
"""

from neon_rnn import engines
from neon_rnn.models.inputs import check_sides, normalised

#: Residual blocks on maps of 64, 128, 256 and 512 channels (four times as many at the end of a bottleneck).
STAGES_18 = (2, 2, 2, 2)
STAGES_50 = (3, 4, 6, 3)


def _convolution(nn, size, maps, strides=1, rectified=True, eps=1e-3):
    """Convolution that keeps the side (apart from the stride), batch norm and, unless it ends a pathway, Rectlin."""
    layers = [
        nn.Conv(fshape=(size, size, maps), init=nn.Kaiming(), strides=strides, padding=size // 2),
        nn.BatchNorm(eps=eps),
    ]
    return layers + ([nn.Activation(transform=nn.Rectlin())] if rectified else [])


def _block(nn, maps, strides, project, bottleneck, stride_in_first, eps):
    """One residual block: the sum of its pathways, then Rectlin."""
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
    """The layers of a residual network from its 7x7 convolution to the average over the map.

    Parameters
    ----------
    nn : module
        The engine.
    stages : sequence of int
        Blocks in each of the four stages.
    bottleneck : bool
        Blocks of three convolutions rather than two.
    stride_in_first : bool
        Whether a striding bottleneck strides in its first convolution (the paper) or in its 3x3 one (torchvision).
    pool_padding : int
        Of the max pooling behind the 7x7 convolution.
    eps : float
        Of every batch norm.

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
            layers += _block(nn, 64 * 2**stage, strides, project, bottleneck, stride_in_first, eps)
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
    """ResNet-18: 8 blocks of two 3x3 convolutions.

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
    """ResNet-50: 16 bottleneck blocks; parameters and results as for `generate_resnet18_model`."""
    return _classifier('ResNet-50', input_shape, nn, STAGES_50, bottleneck=True)
