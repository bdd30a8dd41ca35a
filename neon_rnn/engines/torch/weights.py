"""Get and set weights and optimiser state in neon's parameter structure (docs/architecture.md)."""

from __future__ import annotations

import collections
from collections.abc import Iterable, Mapping, Sequence

import numpy
import torch

from neon_rnn.engines.parameters import check_fit
from neon_rnn.engines.torch.layers.base import Weight
from neon_rnn.engines.torch.model import Model
from neon_rnn.engines.torch.optimizer import GradientDescentMomentum


def _packed(weight: Weight, tensors: Iterable[torch.Tensor]) -> numpy.ndarray:
    """Copy tensors in PyTorch's layout into an array in neon's."""
    return weight.pack([tensor.detach() for tensor in tensors]).contiguous().cpu().numpy().copy()


def _unpack(weight: Weight, packed: numpy.ndarray, tensors: Iterable[torch.Tensor]) -> None:
    """Write an array in neon's layout into tensors in PyTorch's."""
    with torch.no_grad():
        parts = weight.unpack(torch.from_numpy(numpy.ascontiguousarray(packed)))
        for tensor, part in zip(tensors, parts, strict=True):
            tensor.copy_(part)


def _shapes(weights: Iterable[Weight]) -> dict[str, tuple[int, ...]]:
    """Return name -> shape in neon's layout."""
    return {weight.name: tuple(weight.pack(weight.tensors).shape) for weight in weights}


def get_weights(model: Model) -> collections.OrderedDict[str, numpy.ndarray]:
    """Return every parameter and running statistic.

    Returns
    -------
    collections.OrderedDict
        Name -> array in neon's shape, float32 or float64 as the backend.
    """
    return collections.OrderedDict(
        (weight.name, _packed(weight, weight.tensors)) for weight in model.weights
    )


def set_weights(model: Model, weights: Mapping[str, numpy.ndarray]) -> None:
    """Put weights into a model of the same topology.

    Raises
    ------
    NeonRnnError
        Names or shapes differ. Nothing is changed.
    """
    check_fit(_shapes(model.weights), weights)
    for weight in model.weights:
        _unpack(weight, weights[weight.name], weight.tensors)


def get_optimizer_state(
    model: Model, optimizer: GradientDescentMomentum
) -> dict[str, list[numpy.ndarray]]:
    """Return the velocity of every trained parameter.

    Returns
    -------
    dict
        Name -> list of one array in neon's shape; empty before the first step.
    """
    if not optimizer.velocity:
        return {}
    return {
        weight.name: [_packed(weight, [optimizer.velocity[tensor] for tensor in weight.tensors])]
        for weight in model.weights
        if weight.trained
    }


def set_optimizer_state(
    model: Model,
    optimizer: GradientDescentMomentum,
    state: Mapping[str, Sequence[numpy.ndarray]],
) -> None:
    """Restore a state that `get_optimizer_state` of either engine returned.

    Raises
    ------
    NeonRnnError
        A parameter's state is missing, has another shape or belongs to no parameter. Nothing is
        changed.
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
