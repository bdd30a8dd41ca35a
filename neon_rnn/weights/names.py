"""The names that weights have in the files of other projects, and their names here."""

import collections

import numpy as np

from neon_rnn import published
from neon_rnn.models.efficientnet import BLOCKS
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


class Layout(
    collections.namedtuple('Layout', 'title pairs input ignored builder_layout convention')
):
    """The contents of a file of weights.

    Attributes
    ----------
    title : str
        Its name for people.
    pairs : list of tuple
        (their layer, our layer, kind); the kind is 'convolution', 'depthwise' or 'norm'.
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


def _torchvision_resnet50():
    pairs = [('conv1', '2', 'convolution'), ('bn1', '3', 'norm')]
    for stage, block, ours in _resnet50_blocks():
        theirs = 'layer{}.{}.'.format(stage + 1, block)
        for index in range(3):
            convolution, norm = ('{}.0.{}'.format(ours, 3 * index + offset) for offset in (0, 1))
            pairs += [
                ('{}conv{}'.format(theirs, index + 1), convolution, 'convolution'),
                ('{}bn{}'.format(theirs, index + 1), norm, 'norm'),
            ]
        if block == 0:
            pairs += [
                (theirs + 'downsample.0', '{}.1.0'.format(ours), 'convolution'),
                (theirs + 'downsample.1', '{}.1.1'.format(ours), 'norm'),
            ]
    deviation = np.array(DEVIATION)
    pixels = np.diag(_DIVISOR / 255.0 / deviation), -np.array(MEAN) / deviation
    return Layout('torchvision ResNet-50', pairs, pixels, ('fc.',), None, PYTORCH)


def _neon_resnet50():
    """Return the layout of neon's ImageNet example.

    Its positions are those here minus 2: two layers before the 7x7 convolution are ours. Its last
    layers belong to ImageNet's classes.
    """
    pairs = [('0', '2', 'convolution'), ('1', '3', 'norm')]
    for _, block, ours in _resnet50_blocks():
        for pathway, convolutions in ((0, 3), (1, 1 if block == 0 else 0)):
            for index in range(convolutions):
                for offset, kind in ((3 * index, 'convolution'), (3 * index + 1, 'norm')):
                    inside = '.{}.{}'.format(pathway, offset)
                    pairs.append((str(ours - 2) + inside, str(ours) + inside, kind))
    pixels = _DIVISOR * np.eye(3)[::-1], -np.array(NEON_MEAN)
    last = 4 + 2 * sum(STAGES_50)
    classes = tuple('{}.'.format(position) for position in range(last, last + 4))
    return Layout('neon ResNet-50', pairs, pixels, classes, 'neon', NEON)


def _resnet50_blocks():
    """Iterate over (stage, block, position of its MergeSum) of the transfer learning networks."""
    position = 6
    for stage, count in enumerate(STAGES_50):
        for block in range(count):
            yield stage, block, position
            position += 2


def _efficientnet_lite0():
    pairs = [('_conv_stem', '3', 'convolution'), ('_bn0', '4', 'norm')]
    position = 6
    for number, block in enumerate(BLOCKS):
        theirs = '_blocks.{}.'.format(number)
        prefix, first = ('{}.0.'.format(position), 0) if block.shortcut else ('', position)
        if block.expansion > 1:
            pairs += [
                (theirs + '_expand_conv', prefix + str(first), 'convolution'),
                (theirs + '_bn0', prefix + str(first + 1), 'norm'),
            ]
            first += 3
        pairs += [
            # The position before it is that of its SamePadding.
            (theirs + '_depthwise_conv', prefix + str(first + 1), 'depthwise'),
            (theirs + '_bn1', prefix + str(first + 2), 'norm'),
            (theirs + '_project_conv', prefix + str(first + 4), 'convolution'),
            (theirs + '_bn2', prefix + str(first + 5), 'norm'),
        ]
        position = position + 1 if block.shortcut else first + 6
    pairs += [('_conv_head', str(position), 'convolution'), ('_bn1', str(position + 1), 'norm')]
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
        A tensor is missing, has another number of axes or is not finite, or has no place in the
        network.
    """
    weights = collections.OrderedDict()
    matrix, bias = layout.input
    weights['1.W'] = np.asarray(matrix, np.float32)
    weights['1.weight_bias'] = np.asarray(bias[:, None], np.float32)
    taken, missing = set(), []
    for theirs, ours, kind in layout.pairs:
        for their_name, our_name in _parameters(kind, layout.convention):
            name = '{}.{}'.format(theirs, their_name)
            if name not in tensors:
                missing.append(name)
                continue
            taken.add(name)
            weights['{}.{}'.format(ours, our_name)] = _neon_shape(
                tensors[name], kind, layout.convention, name, path
            )
    rest = [
        name for name in tensors if name not in taken and not name.endswith('.num_batches_tracked')
    ]
    left_out = [name for name in rest if name.startswith(layout.ignored)]
    surplus = [name for name in rest if not name.startswith(layout.ignored)]
    if missing or surplus:
        raise UsageError(
            '{}: holds no {}: {}. Name a file that holds one (docs/models.md).'.format(
                path,
                layout.title,
                first_of(
                    ['{} is missing'.format(name) for name in missing]
                    + ['{} has no place in it'.format(name) for name in surplus],
                    most=3,
                ),
            )
        )
    return weights, left_out


def _parameters(kind, convention):
    """Return (their name, our name) of each parameter of a layer."""
    if kind == 'norm':
        return _NORM[convention]
    return (('weight' if convention == PYTORCH else 'W', 'W'),)


def _neon_shape(values, kind, convention, name, path):
    """Return an array in neon's shape: convolutions (C*R*S, K), vectors (K, 1)."""
    values = np.asarray(values, dtype=np.float32)
    if not np.all(np.isfinite(values)):
        raise UsageError('{}: {} holds values that are not finite.'.format(path, name))
    expected = {'convolution': 4, 'depthwise': 4, 'norm': 1}[kind] if convention == PYTORCH else 2
    if values.ndim != expected:
        raise UsageError(
            '{}: {} has the shape {}, which no {} has.'.format(path, name, values.shape, kind)
        )
    if convention == NEON:
        return values
    if kind == 'norm':
        return values.reshape(-1, 1)
    return np.ascontiguousarray(values.reshape(len(values), -1).T)
