"""Engine `neon`: Intel neon 2.6.0 itself, and the layers that it does not have.

Exports the names of `neon_rnn.engines.CONTRACT`: neon's own classes under their own names.
"""

# First of all: it says in a sentence why neon does not load, where it does not.
from neon_rnn.engines.neon import library  # noqa: F401, I001
from neon.initializers import Constant, Gaussian, GlorotUniform, Kaiming, Uniform, Xavier
from neon.layers import (
    GRU,
    LSTM,
    Activation,
    Affine,
    BatchNorm,
    BiBNRNN,
    BiLSTM,
    BiRNN,
    Conv,
    DataTransform,
    Dropout,
    GeneralizedCost,
    MergeSum,
    Pooling,
    Recurrent,
    Sequential,
    SkipNode,
)
from neon.models import Model
from neon.optimizers import GradientDescentMomentum, Schedule
from neon.transforms import (
    CrossEntropyMulti,
    Identity,
    Logistic,
    Normalizer,
    Rectlin,
    Softmax,
    Tanh,
)

from neon_rnn.engines.neon.backend import get_random_state, set_random_state, start
from neon_rnn.engines.neon.recurrent.gated import BiGRU
from neon_rnn.engines.neon.recurrent.lecture_cells import (
    BiDeepOutput,
    BiDeepTransition,
    BiJordan,
    DeepOutput,
    DeepTransition,
    Jordan,
    StackedBiRNN,
    StackedRNN,
)
from neon_rnn.engines.neon.spatial_rnn import SpatialRNN
from neon_rnn.engines.neon.step import feed, predict, train_step
from neon_rnn.engines.neon.weights import (
    get_optimizer_state,
    get_weights,
    set_optimizer_state,
    set_weights,
)

#: Beyond the contract: nothing.
EXTRAS = ()

__all__ = [
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
    'Constant',
    'Conv',
    'CrossEntropyMulti',
    'DataTransform',
    'DeepOutput',
    'DeepTransition',
    'Dropout',
    'GRU',
    'Gaussian',
    'GeneralizedCost',
    'GlorotUniform',
    'GradientDescentMomentum',
    'Identity',
    'Jordan',
    'Kaiming',
    'LSTM',
    'Logistic',
    'MergeSum',
    'Model',
    'Normalizer',
    'Pooling',
    'Rectlin',
    'Recurrent',
    'Schedule',
    'Sequential',
    'SkipNode',
    'Softmax',
    'SpatialRNN',
    'StackedBiRNN',
    'StackedRNN',
    'Tanh',
    'Uniform',
    'Xavier',
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
]
