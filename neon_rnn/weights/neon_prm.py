"""Read neon's own serialised models (.prm, .pkl) without running them; let neon write such files.

Such a file is a pickle of plain types and NumPy arrays (``Model.serialize``, neon/models/model.py).
A pickle can name any function to be called, so only the few names that arrays need are allowed.
"""

import collections
import io
import pickle

import numpy as np

from neon_rnn import engines, models
from neon_rnn.engines.parameters import PARTS, STATISTICS, TRAINED
from neon_rnn.runs import checkpoint
from neon_rnn.support.errors import NeonRnnError, UsageError
from neon_rnn.support.files import atomic_file, open_regular

#: The networks of a SpatialRNN layer, in the order of their weights.
DIRECTIONS = ('vertical', 'horizontal')


class _Refused(Exception):
    """The pickle names something that is not data."""


def _encode(text, encoding='latin1'):
    """Make bytes, as pickles of protocol 2 ask for; refuse other codecs.

    One of those unpacks archives; a model needs none of them.
    """
    if encoding != 'latin1':
        raise _Refused('it asks for the codec {!r}'.format(encoding))
    return text.encode('latin1')


def _allowed():
    """Return what a pickle may name: the makers of arrays, in the modules of NumPy 1 and 2."""
    array = np.zeros(1)
    reconstruct = array.__reduce__()[0]
    scalar = np.float32(0).__reduce__()[0]
    found = {
        ('numpy', 'ndarray'): np.ndarray,
        ('numpy', 'dtype'): np.dtype,
        ('_codecs', 'encode'): _encode,
        ('collections', 'OrderedDict'): collections.OrderedDict,
    }
    for module in ('numpy.core.multiarray', 'numpy._core.multiarray'):
        found[module, '_reconstruct'], found[module, 'scalar'] = reconstruct, scalar
    return found


class _PlainUnpickler(pickle._Unpickler):  # type: ignore[name-defined]
    """Reads plain types and arrays; refuses any other name before it is imported.

    It is the unpickler in Python: the one in C makes room for whatever number of objects a damaged
    file claims to remember, which takes gigabytes.
    """

    allowed = _allowed()

    def find_class(self, module, name):
        if (module, name) not in self.allowed:
            raise _Refused(
                'it names {}.{}, which is neither an array nor a plain type'.format(module, name)
            )
        return self.allowed[module, name]

    def persistent_load(self, pid):
        raise _Refused('it refers to objects outside the file')


def read(path):
    """Read a model that neon has serialised, as a checkpoint.

    Parameters
    ----------
    path : str or os.PathLike

    Returns
    -------
    checkpoint.Checkpoint
        ``meta`` has ``epoch``, ``neon_version`` and ``layers`` (the types of the layers in order).

    Raises
    ------
    NeonRnnError
        The file cannot be read, is not such a model, or names anything but arrays and plain types.
        What it names is not run.
    """
    try:
        with open_regular(path, 'rb') as file:
            content = file.read()
    except OSError as error:
        raise NeonRnnError('{}: cannot be read ({}).'.format(path, error.strerror or error))
    try:
        description = _PlainUnpickler(io.BytesIO(content), encoding='latin1').load()
    except _Refused as error:
        raise NeonRnnError(
            "{}: refused, nothing in it was run: {}. A model of neon's holds only arrays and plain "
            'types.'.format(path, error)
        )
    except Exception as error:  # a damaged pickle can raise almost any type
        raise NeonRnnError(
            '{}: is not a whole pickle ({}: {}).'.format(path, type(error).__name__, error)
        )
    try:
        return _as_checkpoint(description, len(content))
    except (
        AttributeError,
        IndexError,
        KeyError,
        RecursionError,
        TypeError,
        ValueError,
    ) as error:
        raise NeonRnnError(
            "{}: is a pickle, but not a model of neon 2's ({}: {}).".format(
                path, type(error).__name__, error
            )
        )


