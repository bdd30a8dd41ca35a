"""The strict comparison in float32: neon's close decisions, imposed on the engine under test.

In float32 training amplifies single decisions. A rectifier whose input is nearly 0, or a maximum
of two nearly equal values, falls on one side in neon and on the other elsewhere, by rounding alone.
The costs of later minibatches then differ by up to a hundredth. Here the close decisions of neon's
cpu backend are recorded with the costs. An engine takes these and makes all others itself. Its
costs then have to agree as far as float32 goes. A deviation that is not such a decision cannot
hide.
"""

import collections
import functools
import os

import numpy as np

from neon_rnn import published
from neon_rnn.models.rnn import generate_rnn_cls_model
from neon_rnn.verification import compare
from neon_rnn.verification.cases import Case, pixels
from neon_rnn.verification.tolerances import IMPOSED

#: A decision is close if rounding a thousand times as large as float32's could turn it: the input
#: of a rectifier, or the distance of two candidates, in standard deviations of the layer.
CLOSE = 1e-4
#: The kind of the deviations.
KIND = 'imposed cost'


class Close(collections.namedtuple('Close', 'rectified pooled')):
    """The close decisions of neon in some minibatches.

    Attributes
    ----------
    rectified : numpy.ndarray
        int32 (n, 4): minibatch, position of the layer, flat index of the value in (image, C, H, W),
        and 1 where neon took it as positive.
    pooled : numpy.ndarray
        int32 (n, 4): minibatch, position of the layer, flat index of the window in (image, C, H,
        W), and the flat index in (H, W) of the value that neon chose.
    """

    __slots__ = ()

    def of(self, minibatch):
        """Return the decisions of one minibatch: position of the layer -> (indices, decisions),
        of the rectifiers and of the poolings.

        Returns
        -------
        rectified, pooled : dict
        """
        return tuple(
            {
                int(position): (
                    table[table[:, 1] == position, 2].astype(np.int64),
                    table[table[:, 1] == position, 3].astype(np.int64),
                )
                for position in np.unique(table[:, 1])
            }
            for table in (part[part[:, 0] == minibatch] for part in self)
        )


def case():
    """Return the case: the published network for 12 minibatches of 16 noisy images of 64x64."""
    return Case(
        'network rnn, close decisions',
        functools.partial(generate_rnn_cls_model, (3, 64, 64)),
        (3, 64, 64),
        16,
        12,
        'float32',
        {KIND: IMPOSED},
        (),
    )


def train(nn, backend, before, prepare=None):
    """Train the network of the case; return its costs, one a minibatch.

    Parameters
    ----------
    nn : module
        The engine.
    backend : str
    before : callable
        Called with the number of each minibatch before it is trained on.
    prepare : callable, optional
        Called with the model once it is initialised.
    """
    given = case()
    nn.start(backend, given.batch_size, compare.SEED, precision=given.precision)
    model, cost = given.build(nn)
    model.initialize(given.shape, cost)
    if prepare is not None:
        prepare(model)
    optimizer = nn.GradientDescentMomentum(
        published.LEARNING_RATE, momentum_coef=published.MOMENTUM_COEF, wdecay=published.WDECAY
    )
    # One tile a pixel: in flat regions whole windows of equal values would be ties.
    inputs, labels = pixels(given, tiles=given.shape[1], seed=11)
    costs = []
    for step in range(given.minibatches):
        before(step)
        part = slice(step * given.batch_size, (step + 1) * given.batch_size)
        costs.append(float(nn.train_step(model, inputs[part], labels[part], optimizer, 0)))
    return np.array(costs)


def path():
    """Return the path of the recorded costs and decisions."""
    return os.path.join(compare.FOLDER, 'network-rnn-close-decisions.npz')


def load():
    """Return the recorded costs (minibatches,), the `Close` decisions and their provenance.

    Raises
    ------
    NeonRnnError
        The file is missing or damaged.
    """
    results, provenance = compare.load(path())
    return results['cost'], Close(results['rectified'], results['pooled']), provenance


def deviations(found, expected):
    """Return the relative deviation of each cost, as `compare.compare` does."""
    return [
        compare.Deviation(case(), KIND, str(step), float(abs(here - there) / abs(there)))
        for step, (here, there) in enumerate(zip(found, expected), 1)
    ]


def replay(nn, backend, plain=False):
    """Train the torch engine with neon's close decisions; return the deviations of its costs.

    Parameters
    ----------
    nn : module
        The torch engine: only it takes decisions of others.
    backend : str
        That of the processor: a GPU repeats recorded kernels, which read no new decisions.
    plain : bool
        Run the layers one by one, not fused into stages.
    """
    from neon_rnn.engines.torch import imposed

    expected, close, _ = load()
    board = imposed.Board()

    def before(step):
        board.decisions = close.of(step)

    costs = train(nn, backend, before, lambda model: imposed.impose(model, board, plain))
    return deviations(costs, expected)
