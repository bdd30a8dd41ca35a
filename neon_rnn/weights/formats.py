"""Read the files that pretrained weights come in, each as name -> NumPy array."""

import collections
import importlib.util
import os
import warnings
import zipfile

from neon_rnn.support.errors import NeonRnnError, UsageError
from neon_rnn.support.files import check_regular, check_stored
from neon_rnn.weights import neon_prm

#: Who named the tensors.
PYTORCH, NEON = 'PyTorch', 'neon'

#: Where the checkpoints of trainings keep the state dict.
_WRAPPERS = ('state_dict', 'model_state_dict', 'model', 'net', 'network', 'module')
#: What wrappers put before every name: DataParallel, torch.compile, Lightning and others.
_PREFIXES = ('module.', '_orig_mod.', 'model.', 'net.', 'network.', 'backbone.')
#: Tensors may share values; all claim at most so many times the bytes of the file.
_SHARED = 4


def read(path):
    """Read a file of weights in the format of its suffix.

    Parameters
    ----------
    path : str

    Returns
    -------
    tensors : collections.OrderedDict
        Name -> array.
    convention : str
        `PYTORCH` or `NEON`.

    Raises
    ------
    UsageError
        The suffix is unknown, or the package that reads the file is not installed.
    NeonRnnError
        The file cannot be read, or is damaged.
    """
    suffix = path.rsplit('.', 1)[-1].lower()
    try:
        check_regular(path)
        if suffix in ('pth', 'pt', 'bin', 'ckpt'):
            return _arrays(_read_pytorch(path), path), PYTORCH
        if suffix == 'safetensors':
            return _arrays(_read_safetensors(path), path), PYTORCH
        if suffix == 'prm':
            return neon_prm.read(path).weights, NEON
    except OSError as error:
        raise NeonRnnError('{}: cannot be read ({}).'.format(path, error.strerror or error))
    raise UsageError(
        '{}: pretrained weights are read from .pth, .pt, .bin, .ckpt, .safetensors, .prm and .npz '
        'files.'.format(path)
    )


def _arrays(tensors, path):
    """Turn tensors of PyTorch into arrays; floating point numbers become float32.

    The prefixes that wrappers put before every name are removed.
    """
    claimed = sum(values.numel() * values.element_size() for values in tensors.values())
    if claimed > _SHARED * os.path.getsize(path):
        raise NeonRnnError(
            '{}: claims {:,} bytes of values, more than it holds. Get it again.'.format(
                path, claimed
            )
        )
    arrays = collections.OrderedDict()
    for name, values in _without_prefixes(tensors).items():
        try:
            values = values.detach()
            arrays[name] = (values.float() if values.is_floating_point() else values).numpy()
        except (TypeError, RuntimeError) as error:
            raise NeonRnnError(
                '{}: {} is not a plain tensor ({}).'.format(path, name, str(error).split('\n')[0])
            )
    return arrays


def _without_prefixes(tensors):
    """Remove prefixes, one within another, that all names have."""
    for prefix in _PREFIXES * len(_PREFIXES):
        if tensors and all(name.startswith(prefix) for name in tensors):
            tensors = collections.OrderedDict(
                (name[len(prefix) :], values) for name, values in tensors.items()
            )
    return tensors


def _require(package, name, path):
    """Refuse a file where the package that reads it is not installed."""
    if importlib.util.find_spec(package) is None:
        raise UsageError(
            "{}: this Python has no {} to read it with. On a machine that has, 'neon_rnn convert "
            "--pretrained' makes an .npz of it that can be read here.".format(path, name)
        )


def _read_pytorch(path):
    """Read a state dict, alone or inside a training's checkpoint, such as in its ``state_dict``.

    Only tensors and plain values are unpickled.
    """
    _require('torch', 'PyTorch', path)
    import torch

    try:
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                check_stored(path, archive)
        with warnings.catch_warnings():
            # PyTorch warns of unusual pickles; they are read or refused.
            warnings.simplefilter('ignore', UserWarning)
            state = torch.load(path, map_location='cpu', weights_only=True)
    except (OSError, NeonRnnError):
        raise
    except Exception as error:  # damaged pickles raise errors of any type
        # Only the first sentence: after it, PyTorch explains how to read files unsafely.
        reason = str(error).strip().split('\n')[0].split('. ')[0]
        raise NeonRnnError(
            '{}: is not a state dict of PyTorch that can be read safely ({}). Get it again, or '
            'save the state dict of the model alone.'.format(path, reason)
        )
    for _ in _WRAPPERS:  # one within another
        inner = [state.get(name) for name in _WRAPPERS] if isinstance(state, dict) else []
        state = next((each for each in inner if isinstance(each, dict)), state)
    if not isinstance(state, dict) or not all(
        isinstance(values, torch.Tensor) for values in state.values()
    ):
        raise NeonRnnError('{}: holds no state dict (names with tensors).'.format(path))
    return collections.OrderedDict((str(name), values) for name, values in state.items())


def _read_safetensors(path):
    """Read a .safetensors file; its tensors are sorted by name."""
    _require('torch', 'PyTorch', path)
    _require('safetensors', 'safetensors', path)
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        tensors = load_file(path)
    except SafetensorError as error:
        raise NeonRnnError('{}: is not a whole .safetensors file ({}).'.format(path, error))
    return collections.OrderedDict(sorted(tensors.items()))
