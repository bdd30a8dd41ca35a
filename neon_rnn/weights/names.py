"""The names that weights have in the files of other projects, and their names here."""

import collections

import numpy as np

from neon_rnn import published
from neon_rnn.models.efficientnet import BLOCKS, HEAD, STEM
from neon_rnn.models.resnet import STAGES_50
from neon_rnn.support.errors import UsageError
from neon_rnn.support.wording import first_of
from neon_rnn.weights.formats import NEON, PYTORCH

#: torchvision's ImageNet networks read (x - MEAN) / DEVIATION, pixels of 0..1, red green blue.
MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
#: neon's ImageNet example subtracts it from pixels of 0..255, blue green red (BGRMeanSubtract).
NEON_MEAN = (127.0, 119.0, 104.0)
#: EfficientNet-Lite reads (x - 127) / 128, pixels of 0..255.
LITE_MEAN, LITE_DEVIATION = 127.0, 128.0

#: The networks here divide the pixels by it first (DataTransform).
_DIVISOR = 128.0


class Pair(collections.namedtuple('Pair', 'theirs ours shape')):
    """A layer with weights, in a file and here.

    Attributes
    ----------
    theirs, ours : str
        Its names.
    shape : tuple of int
        As PyTorch has it: (K, C, R, S) of a convolution's kernel, (K,) of batch norm's vectors.
    """

    __slots__ = ()

    @property
    def is_norm(self):
        """True for batch norm."""
        return len(self.shape) == 1


class Layout(
    collections.namedtuple('Layout', 'title pairs input ignored builder_layout convention')
):
    """The contents of a file of weights.

    Attributes
    ----------
    title : str
        Its name for people.
    pairs : list of Pair
        The layers with weights.
    input : tuple of numpy.ndarray
        Matrix (3, 3) and bias (3,) of the 1x1 convolution on the pixels.
    ignored : tuple of str
        Beginnings of the names of tensors that belong to ImageNet's 1000 classes.
    builder_layout : str or None
        The `layout` that the network has to be built with; None if its builder has no such option.
    convention : str
        Who named the tensors.
    """


#: Convention -> (their name, our name) of the parameters of batch norm.
_NORM = {
    PYTORCH: (
        ('bias', 'beta'),
        ('weight', 'gamma'),
        ('running_mean', 'gmean'),
        ('running_var', 'gvar'),
    ),
    NEON: (('beta', 'beta'), ('gamma', 'gamma'), ('gmean', 'gmean'), ('gvar', 'gvar')),
}


def family(model):
    """Return the ImageNet network whose weights a network starts from.

    None for a network that is trained from random weights.
    """
    if model == 'efficientnet-lite0':
        return 'EfficientNet-Lite0'
    row = published.rows().get(model)
    return 'ResNet-50' if row is not None and row.kind == 'transfer learning' else None


def layout_of(model, convention):
    """Return the layout of a file of weights for a network.

    Parameters
    ----------
    model : str
        One that `family` knows.
    convention : str
        Who named the tensors.

    Returns
    -------
    Layout

    Raises
    ------
    UsageError
        neon never had that network.
    """
    if family(model) == 'ResNet-50':
        return _torchvision_resnet50() if convention == PYTORCH else _neon_resnet50()
    if convention == NEON:
        raise UsageError('{} takes weights named as in PyTorch, not a .prm of neon.'.format(model))
    return _efficientnet_lite0()


def _with_norm(theirs, norm, ours, shape):
    """Return the pairs of a convolution and of the batch norm behind it."""
    before, _, position = ours.rpartition('.')
    norm_position = str(int(position) + 1)
    our_norm = '{}.{}'.format(before, norm_position) if before else norm_position
    return [Pair(theirs, ours, shape), Pair(norm, our_norm, shape[:1])]


def _torchvision_resnet50():
    pairs = _with_norm('conv1', 'bn1', '2', (64, 3, 7, 7))
    for stage, block, ours, shapes, projection in _resnet50_blocks():
        theirs = 'layer{}.{}.'.format(stage + 1, block)
        for index, shape in enumerate(shapes):
            convolution, norm = (
                '{}{}{}'.format(theirs, kind, index + 1) for kind in ('conv', 'bn')
            )
            pairs += _with_norm(convolution, norm, '{}.0.{}'.format(ours, 3 * index), shape)
        if projection:
            convolution, norm = ('{}downsample.{}'.format(theirs, index) for index in (0, 1))
            pairs += _with_norm(convolution, norm, '{}.1.0'.format(ours), projection)
    deviation = np.array(DEVIATION)
    pixels = np.diag(_DIVISOR / 255.0 / deviation), -np.array(MEAN) / deviation
    return Layout('torchvision ResNet-50', pairs, pixels, ('fc.',), None, PYTORCH)


def _neon_resnet50():
    """Return the layout of neon's ImageNet example.

    Its positions are those here minus 2: two layers before the 7x7 convolution are ours. Its last
    layers belong to ImageNet's classes.
    """
    pairs = _with_norm('0', '1', '2', (64, 3, 7, 7))
    for _, _, ours, shapes, projection in _resnet50_blocks():
        for pathway, convolutions in enumerate((shapes, [projection] if projection else [])):
            for index, shape in enumerate(convolutions):
                inside = '.{}.{{}}'.format(pathway)
                convolution, norm = (
                    str(ours - 2) + inside.format(3 * index + offset) for offset in (0, 1)
                )
                pairs += _with_norm(convolution, norm, str(ours) + inside.format(3 * index), shape)
    pixels = _DIVISOR * np.eye(3)[::-1], -np.array(NEON_MEAN)
    last = 4 + 2 * sum(STAGES_50)
    classes = tuple('{}.'.format(position) for position in range(last, last + 4))
    return Layout('neon ResNet-50', pairs, pixels, classes, 'neon', NEON)


