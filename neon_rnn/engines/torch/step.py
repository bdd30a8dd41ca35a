"""The calls of the training loop for every minibatch: train step, predict."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import numpy
import torch

from neon_rnn.engines.torch import backend, distributed
from neon_rnn.engines.torch.fast.cuda_graph import StepGraph, can_record
from neon_rnn.engines.torch.layers.base import features
from neon_rnn.engines.torch.model import Model
from neon_rnn.engines.torch.optimizer import GradientDescentMomentum
from neon_rnn.engines.torch.predicting.network import predictor
from neon_rnn.support.errors import NeonRnnError

Array = numpy.ndarray | torch.Tensor


def train_step(
    model: Model, inputs: Array, labels: Array, optimizer: GradientDescentMomentum, epoch: int
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
        The cost of the minibatch of all ranks, a scalar on the device. ``float()`` waits for it.

    Raises
    ------
    NeonRnnError
        Another rank has ended, or there is not enough memory.
    """
    assert model.cost is not None, 'initialize(input_shape, cost) comes first'
    model.layers.train()
    device = backend.active().device
    images, targets = (
        torch.as_tensor(array).to(device, non_blocking=device.type == 'cuda')
        for array in (inputs, labels)
    )

    def step(images: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        return _step(model, images, targets, optimizer, epoch)

    if not can_record(model.layers):
        with distributed.lost_rank_reported(), _lack_of_memory_reported():
            return step(images, targets)
    if model.graph is None or not optimizer.velocity:
        # A new optimiser makes its velocities in its first step. If that step were recorded, every
        # replay would set them to zero.
        model.graph = StepGraph()
    rate = optimizer.schedule.get_learning_rate(optimizer.learning_rate, epoch)
    key = (rate, *(velocity.data_ptr() for velocity in optimizer.velocity.values()))
    with _lack_of_memory_reported():
        return model.graph(step, images, targets, key)


def _step(
    model: Model,
    images: torch.Tensor,
    targets: torch.Tensor,
    optimizer: GradientDescentMomentum,
    epoch: int,
) -> torch.Tensor:
    """Train on one minibatch that is on the device already."""
    assert model.cost is not None
    parameters = model.parameters
    for parameter in parameters:
        parameter.grad = None
    with _autocast():
        y = model.data_parallel(_pixels(model, images))
    cost = model.cost(y.to(backend.active().dtype), targets.to(torch.int64))
    cost.backward()
    optimizer.optimize(parameters, epoch)
    return distributed.sum_over_ranks(cost.detach() / distributed.ranks())


@torch.no_grad()
def predict(model: Model, inputs: numpy.ndarray) -> numpy.ndarray:
    """Compute the probabilities of any number of images, in inference mode.

    Several ranks share the work; all get the result.

    Parameters
    ----------
    model : Model
    inputs : array
        uint8 (n, C*H*W).

    Returns
    -------
    numpy.ndarray
        float32 (n, classes).

    Raises
    ------
    NeonRnnError
        Another rank has ended, or there is not enough memory.
    """
    if model.layers.training:
        model.layers.eval()
    active = backend.active()
    each = -(-len(inputs) // distributed.ranks())
    own = inputs[distributed.rank() * each : (distributed.rank() + 1) * each]
    probabilities = torch.zeros(each, features(model.layers.out_shape), device=active.device)
    with distributed.lost_rank_reported(), _lack_of_memory_reported():
        folded = predictor(model)
        if folded is None:
            _by_layers(model, own, probabilities)
        elif len(own):
            folded(own, probabilities[: len(own)])
        return distributed.gather_rows(probabilities)[: len(inputs)].cpu().numpy()


def _by_layers(model: Model, inputs: numpy.ndarray, probabilities: torch.Tensor) -> None:
    """Compute the probabilities of images by the layers, a minibatch at a time."""
    size = backend.active().batch_size
    with _autocast():
        for first in range(0, len(inputs), size):
            y = model.layers(_pixels(model, inputs[first : first + size]))
            probabilities[first : first + len(y)] = y.flatten(1)


def _pixels(model: Model, images: Array) -> torch.Tensor:
    """Turn uint8 (batch, C*H*W) into floats (batch, C, H, W) on the device."""
    active = backend.active()
    on_cuda = active.device.type == 'cuda'  # what follows has not been run on an Apple GPU
    tensor = torch.as_tensor(images).to(active.device, non_blocking=on_cuda)
    tensor = tensor.reshape(-1, *model.input_shape)
    layout = torch.contiguous_format
    if on_cuda and tensor.dim() == 4:
        layout = torch.channels_last  # on the CPU, the first layers change the layout
    return tensor.to(active.dtype, memory_format=layout)


def _autocast() -> torch.autocast:
    """Return the context in which layers run: bfloat16 products if the precision asks for them."""
    active = backend.active()
    return torch.autocast(active.device.type, torch.bfloat16, enabled=active.autocast)


@contextlib.contextmanager
def _lack_of_memory_reported() -> Iterator[None]:
    """Turn a lack of memory, of a GPU or of the machine, into an error that says what to do."""
    try:
        yield
    except RuntimeError as error:
        lacking = isinstance(error, torch.OutOfMemoryError) or any(
            words in str(error) for words in ("can't allocate memory", 'MPS backend out of memory')
        )
        if not lacking:
            raise
        active = backend.active()
        raise NeonRnnError(
            'not enough memory for minibatches of {} on {}; choose a smaller -z ({}).'.format(
                active.batch_size, active.device, str(error).splitlines()[0]
            )
        ) from error
