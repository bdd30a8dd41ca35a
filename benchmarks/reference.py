"""What a variant must compute before it is timed: the engine's probabilities, cost and first step.

One folder for each network and minibatch. `benchmarks.describing` writes it with the torch engine
in float32; every worker reads it. It also runs on CPython 3.5, in the Python that has Intel neon.
"""

import json
import os

import numpy as np

#: Precision -> the largest difference that passes: of a probability, of the cost, and of the change
#: of all parameters by one training step, relative to its length. float32 is far below; bfloat16
#: keeps three digits of each number, and the other side of a rectifier decides the rest: right
#: variants of ResNet-50 differ by 0.012, 0.009 and 0.36, and without one rectifier by 0.08 or more
#: in the probabilities. `describing.BRANCH_GAMMA` is part of that.
TOLERANCES = {
    'float32': {'probabilities': 1e-3, 'cost': 1e-3, 'step': 5e-2},
    'bf16': {'probabilities': 0.05, 'cost': 0.1, 'step': 0.6},
}
#: The same of a step in float32 whose maps are channels last. PyTorch's batch norm on a CPU adds
#: the numbers of such a map one by one in float32: of 128 maps of 64 x 64 the variance is off by
#: 2e-4, where that of maps in the usual order is off by 6e-8.
CHANNELS_LAST_STEP = 0.3
#: Running statistics are no part of a step: the variants differ in how they keep them.
STATISTICS = ('gmean', 'gvar', 'mean', 'variance')
#: Of the training step that is compared, and of all that are timed.
LEARNING_RATE, MOMENTUM, WEIGHT_DECAY = 0.01, 0.9, 0.0005


class Reference(object):
    """The folder of a reference.

    Attributes
    ----------
    folder : str
    layers : list of dict
        The network, as `describing.describe` writes it.
    inputs, labels : numpy.ndarray
        The minibatch: uint8 (batch, C*H*W), int64 (batch,).
    """

    def __init__(self, folder):
        self.folder = folder
        with open(os.path.join(folder, 'network.json')) as file:
            self.layers = json.load(file)
        self.inputs, self.labels = self.array('inputs'), self.array('labels')

    def array(self, name):
        """Read an array of the reference."""
        return np.load(os.path.join(self.folder, name + '.npy'))

    def arrays(self, kind):
        """Read the arrays of a kind.

        Parameters
        ----------
        kind : str
            ``'before'`` and ``'after'``: the parameters before and after one training step, by
            the names of `describing`; ``'neon'``: the same by neon's names, ``'neon_after'``.

        Returns
        -------
        dict
            Name -> array.
        """
        with np.load(os.path.join(self.folder, kind + '.npz')) as file:
            return {name: file[name] for name in file.files}

    @property
    def onnx(self):
        """Return the path of the exported network."""
        return os.path.join(self.folder, 'network.onnx')

    def compare(self, probabilities=None, cost=None, after=None, kind='before'):
        """Compare what a variant computed with the reference.

        Parameters
        ----------
        probabilities : array, (batch, classes), optional
            In inference mode, before the step.
        cost : float, optional
            Of the minibatch, before the step.
        after : dict, optional
            Name -> array: the parameters after the step.
        kind : str
            ``'before'`` or ``'neon'``: whose names they are.

        Returns
        -------
        dict
            Name of a tolerance -> difference, of what was given.
        """
        found = {}
        if probabilities is not None:
            found['probabilities'] = _largest(probabilities, self.array('probabilities'))
        if cost is not None:
            found['cost'] = _largest(cost, self.array('cost'))
        if after is not None:
            before = self.arrays(kind)
            wanted = self.arrays('after' if kind == 'before' else 'neon_after')
            difference = length = 0.0
            for name, values in after.items():
                if name.rpartition('.')[2] in STATISTICS:
                    continue
                step = (wanted[name] - before[name]).astype(np.float64)
                difference += float(np.sum((values - before[name] - step) ** 2))
                length += float(np.sum(step**2))
            found['step'] = (difference / length) ** 0.5
        return found


def problem(differences, precision, channels_last=False):
    """Say what differs by more than `TOLERANCES` allow; None if nothing does.

    Parameters
    ----------
    differences : dict
        As `Reference.compare` returns it.
    precision : str
    channels_last : bool
        PyTorch's own layers computed it, from channels-last maps.

    Returns
    -------
    str or None
    """
    allowed = dict(TOLERANCES[precision])
    if channels_last:
        allowed['step'] = max(allowed['step'], CHANNELS_LAST_STEP)
    wrong = [
        '{} by {:.1e} (at most {:.0e})'.format(name, value, allowed[name])
        for name, value in sorted(differences.items())
        if not value <= allowed[name]
    ]
    return 'not timed, its result is another one: {}'.format(', '.join(wrong)) if wrong else None


def _largest(found, wanted):
    return float(np.max(np.abs(np.asarray(found, np.float64) - wanted)))
