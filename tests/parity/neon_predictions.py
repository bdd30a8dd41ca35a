"""Train networks of the table for a step on real neon and save its checkpoint; `test_between_engines.py` runs this.

    PYTHONPATH=. /path/to/neon/python tests/parity/neon_predictions.py FOLDER

The probabilities that neon predicts for `pixels` are kept in the checkpoint's meta.
"""
import os
import sys

import numpy as np

from neon_rnn import checkpoint, engines, models

SHAPE = (3, 32, 32)
IMAGES = 4
#: Those on 50 layers (ResNet-50, TL) saturate on such small pictures, and amplify rounding to 2e-4 in a probability.
NETWORKS = ('fcnn-1', 'fcnn-2', 'fcnn-3', 'cnn-1', 'cnn-2', 'resnet-18', 'rnn')


def pixels():
    """uint8 (6, C*H*W): more than one minibatch."""
    return np.random.RandomState(1).randint(0, 256, (6, int(np.prod(SHAPE)))).astype(np.uint8)


def main(folder):
    nn = engines.load('neon')
    for name in NETWORKS:
        nn.start('numpy', IMAGES, 1)
        model, cost = models.build(name, nn, SHAPE)
        model.initialize(SHAPE, cost)
        optimizer = nn.GradientDescentMomentum(1e-5, momentum_coef=0.9, wdecay=0.0005)
        nn.train_step(model, pixels()[:IMAGES], np.arange(IMAGES) % 2, optimizer, 0)
        # after one minibatch the running statistics hold a tenth of its own; whole ones keep the softmax from saturating
        weights = nn.get_weights(model)
        for key in weights:
            if key.endswith(('.gmean', '.gvar')):
                weights[key] = weights[key] * 10
        nn.set_weights(model, weights)
        checkpoint.save(os.path.join(folder, name + '.npz'), nn.get_weights(model),
                        nn.get_optimizer_state(model, optimizer), nn.get_random_state(),
                        {'probabilities': nn.predict(model, pixels()).tolist()})


if __name__ == '__main__':
    main(sys.argv[1])
