"""The two engines and the contract between them: the same names, the same numbers.

``load(name)`` imports an engine and makes it the one in use. docs/architecture.md describes each
call.
"""

import importlib
import importlib.util

from neon_rnn.support.errors import UsageError

ENGINES = ('neon', 'torch')

LAYERS = (
    'Activation',
    'Affine',
    'BatchNorm',
    'BiBNRNN',
    'BiDeepOutput',
    'BiDeepTransition',
    'BiGRU',
    'BiJordan',
    'BiLSTM',
    'BiRNN',
    'Conv',
    'DataTransform',
    'DeepOutput',
    'DeepTransition',
    'Dropout',
    'GRU',
    'Jordan',
    'LSTM',
    'MergeSum',
    'Pooling',
    'Recurrent',
    'Sequential',
    'SkipNode',
    'SpatialRNN',
    'StackedBiRNN',
    'StackedRNN',
)
INITIALIZERS = ('Constant', 'Gaussian', 'GlorotUniform', 'Kaiming', 'Uniform', 'Xavier')
TRANSFORMS = ('Identity', 'Logistic', 'Normalizer', 'Rectlin', 'Softmax', 'Tanh')
TRAINING = ('CrossEntropyMulti', 'GeneralizedCost', 'GradientDescentMomentum', 'Model', 'Schedule')
CALLS = (
    'feed',
    'get_optimizer_state',
    'get_random_state',
    'get_weights',
    'predict',
    'set_optimizer_state',
    'set_random_state',
    'set_weights',
    'start',
    'train_step',
)
#: The names that every engine exports, in its ``__all__``.
CONTRACT = tuple(sorted(LAYERS + INITIALIZERS + TRANSFORMS + TRAINING + CALLS))

_MISSING = {
    'neon': 'Intel neon 2.6 is not installed in this Python. It lives in the container: '
    "'./run.sh COMMAND --engine neon ...' runs it there (docs/container.md). "
    "'--engine torch' does the same arithmetic here.",
    'torch': 'PyTorch is not installed in this Python, or Numba is not, which compiles loops of '
    "the engine. './run.sh' installs both into .venv.",
}
#: What has to be installed for an engine.
_LIBRARIES = {'neon': ('neon',), 'torch': ('torch', 'numba')}
#: The engine that was loaded last.
_current = None


def installed(name):
    """Tell whether an engine's libraries are installed, without importing them."""
    libraries = _LIBRARIES.get(name, (name,))
    return all(importlib.util.find_spec(library) is not None for library in libraries)


def available():
    """Return the names of the engines whose libraries are installed, the preferred one first."""
    return [name for name in ENGINES if installed(name)]


def default():
    """Return the name of the preferred engine: neon where it is installed, else torch.

    Raises
    ------
    UsageError
        Neither is installed.
    """
    names = available()
    if not names:
        raise UsageError(_MISSING['torch'])
    return names[0]


def recorded_backend(engine, backend):
    """Return the name that `start` and run records give to a backend of ``-b``.

    cpu is the neon engine's mkl; mkl is the torch engine's cpu.
    """
    return {('neon', 'cpu'): 'mkl', ('torch', 'mkl'): 'cpu'}.get((engine, backend), backend)


def load(name):
    """Import an engine, make it the one in use and return its module.

    Raises
    ------
    UsageError
        There is no such engine, or a library of it is not installed.
    """
    global _current
    if name not in ENGINES:
        raise UsageError(
            'there is no engine {!r}; the engines are {}.'.format(name, ' and '.join(ENGINES))
        )
    if not installed(name):
        raise UsageError(_MISSING[name])
    _current = importlib.import_module('neon_rnn.engines.' + name)
    return _current


def current():
    """Return the engine that was loaded last; if there is none, load the default one."""
    return _current if _current is not None else load(default())
