"""Record every network of the table on real neon: the first costs, a digest of initial weights.

    PYTHONPATH=. /path/to/neon/python tests/parity/network_costs.py [NETWORK ...]

writes tests/fixtures/network_costs.json, all of it or the networks that are named.

In float64 on neon's numpy backend, since rounding decides what deep networks do after a step at the
published learning rate: in float32 ResNet-50's second cost already differs by some per cent between
two machines.
"""

import hashlib
import json
import os
import platform
import sys

import numpy as np

from neon_rnn import engines, models, published
from neon_rnn.models import rnn
from neon_rnn.support import machine

PATH = os.path.join(
    os.path.dirname(os.path.dirname(os.path.abspath(__file__))), 'fixtures', 'network_costs.json'
)
#: The recurrent network with cells other than the published ones.
CELLS = tuple('rnn ' + cell for cell in rnn.CELLS if cell != 'birnn')
#: network -> (side of the images, steps); tl-3 is tl-1's network.
CASES = {
    'fcnn-1': (16, 4),
    'fcnn-2': (16, 4),
    'fcnn-3': (16, 4),
    'cnn-1': (32, 4),
    'cnn-2': (32, 4),
    'resnet-18': (64, 3),
    'resnet-50': (64, 2),
    'tl-1': (64, 2),
    'tl-2': (64, 2),
}
CASES.update((name, (64, 3)) for name in CELLS)
BATCH, SEED = 4, 3


def costs(nn, backend, name):
    """Train a network for a few steps on noise.

    Returns
    -------
    dict
        costs (one a step), weights (a digest of the names, shapes and initial values in float32),
        probabilities of the minibatch in inference mode, with the initial weights and
        `whole_statistics`.
    """
    side, steps = CASES[name]
    shape = (3, side, side)
    threads = {} if backend == 'numpy' else {'threads': 1}
    nn.start(backend, BATCH, SEED, precision='float64', **threads)
    name, _, cell = name.partition(' ')
    model, cost = models.build(name, nn, shape, **({'rnn': cell} if cell else {}))
    model.initialize(shape, cost)
    initial = nn.get_weights(model)
    optimizer = nn.GradientDescentMomentum(
        published.LEARNING_RATE, momentum_coef=published.MOMENTUM_COEF, wdecay=published.WDECAY
    )
    rng = np.random.RandomState(5)
    inputs = rng.randint(0, 256, (BATCH, 3 * side * side)).astype(np.uint8)
    labels = np.array([0, 1, 1, 0])
    found = [float(nn.train_step(model, inputs, labels, optimizer, 0))]
    statistics = whole_statistics(nn.get_weights(model))
    found += [float(nn.train_step(model, inputs, labels, optimizer, 0)) for _ in range(steps - 1)]
    nn.set_weights(model, dict(initial, **statistics))
    return {
        'costs': found,
        'weights': digest(initial),
        'probabilities': nn.predict(model, inputs).astype(np.float64).tolist(),
    }


def whole_statistics(weights):
    """The running statistics of the one minibatch that a network was trained on.

    They start at 0 and take in a tenth of each minibatch's. A tenth of a variance drives the
    softmax of a deep network to 0 and 1, where any two engines agree.
    """
    return {
        name: values * 10 for name, values in weights.items() if name.endswith(('.gmean', '.gvar'))
    }


def digest(weights):
    """Return the sha256 of a line for each weight, sorted: name, sha256 in float32, shape."""
    lines = [
        '{} {} {}\n'.format(
            name,
            hashlib.sha256(np.ascontiguousarray(values, dtype=np.float32).tobytes()).hexdigest(),
            list(values.shape),
        )
        for name, values in weights.items()
    ]
    return hashlib.sha256(''.join(sorted(lines)).encode('ascii')).hexdigest()


def record(names):
    """Run every case on neon, or those named, and write the file."""
    nn, found = engines.load('neon'), {}
    if names:
        with open(PATH) as file:
            found = json.load(file)
    for name in names or sorted(CASES):
        found[name] = costs(nn, 'numpy', name)
    device = nn.start('numpy', BATCH, SEED, precision='float64')
    found['provenance'] = {
        'neon': device['neon'],
        'numpy': np.__version__,
        'python': platform.python_version(),
        'backend': 'numpy, float64',
        'cpu': machine.cpu_model(),
        'command': 'tests/parity/network_costs.py',
    }
    with open(PATH, 'w') as file:
        json.dump(found, file, indent=1, sort_keys=True)
        file.write('\n')


if __name__ == '__main__':
    record(sys.argv[1:])
