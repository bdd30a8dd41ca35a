"""Shared by the checks on real neon: small layers and models, and the runner (Python 3.5, 3.6)."""

import contextlib
import json
import sys
import traceback
import unittest

import numpy as np

from neon_rnn import engines
from neon_rnn.engines.neon import library, spatial_rnn

IMAGES = 4
SHAPE = (2, 6, 8)  # C, H, W
BLOCK = (2, 2, 4)  # three rows of two columns of blocks
#: Of this project, for neon.
OWN = (
    'BiDeepOutput',
    'BiDeepTransition',
    'BiGRU',
    'BiJordan',
    'DeepOutput',
    'DeepTransition',
    'Jordan',
    'StackedBiRNN',
    'StackedRNN',
)
#: Of neon itself.
NEONS = ('BiRNN', 'Recurrent', 'LSTM', 'GRU', 'BiLSTM', 'BiBNRNN')
CELLS = NEONS + OWN
nn = engines.load('neon')
BACKENDS = ('numpy',) if library.why_no_mkl() else ('numpy', 'mkl')


def start(backend='numpy', precision='float64', batch_size=IMAGES, seed=3):
    nn.start(backend, batch_size, seed, precision=precision)
    return library.neon.NervanaObject.be


def params(cell):
    gates = {'gate_activation': nn.Logistic()} if 'LSTM' in cell or 'GRU' in cell else {}
    return dict(
        output_size=3, init=nn.GlorotUniform(), activation=nn.Tanh(), reset_cells=True, **gates
    )


def layer_of(cell='BiRNN', shape=SHAPE, block=BLOCK):
    return nn.SpatialRNN(
        input_shape=shape, block_shape=block, RNN=getattr(nn, cell), RNN_params=params(cell)
    )


def standing_alone(be, cell='BiRNN', shape=SHAPE, block=BLOCK, layer=None):
    """Return a layer with its buffers, and random input and error as arrays.

    The default layer is that of `layer_of`.
    """
    layer = layer or layer_of(cell, shape, block)
    with_buffers(layer, layer.input_shape)
    rng = np.random.RandomState(5)
    x = rng.randn(int(np.prod(layer.in_shape)), be.bsz)
    e = rng.randn(int(np.prod(layer.out_shape)), be.bsz)
    return layer, x, e


def with_buffers(layer, in_shape):
    """Configure a layer and give it its buffers, as in a model behind another layer."""
    layer.configure(in_shape)
    layer.prev_layer = True
    layer.allocate()
    tree = spatial_rnn.DeltasTree()
    layer.allocate_deltas(tree)
    tree.allocate_buffers()
    layer.set_deltas(tree)
    return layer


def slope(tensor, place, cost):
    """Return the finite difference of a cost by one value of a tensor, which stays as it is."""
    values = tensor.get()
    costs = []
    for change in (1e-5, -1e-5):
        moved = values.copy()
        moved[place] += change
        tensor.set(moved)
        costs.append(cost())
    tensor.set(values)
    return (costs[0] - costs[1]) / 2e-5


def in_mkls_layout(be, tensor, shape):
    """Let a convolution write random numbers into a tensor, in a layout of MKL's own.

    Returns the numbers in neon's layout.
    """
    channels, height, width = shape
    values = np.random.RandomState(8).randn(channels * height * width, be.bsz).astype(np.float32)
    identity = be.conv_layer(
        be.default_dtype, N=be.bsz, C=channels, K=channels, H=height, W=width, R=1, S=1
    )
    be.fprop_conv(identity, be.array(values), be.array(np.eye(channels, dtype=np.float32)), tensor)
    assert np.abs(tensor._tensor - values).max() > 0.1  # else it is neon's own layout
    return values


@contextlib.contextmanager
def refused(kind, *words):
    """Check that the body raises `kind`, with `words` in the message."""
    try:
        yield
    except kind as error:
        missing = [word for word in words if word not in str(error)]
        if missing:
            raise AssertionError('{} is not in: {}'.format(missing, error))
    else:
        raise AssertionError('not refused: {}'.format(words))


class Training(object):
    """A model of `layers()` and a classifier, on a backend of its own.

    It is trained on four images of `SHAPE`, two classes.
    """

    def __init__(self, layers, backend='numpy', steps=0):
        start(backend, 'float32')
        self.model = nn.Model(
            layers() + [nn.Affine(nout=2, init=nn.GlorotUniform(), activation=nn.Softmax())]
        )
        self.model.initialize(SHAPE, nn.GeneralizedCost(nn.CrossEntropyMulti()))
        self.optimizer = nn.GradientDescentMomentum(0.001, momentum_coef=0.9, wdecay=0.0005)
        self.images = (
            np.random.RandomState(2).randint(0, 256, (IMAGES, int(np.prod(SHAPE)))).astype(np.uint8)
        )
        self.costs = []
        self.train(steps)

    def train(self, steps):
        """Train more steps; return their costs. All costs are in `costs`."""
        self.costs += [
            nn.train_step(self.model, self.images, np.arange(IMAGES) % 2, self.optimizer, 0)
            for _ in range(steps)
        ]
        return self.costs[len(self.costs) - steps :]


def run_checks(namespace):
    """Call every function ``test_...``.

    Prints a line of JSON for each: ``name``, ``problem`` and ``skipped``, text or null.
    """
    for name, function in sorted(namespace.items()):
        if not name.startswith('test_'):
            continue
        problem = skipped = None
        try:
            function()
        except unittest.SkipTest as reason:
            skipped = str(reason)
        except Exception:
            problem = traceback.format_exc()
        print(json.dumps({'name': name, 'problem': problem, 'skipped': skipped}))
        sys.stdout.flush()
