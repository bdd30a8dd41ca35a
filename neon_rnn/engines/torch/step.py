"""What the training loop calls for every minibatch: train step, predict."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import numpy
import torch

from neon_rnn.engines.torch import backend, distributed
from neon_rnn.engines.torch.fast.cuda_graph import StepGraph, recordable
from neon_rnn.engines.torch.layers.base import features
from neon_rnn.engines.torch.model import Model
from neon_rnn.engines.torch.optimizer import GradientDescentMomentum
from neon_rnn.support.errors import NeonRnnError


def _images(model: Model, inputs) -> torch.Tensor:
    """uint8 (batch, C*H*W) -> a float tensor (batch, C, H, W) on the device."""
    active = backend.active()
    tensor = (
        torch.as_tensor(inputs).to(active.device, non_blocking=True).reshape(-1, *model.input_shape)
    )
    # on the CPU the first layers turn the pixels themselves
    layout = (
        torch.contiguous_format
        if active.device.type == 'cpu' or tensor.dim() < 4
        else torch.channels_last
    )
    return tensor.to(active.dtype, memory_format=layout)


def _autocast():
    active = backend.active()
    return torch.autocast(active.device.type, torch.bfloat16, enabled=active.autocast)


@contextlib.contextmanager
def _enough_memory() -> Iterator[None]:
    """Say what to do where memory runs out, of a GPU or of the machine."""
    try:
        yield
    except RuntimeError as error:
        if not isinstance(error, torch.OutOfMemoryError) and "can't allocate memory" not in str(
            error
        ):
            raise
        active = backend.active()
        raise NeonRnnError(
            'not enough memory for minibatches of {} on {}; choose a smaller -z ({}).'.format(
                active.batch_size, active.device, str(error).splitlines()[0]
            )
        ) from error


def train_step(
    model: Model, inputs, labels, optimizer: GradientDescentMomentum, epoch: int
) -> torch.Tensor:
    """Train on one minibatch.

    Parameters
    ----------
    model : Model
        Initialised, with its cost.
    inputs : array or tensor
        uint8 (batch, C*H*W); of several ranks, each gives its part.
    labels : array or tensor
        int (batch,).
    optimizer : GradientDescentMomentum
    epoch : int
        Counted from 0.

    Returns
    -------
    torch.Tensor
        The cost, of the minibatch of all ranks, a scalar on the device: ``float()`` waits for it.

    Raises
    ------
    NeonRnnError
        Another rank has ended, or there is not enough memory.
    """
    assert model.cost is not None, 'initialize(input_shape, cost) comes first'
    model.layers.train()
    device = backend.active().device
    images, targets = (
        torch.as_tensor(array).to(device, non_blocking=True) for array in (inputs, labels)
    )

    def step(images, targets):
        return _step(model, images, targets, optimizer, epoch)

    if recordable(model):
        if model.graph is None or not optimizer.velocity:
            # A new optimiser makes its velocities in its first step. Made while recording, every replay would zero them.
            model.graph = StepGraph()
        rate = optimizer.schedule.get_learning_rate(optimizer.learning_rate, epoch)
        with _enough_memory():
            return model.graph(
                step,
                images,
                targets,
                (rate, *(each.data_ptr() for each in optimizer.velocity.values())),
            )
    with distributed.together(), _enough_memory():
        return step(images, targets)


def _step(model, images, targets, optimizer, epoch) -> torch.Tensor:
    """The step itself, everything on the device already."""
    parameters = model.parameters
    for parameter in parameters:
        parameter.grad = None
    with _autocast():
        y = model.parallel(_images(model, images))
    cost = model.cost(y.to(backend.active().dtype), targets.to(torch.int64))
    cost.backward()
    optimizer.optimize(parameters, epoch)
    return distributed.total(cost.detach() / distributed.ranks())


@torch.no_grad()
def predict(model: Model, inputs) -> numpy.ndarray:
    """Probabilities of any number of images, in inference mode; several ranks share the work, all get the result.

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
    each = -(-len(inputs) // distributed.ranks())
    share = inputs[distributed.rank() * each : (distributed.rank() + 1) * each]
    probabilities = torch.zeros(
        each, features(model.layers.out_shape), device=backend.active().device
    )
    with _autocast(), distributed.together(), _enough_memory():
        for first in range(0, len(share), size):
            y = model.layers(_images(model, share[first : first + size]))
            probabilities[first : first + len(y)] = y.flatten(1)
        return distributed.gather(probabilities)[: len(inputs)].cpu().numpy()
