"""The files that pretrained weights come in, each read as name -> NumPy array."""

import collections
import json
import pickle
import warnings
import zipfile

import numpy as np

from neon_rnn import engines
from neon_rnn.support.errors import NeonRnnError, UsageError
from neon_rnn.weights import neon_prm

#: Who named the tensors.
PYTORCH, NEON = 'PyTorch', 'neon'

#: safetensors' names of the element types that weights come in; bfloat16 is widened by hand.
_TYPES = {
    'F64': '<f8',
    'F32': '<f4',
    'F16': '<f2',
    'BF16': '<u2',
    'I64': '<i8',
    'I32': '<i4',
    'U8': '|u1',
    'BOOL': '|b1',
}
#: Longer headers are not believed (the format's own limit).
_LONGEST_HEADER = 100 << 20


def read(path):
    """Read a file of weights by its suffix.

    Returns
    -------
    tensors : collections.OrderedDict
        Name -> array.
    convention : str
        `PYTORCH` or `NEON`.

    Raises
    ------
    UsageError
        The suffix is unknown, or PyTorch is needed and missing.
    NeonRnnError
        The file cannot be read, or is damaged.
    """
    suffix = path.rsplit('.', 1)[-1].lower()
    try:
        if suffix in ('pth', 'pt'):
            return _strip_prefix(_read_pytorch(path)), PYTORCH
        if suffix == 'safetensors':
            return _strip_prefix(read_safetensors(path)), PYTORCH
        if suffix == 'prm':
            return neon_prm.read(path).weights, NEON
    except OSError as error:
        raise NeonRnnError('{}: cannot be read ({}).'.format(path, error.strerror or error))
    raise UsageError(
        '{}: pretrained weights are read from .pth, .pt, .safetensors, .prm and .npz files.'.format(
            path
        )
    )


def _strip_prefix(tensors):
    """Without the 'module.' that PyTorch's DataParallel puts before every name."""
    if tensors and all(name.startswith('module.') for name in tensors):
        return collections.OrderedDict(
            (name[len('module.') :], values) for name, values in tensors.items()
        )
    return tensors


def _read_pytorch(path):
    """A state dict, alone or as ``state_dict`` of a training's checkpoint.

    Only tensors and plain values are unpickled.
    """
    if not engines.installed('torch'):
        raise UsageError(
            "{}: this Python has no PyTorch to read it with. On a machine that has, 'neon_rnn convert "
            "--pretrained' makes an .npz of it that can be read here.".format(path)
        )
    import torch

    try:
        with warnings.catch_warnings():
            warnings.simplefilter(
                'ignore', UserWarning
            )  # about unusual pickles, which are read or refused
            state = torch.load(path, map_location='cpu', weights_only=True)
    except (
        pickle.UnpicklingError,
        RuntimeError,
        EOFError,
        ValueError,
        KeyError,
        zipfile.BadZipFile,
    ) as error:
        # the first sentence alone: what PyTorch says after it is how to read files unsafely
        raise NeonRnnError(
            '{}: is not a state dict of PyTorch that can be read safely ({}). Get it again, or save the '
            'state dict of the model alone.'.format(
                path, str(error).strip().split('\n')[0].split('. ')[0]
            )
        )
    if isinstance(state, dict) and isinstance(state.get('state_dict'), dict):
        state = state['state_dict']
    if not isinstance(state, dict) or not all(
        isinstance(values, torch.Tensor) for values in state.values()
    ):
        raise NeonRnnError('{}: holds no state dict (names with tensors).'.format(path))
    return collections.OrderedDict(
        (str(name), (values.float() if values.is_floating_point() else values).numpy())
        for name, values in state.items()
    )


def read_safetensors(path):
    """Read a .safetensors file: the length of a JSON header, the header, the bytes of the tensors.

    Raises
    ------
    NeonRnnError
        It was cut short, or its header does not describe what follows.
    """
    with open(str(path), 'rb') as file:
        content = file.read()
    try:
        length = int.from_bytes(content[:8], 'little')
        if len(content) < 8 or length > min(_LONGEST_HEADER, len(content) - 8):
            raise ValueError('its header reaches beyond its end')
        header = json.loads(content[8 : 8 + length].decode('utf-8'))
        data = memoryview(content)[8 + length :]
        return collections.OrderedDict(
            (name, _tensor(name, entry, data))
            for name, entry in sorted(header.items())
            if name != '__metadata__'
        )
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise NeonRnnError('{}: is not a whole .safetensors file ({}).'.format(path, error))


def _tensor(name, entry, data):
    """One tensor, after checking that its bytes are there."""
    begin, end = entry['data_offsets']
    shape = [int(size) for size in entry['shape']]
    if entry['dtype'] not in _TYPES:
        raise ValueError('{} has the unknown type {}'.format(name, entry['dtype']))
    dtype = np.dtype(_TYPES[entry['dtype']])
    count = int(np.prod(shape, dtype=np.int64))
    if (
        not 0 <= begin <= end <= len(data)
        or min(shape + [0]) < 0
        or count * dtype.itemsize != end - begin
    ):
        raise ValueError('{} reaches beyond its end or has the wrong size'.format(name))
    values = np.frombuffer(data[begin:end], dtype).reshape(shape)
    if entry['dtype'] == 'BF16':
        return (values.astype('<u4') << 16).view('<f4')
    return values
