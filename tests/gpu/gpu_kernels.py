"""One minibatch of every network of the table on neon's gpu backend, to record its kernels.

With ``CUDA_ON_CPU_LAUNCH=no`` no kernel runs, so that deep networks take seconds at the sizes of
the lecture.

PYTHONPATH=tests/gpu/standin:tests/parity:. CUDA_ON_CPU_LAUNCH=no CUDA_ON_CPU_RECORD=FOLDER \
    /path/to/neon/python tests/gpu/gpu_kernels.py
"""

import numpy as np
from gpu_models import IMAGES, SEED, nn

from neon_rnn import models, published


def train_once(name):
    """Train a network on one minibatch and predict another, at its own size of images."""
    nn.start('gpu', IMAGES, SEED)
    side = published.rows()[name].input_side
    shape = (3, side, side)
    model, cost = models.build(name, nn, shape)
    model.initialize(shape, cost)
    optimizer = nn.GradientDescentMomentum(
        published.LEARNING_RATE, momentum_coef=published.MOMENTUM_COEF, wdecay=published.WDECAY
    )
    images = np.zeros((IMAGES, int(np.prod(shape))), dtype=np.uint8)
    nn.train_step(model, images, np.arange(IMAGES) % 2, optimizer, 0)
    nn.predict(model, images)


if __name__ == '__main__':
    for row in published.rows():
        train_once(row)
        print(row, flush=True)
