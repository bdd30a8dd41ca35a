"""What the training loop calls: feed, train step, predict."""
from __future__ import annotations

from collections.abc import Iterator

import numpy
import torch

from neon_rnn.engines.torch import backend
from neon_rnn.engines.torch.model import Model
from neon_rnn.engines.torch.training import GradientDescentMomentum


def _images(model: Model, inputs) -> torch.Tensor:
    """uint8 (batch, C*H*W) -> a float tensor (batch, C, H, W) on the device."""
    active = backend.active()
    tensor = torch.as_tensor(inputs).to(active.device, non_blocking=True)
    return tensor.reshape(-1, *model.input_shape).to(active.dtype)


def _autocast():
    active = backend.active()
    return torch.autocast(active.device.type, torch.bfloat16, enabled=active.autocast)


def feed(minibatches) -> Iterator[tuple[numpy.ndarray, numpy.ndarray, int]]:
    """Iterate ``(inputs, labels, count)`` over `dataset.Minibatches`."""
    for minibatch in minibatches:
        yield minibatch.inputs, minibatch.labels, minibatch.count


def train_step(model: Model, inputs, labels, optimizer: GradientDescentMomentum, epoch: int) -> torch.Tensor:
    """Train on one minibatch.

    Parameters
    ----------
    model : Model
        Initialised, with its cost.
    inputs : array or tensor
        uint8 (batch, C*H*W).
    labels : array or tensor
        int (batch,).
    optimizer : GradientDescentMomentum
    epoch : int
        Counted from 0.

    Returns
    -------
    torch.Tensor
        The cost, a scalar on the device: ``float()`` waits for it.
    """
    model.layers.train()
    parameters = model.parameters
    for parameter in parameters:
        parameter.grad = None
    with _autocast():
        y = model.layers(_images(model, inputs))
    targets = torch.as_tensor(labels).to(y.device, torch.int64, non_blocking=True)
    assert model.cost is not None, 'initialize(input_shape, cost) comes first'
    cost = model.cost(y.to(backend.active().dtype), targets)
    cost.backward()
    optimizer.optimize(parameters, epoch)
    return cost.detach()


@torch.no_grad()
def predict(model: Model, inputs) -> numpy.ndarray:
    """Probabilities of any number of images, in inference mode.

    Parameters
    ----------
    inputs : array
        uint8 (n, C*H*W).

    Returns
    -------
    numpy.ndarray
        float32 (n, classes).
    """
    model.layers.eval()
    size = backend.active().batch_size
    with _autocast():
        parts = [model.layers(_images(model, inputs[first:first + size])).flatten(1).float().cpu()
                 for first in range(0, len(inputs), size)]
    return torch.cat(parts).numpy() if parts else numpy.zeros((0, *model.layers.out_shape[:1]), numpy.float32)