def _as_checkpoint(description, size):
    """Return the model as a checkpoint; its arrays hold at most `size` bytes, the file's."""
    weights, states, types = collections.OrderedDict(), collections.OrderedDict(), []
    for prefix, kind, params, own_states in _layers(description['model']['config']['layers'], ''):
        types.append(kind)
        names = [name for name in params if name.rpartition('.')[2] in TRAINED]
        names.sort(key=_place)
        for name in names + [name for name in STATISTICS if name in params]:
            values = params[name]
            if not isinstance(values, np.ndarray) or values.dtype.kind != 'f':
                raise ValueError(
                    '{}{} is not an array of floating point numbers'.format(prefix, name)
                )
            size -= values.nbytes
            if size < 0:
                raise ValueError('it claims more values than the file holds')
            weights[prefix + name] = values.astype(np.float32)
        for name, arrays in zip(names, _state_lists(own_states)):
            if arrays:
                size -= sum(np.size(values) for values in arrays)
                if size < 0:
                    raise ValueError('it claims more values than the file holds')
                states[prefix + name] = [np.asarray(values, dtype=np.float32) for values in arrays]
    if not weights:
        raise ValueError('it was saved without weights')
    rng = description.get('backend', {}).get('rng_state')
    random_state = {}
    if isinstance(rng, tuple) and len(rng) == 5 and rng[0] == 'MT19937':
        random_state = {
            'keys': np.asarray(rng[1], dtype=np.uint32),
            'position': np.int64(rng[2]),
            'has_gauss': np.int64(rng[3]),
            'cached_gaussian': np.float64(rng[4]),
        }
    meta = {
        'epoch': int(description.get('epoch_index', 0)),
        'neon_version': str(description.get('neon_version')),
        'layers': types,
    }
    return checkpoint.Checkpoint(weights, states, random_state, meta)


def _place(name):
    """Return where a parameter comes among those of its layer: by network of a stack, then as in
    `TRAINED`.
    """
    part, _, parameter = name.rpartition('.')
    return PARTS.index(part) if part else 0, TRAINED.index(parameter)


def _layers(descriptions, prefix):
    """Iterate over the layers with weights, those in containers included.

    Yields
    ------
    (prefix of the names, type, params, states)
    """
    for position, layer in enumerate(descriptions):
        name = '{}{}.'.format(prefix, position)
        if 'layers' in layer['config']:
            for inner in _layers(layer['config']['layers'], name):
                yield inner
        elif 'params' in layer and set(layer['params']) == set(DIRECTIONS):  # SpatialRNN
            for direction in DIRECTIONS:
                yield (
                    name + direction + '.',
                    layer['type'],
                    layer['params'][direction],
                    layer.get('states', {}).get(direction, []),
                )
        elif 'params' in layer:
            yield name, layer['type'], layer['params'], layer.get('states', [])


def _state_lists(states):
    """Return a list of state arrays for each parameter of a layer.

    neon keeps a list of arrays for a layer of one parameter, a list of lists for one of several.
    """
    return states if states and isinstance(states[0], (list, tuple)) else [states]


def write(path, saved, model, input_shape, options=None):
    """Write a checkpoint as neon serialises a model.

    Only neon can describe its layers, so it has to be installed.

    Parameters
    ----------
    path : str or os.PathLike
    saved : checkpoint.Checkpoint
    model : str
        A name of `models.ROWS`.
    input_shape : tuple of int
        (C, H, W).
    options : dict, optional
        Further arguments of the model's builder.

    Raises
    ------
    UsageError
        neon is not installed.
    NeonRnnError
        The checkpoint is of another model.
    """
    if not engines.installed('neon'):
        raise UsageError(
            '{}: Intel neon itself writes such files, and is not installed in this Python. It '
            "lives in the container, which can write below results/: 'docker compose run --rm "
            "neon-cpu convert FROM results/model.prm' (docs/container.md).".format(path)
        )
    nn = engines.load('neon')
    nn.start('numpy', batch_size=1, rng_seed=0)
    network, cost = models.build(model, nn, input_shape, **(options or {}))
    network.initialize(tuple(input_shape), cost)
    nn.set_weights(network, saved.weights)
    nn.set_optimizer_state(network, None, saved.optimizer_state)
    if saved.random_state:
        nn.set_random_state(saved.random_state)
    # neon adds 1 and writes the number of epochs done.
    network.epoch_index = int(saved.meta.get('epoch', 0)) - 1
    description = network.serialize(keep_states=bool(saved.optimizer_state))
    with atomic_file(path) as file:
        pickle.dump(description, file, 2)
