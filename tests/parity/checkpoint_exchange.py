"""Exchange checkpoints of every network between the engines, for `test_between_engines.py`.

    PYTHONPATH=. /path/to/neon/python tests/parity/checkpoint_exchange.py save FOLDER NETWORK...
    PYTHONPATH=. /path/to/neon/python tests/parity/checkpoint_exchange.py predict FOLDER NETWORK...

`save` trains on neon and writes FOLDER/<network>.npz with the probabilities in its meta, `predict`
FOLDER/<network>.json with those that it computes from the checkpoint beside it.

In float32, as the engines train. On ResNet-50 and TL-1 that leaves 2e-5 between their
probabilities; in float64 the same checkpoints give the same float32 numbers, so it is rounding
alone. Smaller pictures would hide it: at 32x32 the last map is one pixel, batch norm over a few of
them drives the softmax of the deep networks to 0 and 1, and saturated probabilities agree whatever
the engine does.
"""

import json
import os
import sys

import numpy as np
from network_costs import whole_statistics

from neon_rnn import engines, models
from neon_rnn.models import rnn
from neon_rnn.runs import checkpoint

#: Cells beside the published one. lstm and gru are neon's, the others this project's.
CELLS = tuple(name for name in rnn.CELLS if name not in ('birnn', 'bibnrnn', 'bilstm', 'elman'))
#: tl-3 is tl-1's network.
NETWORKS = tuple(name for name in models.ROWS if name != 'tl-3') + tuple(
    'rnn ' + cell for cell in CELLS
)
SHAPE = (3, 64, 64)
IMAGES = 8
#: What the engines are started with: neon's own reference backend, torch's only one on a processor.
BACKENDS = {'neon': 'numpy', 'torch': 'cpu'}


def pixels():
    """Mosaics of 8 x 8 random tiles, uint8 (IMAGES + 2, C*H*W): more than one minibatch.

    The last two are mixtures of the first ones, so that the running statistics fit them.
    """
    channels, height, width = SHAPE
    tiles = np.random.RandomState(1).randint(0, 256, (IMAGES, channels, 8, 8))
    tiles = np.concatenate([tiles, (tiles[:2] + tiles[2:4]) // 2])
    return (
        tiles.repeat(height // 8, axis=2)
        .repeat(width // 8, axis=3)
        .astype(np.uint8)
        .reshape(len(tiles), -1)
    )


def initialised(nn, engine, name):
    """A network of the table and its optimiser."""
    nn.start(BACKENDS[engine], IMAGES, 1)
    name, _, cell = name.partition(' ')
    model, cost = models.build(name, nn, SHAPE, **({'rnn': cell} if cell else {}))
    model.initialize(SHAPE, cost)
    return model, nn.GradientDescentMomentum(1e-5, momentum_coef=0.9, wdecay=0.0005)


def train_and_save(engine, name, path):
    """Train a network for a step and save its checkpoint."""
    nn = engines.load(engine)
    model, optimizer = initialised(nn, engine, name)
    nn.train_step(model, pixels()[:IMAGES], np.arange(IMAGES) % 2, optimizer, 0)
    weights = nn.get_weights(model)
    weights.update(whole_statistics(weights))
    nn.set_weights(model, weights)
    checkpoint.save(
        path,
        nn.get_weights(model),
        nn.get_optimizer_state(model, optimizer),
        nn.get_random_state(),
        {'probabilities': nn.predict(model, pixels()).tolist()},
    )


def load_and_predict(engine, name, path):
    """Load a checkpoint with weights, optimiser state and random state.

    Returns
    -------
    probabilities : numpy.ndarray
        float32 (images, 2), of `pixels`.
    weights, optimizer_state : dict
        Read back from the engine.
    """
    saved = checkpoint.load(path)
    nn = engines.load(engine)
    model, optimizer = initialised(nn, engine, name)
    nn.set_weights(model, saved.weights)
    nn.set_optimizer_state(model, optimizer, saved.optimizer_state)
    nn.set_random_state(saved.random_state)
    return (
        nn.predict(model, pixels()),
        nn.get_weights(model),
        nn.get_optimizer_state(model, optimizer),
    )


def main(action, folder, *names):
    """Run the action of the command line, on neon."""
    for name in names:
        path = os.path.join(folder, name + '.npz')
        if action == 'save':
            train_and_save('neon', name, path)
        else:
            probabilities, weights, states = load_and_predict('neon', name, path)
            saved = checkpoint.load(path)
            with open(path[: -len('npz')] + 'json', 'w') as file:
                json.dump(
                    {
                        'probabilities': probabilities.tolist(),
                        'changed': changed(saved, weights, states),
                    },
                    file,
                )


def changed(saved, weights, states):
    """Return the names of weights and states that differ from those of the checkpoint."""
    names = [
        name for name in saved.weights if not np.array_equal(weights.get(name), saved.weights[name])
    ]
    names += [
        name
        for name in saved.optimizer_state
        if not np.array_equal(states.get(name), saved.optimizer_state[name])
    ]
    return sorted(
        set(names)
        | (set(weights) ^ set(saved.weights))
        | (set(states) ^ set(saved.optimizer_state))
    )


if __name__ == '__main__':
    main(*sys.argv[1:])
