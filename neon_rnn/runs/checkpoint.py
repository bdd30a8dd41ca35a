"""Read and write ``checkpoint.npz``: all that a run needs to go on or to predict, for both engines.

A checkpoint is a NumPy archive of plain arrays, never of pickled objects:

=====================  ========================================================================
``meta``               JSON, UTF-8: format, version, names in order, and the caller's own dict
``weights/<name>``     float32, or float64 of a training in float64; names and shapes are neon's
                       (``docs/architecture.md``)
``optimizer/<name>/i`` the i-th state array of a parameter (momentum has one)
``random/<key>``       the state of the random numbers that training uses
=====================  ========================================================================
"""

import collections
import json

import numpy as np

from neon_rnn.support.errors import Diverged, NeonRnnError
from neon_rnn.support.files import atomic_file, check_stored, open_regular

FORMAT = 'neon_rnn checkpoint'
VERSION = 1

#: What `load` returns: `weights` an ordered dict of arrays, `optimizer_state` name -> list of
#: arrays (empty before the first step), `random_state` a dict of arrays, `meta` the caller's dict.
Checkpoint = collections.namedtuple('Checkpoint', 'weights optimizer_state random_state meta')


def save(path, weights, optimizer_state=None, random_state=None, meta=None):
    """Write a checkpoint atomically.

    Parameters
    ----------
    path : str or os.PathLike
    weights : dict of numpy.ndarray
        As an engine's ``get_weights`` returns them; the order is kept.
    optimizer_state : dict of list of numpy.ndarray, optional
        As ``get_optimizer_state`` returns it.
    random_state : dict of numpy.ndarray, optional
        As ``get_random_state`` returns it.
    meta : dict, optional
        What JSON can hold: model, input shape, epoch, class names ...

    Raises
    ------
    Diverged
        A weight is not finite.
    NeonRnnError
        The file cannot be written.
    """
    optimizer_state, random_state = optimizer_state or {}, random_state or {}
    arrays = collections.OrderedDict()
    for name, values in weights.items():
        if not np.all(np.isfinite(values)):
            raise Diverged(
                '{}: not written{}, {} holds values that are not finite: the training has diverged '
                'and '
                'stops.'.format(
                    path,
                    ' at epoch {epoch}'.format(**meta) if meta and 'epoch' in meta else '',
                    name,
                )
            )
        arrays['weights/' + name] = np.asarray(values)
    for name, states in optimizer_state.items():
        for position, values in enumerate(states):
            arrays['optimizer/{}/{}'.format(name, position)] = np.asarray(values)
    for name, values in random_state.items():
        arrays['random/' + name] = np.asarray(values)
    header = {
        'format': FORMAT,
        'version': VERSION,
        'meta': meta or {},
        'weights': list(weights),
        'optimizer': {name: len(states) for name, states in optimizer_state.items()},
        'random': sorted(random_state),
    }
    text = json.dumps(header, sort_keys=True, allow_nan=False).encode('utf-8')
    arrays['meta'] = np.frombuffer(text, dtype=np.uint8)
    with atomic_file(path) as file:
        np.savez(file, **arrays)  # type: ignore[arg-type]


def load(path):
    """Read a checkpoint.

    Returns
    -------
    Checkpoint

    Raises
    ------
    NeonRnnError
        There is no such file, it was cut short or damaged, or it is something else; names the file.
    """
    try:
        with open_regular(path, 'rb') as file:
            if file.read(4) != b'PK\x03\x04':
                raise _foreign(path)
            file.seek(0)
            with np.load(file, allow_pickle=False) as archive:
                check_stored(path, archive.zip)
                return _read(path, archive)
    except OSError as error:
        raise NeonRnnError('{}: cannot be read ({}).'.format(path, error.strerror or error))
    except NeonRnnError:
        raise
    except Exception as error:  # a damaged archive raises errors of almost any type
        raise NeonRnnError(
            '{}: is damaged or was cut short ({}). Take an earlier checkpoint, or train '
            'again.'.format(path, error)
        )


def _read(path, archive):
    if 'meta' not in archive.files or archive['meta'].dtype != np.uint8:
        raise _foreign(path)
    header = json.loads(archive['meta'].tobytes().decode('utf-8'))
    if not isinstance(header, dict) or header.get('format') != FORMAT:
        raise _foreign(path)
    if header['version'] != VERSION:
        raise NeonRnnError(
            '{}: is a checkpoint of version {}; this neon_rnn reads version {}. Use the neon_rnn '
            'that wrote '
            'it.'.format(path, header['version'], VERSION)
        )
    weights = collections.OrderedDict(
        (name, archive['weights/' + name]) for name in header['weights']
    )
    for name, values in weights.items():
        if not np.all(np.isfinite(values)):
            raise NeonRnnError(
                '{}: {} holds values that are not finite. Take an earlier checkpoint, or train '
                'again.'.format(path, name)
            )
    optimizer_state = {
        name: [archive['optimizer/{}/{}'.format(name, position)] for position in range(count)]
        for name, count in header['optimizer'].items()
    }
    random_state = {name: archive['random/' + name] for name in header['random']}
    return Checkpoint(weights, optimizer_state, random_state, header['meta'])


def _foreign(path):
    return NeonRnnError(
        "{}: is not a checkpoint of neon_rnn. A file that neon's own Model.serialize wrote is "
        'turned into '
        "one by 'neon_rnn convert'.".format(path)
    )
