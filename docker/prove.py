"""Prove an image while it is built: ``prove.py ENGINE BACKEND``.

The engine starts (with backend mkl that includes the numeric test of its convolutions), the
published network is built, and its cost falls when it is trained on one minibatch. For neon the
first cost has to be that of neon's NumPy backend too. Runs on CPython 3.5.
"""

import math
import sys

import numpy as np

from neon_rnn import engines, models

SHAPE, BATCH_SIZE, STEPS = (3, 32, 32), 8, 5
#: Relative; neon's own mkl and NumPy backends differ by 0.15% after twelve minibatches
#: (tests/fixtures).
TOLERANCE = 0.01


def costs(nn, backend, steps):
    """Return the costs of `steps` training steps on the same random minibatch, and what `start`
    says.
    """
    device = nn.start(backend, batch_size=BATCH_SIZE, rng_seed=1)
    model, cost = models.build('rnn', nn, input_shape=SHAPE)
    model.initialize(SHAPE, cost)
    optimizer = nn.GradientDescentMomentum(0.01, momentum_coef=0.9, wdecay=0.0005)
    random = np.random.RandomState(2)
    inputs = random.randint(0, 256, (BATCH_SIZE, int(np.prod(SHAPE)))).astype(np.uint8)
    labels = np.arange(BATCH_SIZE) % 2
    return [float(nn.train_step(model, inputs, labels, optimizer, 0)) for _ in range(steps)], device


def main(engine, backend):
    """Print the costs; raise `SystemExit` where they are wrong."""
    nn = engines.load(engine)
    found, device = costs(nn, backend, STEPS)
    print(
        '{}: {}'.format(
            engine, ', '.join('{} {}'.format(key, device[key]) for key in sorted(device))
        )
    )
    print(
        'costs of {} training steps: {}'.format(
            STEPS, ' '.join('{:.5f}'.format(cost) for cost in found)
        )
    )
    if not all(math.isfinite(cost) for cost in found) or not found[-1] < found[0]:
        raise SystemExit(
            'this image does not train: the cost of one repeated minibatch has to fall.'
        )
    if engine == 'neon':
        reference = costs(nn, 'numpy', 1)[0][0]
        print("the first cost on neon's NumPy backend: {:.5f}".format(reference))
        if not abs(found[0] - reference) <= TOLERANCE * reference:
            raise SystemExit("backend {} and neon's NumPy backend disagree.".format(backend))


if __name__ == '__main__':
    main(*sys.argv[1:])
