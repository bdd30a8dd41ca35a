"""Which tensor of a foreign file is which weight of a network here."""

import collections

import numpy as np

from neon_rnn import published
from neon_rnn.models.efficientnet import BLOCKS
from neon_rnn.models.resnet import STAGES_50
from neon_rnn.support.errors import UsageError
from neon_rnn.weights.formats import NEON, PYTORCH

#: The constants of torchvision's ImageNet networks, on pixels of 0..1, red green blue.
MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
#: What neon's ImageNet example subtracts from pixels of 0..255 (its BGRMeanSubtract), blue green red.
NEON_MEAN = (127.0, 119.0, 104.0)
#: EfficientNet-Lite reads (x - 127) / 128.
LITE_MEAN, LITE_DEVIATION = 127.0, 128.0

_DIVISOR = 128.0  # of the networks' DataTransform

#: How a file is laid out: `title` for people; `pairs` lists (their layer, our layer, 'convolution' | 'depthwise' |
#: 'norm'); `input` the matrix and bias of the 1x1 convolution on the pixels; `ignored` how the names of what belongs
#: to the 1000 classes begin; `option` what the builder's `layout` has to be, if anything; `convention` who named them.
Layout = collections.namedtuple('Layout', 'title pairs input ignored option convention')

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
    """What a network's pretrained weights are weights of."""
    row = published.rows().get(model)
    return 'ResNet-50' if row is not None else 'EfficientNet-Lite0'


def layout_of(model, convention):
    """The layout of a file for a network, by who named its tensors.

    Raises
    ------
    UsageError
        There is none: neon never had that network.
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
            pairs += [
                (
                    '{}conv{}'.format(theirs, index + 1),
                    '{}.0.{}'.format(ours, 3 * index),
                    'convolution',
                ),
                ('{}bn{}'.format(theirs, index + 1), '{}.0.{}'.format(ours, 3 * index + 1), 'norm'),
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
    """neon's positions are ours without the two layers before the 7x7 convolution; its last layers are the classes'."""
    pairs = [('0', '2', 'convolution'), ('1', '3', 'norm')]
    for _, block, ours in _resnet50_blocks():
        for pathway, convolutions in ((0, 3), (1, 1 if block == 0 else 0)):
            for index in range(convolutions):
                for offset, kind in ((3 * index, 'convolution'), (3 * index + 1, 'norm')):
                    pairs.append(
                        (
                            '{}.{}.{}'.format(ours - 2, pathway, offset),
                            '{}.{}.{}'.format(ours, pathway, offset),
                            kind,
                        )
                    )
    pixels = _DIVISOR * np.eye(3)[::-1], -np.array(NEON_MEAN)
    last = 4 + 2 * sum(STAGES_50)
    classes = tuple('{}.'.format(position) for position in range(last, last + 4))
    return Layout('neon ResNet-50', pairs, pixels, classes, 'neon', NEON)


def _resnet50_blocks():
    """(stage, block, position of its MergeSum) in the transfer learning networks."""
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
            (
                theirs + '_depthwise_conv',
                prefix + str(first + 1),
                'depthwise',
            ),  # behind its SamePadding
            (theirs + '_bn1', prefix + str(first + 2), 'norm'),
            (theirs + '_project_conv', prefix + str(first + 4), 'convolution'),
            (theirs + '_bn2', prefix + str(first + 5), 'norm'),
        ]
        position = position + 1 if block.shortcut else first + 6
    pairs += [('_conv_head', str(position), 'convolution'), ('_bn1', str(position + 1), 'norm')]
    pixels = np.eye(3) * _DIVISOR / LITE_DEVIATION, np.full(3, -LITE_MEAN / LITE_DEVIATION)
    return Layout('EfficientNet-Lite0', pairs, pixels, ('_fc.',), None, PYTORCH)


def rename(tensors, layout, path):
    """Name a file's tensors as the network does, in neon's shapes.

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
        Tensors that belong to ImageNet's classes.

    Raises
    ------
    UsageError
        A tensor is missing, or there is one too many.
    """
    weights = collections.OrderedDict()
    weights['1.W'], weights['1.weight_bias'] = (
        np.asarray(part, np.float32) for part in (layout.input[0], layout.input[1][:, None])
    )
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
                _first(
                    ['{} is missing'.format(name) for name in missing]
                    + ['{} has no place in it'.format(name) for name in surplus]
                ),
            )
        )
    return weights, left_out


def _parameters(kind, convention):
    """(their name, our name) of the parameters of a layer."""
    if kind == 'norm':
        return _NORM[convention]
    return (('weight' if convention == PYTORCH else 'W', 'W'),)


def _neon_shape(values, kind, convention, name, path):
    """An array in neon's shape: convolutions (C*R*S, K), vectors (K, 1)."""
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


def _first(problems):
    return '; '.join(problems[:3]) + (
        ' and {} more'.format(len(problems) - 3) if len(problems) > 3 else ''
    )
