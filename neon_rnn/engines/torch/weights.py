"""Weights and optimiser state, in and out, in neon's parameter structure (``docs/architecture.md``)."""

from __future__ import annotations

import collections

import numpy
import torch

from neon_rnn.engines.parameters import check_fit
from neon_rnn.engines.torch.layers.base import Weight
from neon_rnn.engines.torch.model import Model
from neon_rnn.engines.torch.optimizer import GradientDescentMomentum


def _packed(weight: Weight, tensors) -> numpy.ndarray:
    """Tensors in PyTorch's layout -> an array of their own in neon's."""
    return weight.pack([tensor.detach() for tensor in tensors]).contiguous().cpu().numpy().copy()


def _unpack(weight: Weight, packed: numpy.ndarray, tensors) -> None:
    """Write an array in neon's layout into tensors in PyTorch's."""
    with torch.no_grad():
        parts = weight.unpack(torch.from_numpy(numpy.ascontiguousarray(packed)))
        for tensor, part in zip(tensors, parts, strict=True):
            tensor.copy_(part)


def _shapes(weights) -> dict[str, tuple[int, ...]]:
    """Name -> shape in neon's layout."""
    return {weight.name: tuple(weight.pack(weight.tensors).shape) for weight in weights}


def get_weights(model: Model) -> collections.OrderedDict[str, numpy.ndarray]:
    """Every parameter and running statistic, name -> array in neon's shape, of the backend's type (float32 or float64)."""
    return collections.OrderedDict(
        (weight.name, _packed(weight, weight.tensors)) for weight in model.weights
    )


def set_weights(model: Model, weights) -> None:
    """Put weights into a model of the same topology.

    Raises
    ------
    NeonRnnError
        Names or shapes differ; nothing is changed then.
    """
    check_fit(_shapes(model.weights), weights)
    for weight in model.weights:
        _unpack(weight, weights[weight.name], weight.tensors)


def get_optimizer_state(
    model: Model, optimizer: GradientDescentMomentum
) -> dict[str, list[numpy.ndarray]]:
    """Name -> the state arrays (the velocity) of every trained parameter, in neon's shapes; empty before any step."""
    if not optimizer.velocity:
        return {}
    return {
        weight.name: [_packed(weight, [optimizer.velocity[tensor] for tensor in weight.tensors])]
        for weight in model.weights
        if weight.trained
    }


def set_optimizer_state(model: Model, optimizer: GradientDescentMomentum, state) -> None:
    """Put back what `get_optimizer_state` returned (in either engine).

    Raises
    ------
    NeonRnnError
        A parameter's state is missing, is too much, or has another shape; nothing is changed then.
    """
    trained = [weight for weight in model.weights if weight.trained]
    if state:
        check_fit(
            _shapes(trained),
            {name: arrays[0] for name, arrays in state.items()},
            what='optimiser states',
        )
    optimizer.velocity.clear()
    for weight in trained if state else ():
        velocities = [torch.zeros_like(tensor) for tensor in weight.tensors]
        _unpack(weight, state[weight.name][0], velocities)
        optimizer.velocity.update(zip(weight.tensors, velocities, strict=True))