def _resnet50_blocks():
    """Iterate over the bottleneck blocks of the transfer learning networks.

    Yields
    ------
    (stage, block, position of its MergeSum, shapes of its three convolutions, shape of the
    projection or None)
    """
    position, channels = 6, 64
    for stage, count in enumerate(STAGES_50):
        maps = 64 * 2**stage
        for block in range(count):
            shapes = [(maps, channels, 1, 1), (maps, maps, 3, 3), (4 * maps, maps, 1, 1)]
            projection = (4 * maps, channels, 1, 1) if block == 0 else None
            yield stage, block, position, shapes, projection
            position, channels = position + 2, 4 * maps


def _efficientnet_lite0():
    pairs = _with_norm('_conv_stem', '_bn0', '3', (STEM, 3, 3, 3))
    position = 6
    for number, block in enumerate(BLOCKS):
        theirs = '_blocks.{}.'.format(number)
        prefix, first = ('{}.0.'.format(position), 0) if block.shortcut else ('', position)
        inner = block.expansion * block.channels_in
        expand, depthwise, project = (
            theirs + name for name in ('_expand_conv', '_depthwise_conv', '_project_conv')
        )
        norms = [theirs + name for name in ('_bn0', '_bn1', '_bn2')]
        if block.expansion > 1:
            shape = (inner, block.channels_in, 1, 1)
            pairs += _with_norm(expand, norms[0], prefix + str(first), shape)
            first += 3
        # The position before it is that of its SamePadding.
        shape = (inner, 1, block.size, block.size)
        pairs += _with_norm(depthwise, norms[1], prefix + str(first + 1), shape)
        shape = (block.channels, inner, 1, 1)
        pairs += _with_norm(project, norms[2], prefix + str(first + 4), shape)
        position = position + 1 if block.shortcut else first + 6
    pairs += _with_norm('_conv_head', '_bn1', str(position), (HEAD, BLOCKS[-1].channels, 1, 1))
    pixels = np.eye(3) * _DIVISOR / LITE_DEVIATION, np.full(3, -LITE_MEAN / LITE_DEVIATION)
    return Layout('EfficientNet-Lite0', pairs, pixels, ('_fc.',), None, PYTORCH)


def rename(tensors, layout, path):
    """Rename a file's tensors as the network does, and give them neon's shapes.

    Parameters
    ----------
    tensors : dict of numpy.ndarray
    layout : Layout
    path : str
        The file, named in errors.

    Returns
    -------
    weights : collections.OrderedDict
    left_out : list of str
        The tensors that belong to ImageNet's classes.

    Raises
    ------
    UsageError
        A tensor is missing, has another shape or is not finite, or has no place in the network.
    """
    weights = collections.OrderedDict()
    matrix, bias = layout.input
    weights['1.W'] = np.asarray(matrix, np.float32)
    weights['1.weight_bias'] = np.asarray(bias[:, None], np.float32)
    taken, missing, misshapen = set(), [], []
    for pair in layout.pairs:
        theirs, ours, shape = pair
        expected = shape if layout.convention == PYTORCH else _neon_shape(shape)
        for their_name, our_name in _parameters(pair.is_norm, layout.convention):
            name = '{}.{}'.format(theirs, their_name)
            if name not in tensors:
                missing.append('{} is missing'.format(name))
                continue
            taken.add(name)
            found = tuple(np.shape(tensors[name]))
            if found != expected:
                misshapen.append('{} has the shape {}, not {}'.format(name, found, expected))
                continue
            values = np.asarray(tensors[name], dtype=np.float32)
            if not np.all(np.isfinite(values)):
                raise UsageError('{}: {} holds values that are not finite.'.format(path, name))
            weights['{}.{}'.format(ours, our_name)] = np.ascontiguousarray(
                values if layout.convention == NEON else values.reshape(len(values), -1).T
            ).reshape(_neon_shape(shape))
    rest = [
        name for name in tensors if name not in taken and not name.endswith('.num_batches_tracked')
    ]
    left_out = [name for name in rest if name.startswith(layout.ignored)]
    surplus = [
        '{} has no place in it'.format(name) for name in rest if not name.startswith(layout.ignored)
    ]
    if missing or surplus or misshapen:
        raise UsageError(
            '{}: holds no {}: {}. Name a file that holds one (docs/models.md).'.format(
                path,
                layout.title,
                first_of(missing + surplus + misshapen, most=3),
            )
        )
    return weights, left_out


def _parameters(is_norm, convention):
    """Return (their name, our name) of each parameter of a layer."""
    if is_norm:
        return _NORM[convention]
    return (('weight' if convention == PYTORCH else 'W', 'W'),)


def _neon_shape(shape):
    """Return neon's form of a shape of PyTorch: convolutions (C*R*S, K), vectors (K, 1)."""
    return (int(np.prod(shape[1:])), shape[0]) if len(shape) > 1 else (shape[0], 1)
