"""The two engines and the contract between them: the same names, the same meaning, the same numbers.

``load(name)`` imports an engine and makes it the one in use; ``docs/architecture.md`` describes
each call.
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
    'BiLSTM',
    'BiRNN',
    'Conv',
    'DataTransform',
    'Dropout',
    'GRU',
    'LSTM',
    'MergeSum',
    'Pooling',
    'Recurrent',
    'Sequential',
    'SkipNode',
    'SpatialRNN',
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
#: What every engine exports, in its ``__all__``.
CONTRACT = tuple(sorted(LAYERS + INITIALIZERS + TRANSFORMS + TRAINING + CALLS))

_MISSING = {
    'neon': 'Intel neon 2.6 is not installed in this Python. It lives in the container: '
    "'./run.sh COMMAND --engine neon ...' runs it there (docs/container.md). "
    "'--engine torch' does the same arithmetic here.",
    'torch': "PyTorch is not installed in this Python. './run.sh' installs it into .venv.",
}
#: The engine that was loaded last.
_current = None


def installed(name):
    """Whether the engine's library can be found (without importing it)."""
    return importlib.util.find_spec(name) is not None


def available():
    """The names of the engines whose libraries are installed, in order of preference."""
    return [name for name in ENGINES if installed(name)]


def default():
    """neon where it is installed, else torch.

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
    """A backend of ``-b`` as `start` and run records name it: cpu is the neon engine's mkl, mkl the torch engine's cpu."""
    return {('neon', 'cpu'): 'mkl', ('torch', 'mkl'): 'cpu'}.get((engine, backend), backend)


def load(name):
    """Import an engine, make it the one in use, return its module.

    Raises
    ------
    UsageError
        There is no such engine, or its library is not installed.
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
    """The engine loaded last; without one, the default engine is loaded."""
    return _current if _current is not None else load(default())
