"""Engine `torch`: neon's layers and arithmetic on PyTorch, for any machine of today.

Exports the names of `neon_rnn.engines.CONTRACT`, with neon's arguments, and the layers that neon
lacks (`EXTRAS`).
"""

# First: the one reads the clocks before PyTorch is imported, the other one imports it.
from neon_rnn.engines.torch import other_programs, waiting  # noqa: F401
from neon_rnn.engines.torch.augmentation import augmented
from neon_rnn.engines.torch.backend import get_random_state, set_random_state, start
from neon_rnn.engines.torch.cost import CrossEntropyMulti, GeneralizedCost
from neon_rnn.engines.torch.feeding import feed
from neon_rnn.engines.torch.layers.compound import Affine, Conv
from neon_rnn.engines.torch.layers.containers import MergeSum, Sequential, SkipNode
from neon_rnn.engines.torch.layers.convolution import Pooling
from neon_rnn.engines.torch.layers.depthwise import (
    ClippedRectlin,
    DepthwiseConvolution,
    SamePadding,
)
from neon_rnn.engines.torch.layers.feedforward import (
    Activation,
    BatchNorm,
    DataTransform,
    Dropout,
)
from neon_rnn.engines.torch.layers.initializers import (
    Constant,
    Gaussian,
    GlorotUniform,
    Kaiming,
    Uniform,
    Xavier,
)
from neon_rnn.engines.torch.layers.transforms import (
    Identity,
    Logistic,
    Normalizer,
    Rectlin,
    Softmax,
    Tanh,
)
from neon_rnn.engines.torch.model import Model
from neon_rnn.engines.torch.optimizer import GradientDescentMomentum, Schedule
from neon_rnn.engines.torch.recurrent.elman import BiBNRNN, BiRNN, Recurrent
from neon_rnn.engines.torch.recurrent.gru import GRU, BiGRU
from neon_rnn.engines.torch.recurrent.lecture_cells import (
    BiDeepOutput,
    BiDeepTransition,
    BiJordan,
    DeepOutput,
    DeepTransition,
    Jordan,
    StackedBiRNN,
    StackedRNN,
)
from neon_rnn.engines.torch.recurrent.lstm import LSTM, BiLSTM
from neon_rnn.engines.torch.spatial_rnn import SpatialRNN
from neon_rnn.engines.torch.step import predict, train_step
from neon_rnn.engines.torch.weights import (
    get_optimizer_state,
    get_weights,
    set_optimizer_state,
    set_weights,
)

#: Names beyond the contract: what neon does not have.
EXTRAS = (
    'ClippedRectlin',
    'DepthwiseConvolution',
    'SamePadding',
    'augmented',
)

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
    'ClippedRectlin',
    'Constant',
    'Conv',
    'CrossEntropyMulti',
    'DataTransform',
    'DeepOutput',
    'DeepTransition',
    'DepthwiseConvolution',
    'Dropout',
    'EXTRAS',
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
    'SamePadding',
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
    'augmented',
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
