"""Train 12 minibatches; write costs, weights and probabilities.

Runs alone, or as several ranks of torchrun. Exit status 3: the rank did not leave the group.
"""

import atexit
import os
import sys

import numpy as np

from neon_rnn import engines, models
from neon_rnn.data.dataset import Part
from neon_rnn.data.minibatches import Minibatches, epoch_order
from neon_rnn.engines.torch import distributed


def check_that_the_group_was_left():
    """End with status 3 otherwise: some of such ranks are aborted, some end well."""
    if distributed.running():
        os._exit(3)


def main(part_path, out, model_name, steps=12, batch=8):
    atexit.register(check_that_the_group_was_left)  # run after what the engine registers later
    nn = engines.load('torch')
    nn.start('cpu', batch, 3, threads=1)
    part = Part(part_path)
    model, cost = models.build(model_name, nn, part.shape)
    model.initialize(part.shape, cost)
    optimizer = nn.GradientDescentMomentum(0.01, momentum_coef=0.9, wdecay=0.0005)
    costs, epoch = [], 0
    while len(costs) < steps:
        epoch += 1
        for inputs, labels, _ in nn.feed(
            Minibatches(part, batch, epoch_order(part.count, 0, epoch))
        ):
            assert len(inputs) == len(labels) == batch // distributed.ranks()
            costs.append(float(nn.train_step(model, inputs, labels, optimizer, 0)))
    probabilities = nn.predict(model, part.read(np.arange(7)))
    if distributed.rank() == 0:
        np.savez(
            out,
            costs=costs[:steps],
            probabilities=probabilities,
            ranks=distributed.ranks(),
            **nn.get_weights(model),
        )


if __name__ == '__main__':
    main(*sys.argv[1:])
