"""Weights and optimiser state, in and out, in neon's parameter structure (``docs/architecture.md``)."""
from __future__ import annotations

import collections

import numpy
import torch

from neon_rnn.checkpoint import check_fit
from neon_rnn.engines.torch.layer import Weight
from neon_rnn.engines.torch.model import Model
from neon_rnn.engines.torch.training import GradientDescentMomentum
from neon_rnn.errors import NeonRnnError


def _packed(weight: Weight, tensors) -> numpy.ndarray:
    """Tensors in PyTorch's layout -> an array of their own in neon's."""
    return weight.pack([tensor.detach() for tensor in tensors]).contiguous().cpu().numpy().copy()


def _unpack(weight: Weight, packed: numpy.ndarray, tensors) -> None:
    """Write an array in neon's layout into tensors in PyTorch's."""
    with torch.no_grad():
        parts = weight.unpack(torch.from_numpy(numpy.ascontiguousarray(packed)))
        for tensor, part in zip(tensors, parts, strict=True):
            tensor.copy_(part)


def get_weights(model: Model) -> collections.OrderedDict[str, numpy.ndarray]:
    """Every parameter and running statistic, name -> array in neon's shape."""
    return collections.OrderedDict((weight.name, _packed(weight, weight.tensors)) for weight in model.weights)


def set_weights(model: Model, weights) -> None:
    """Put weights into a model of the same topology.

    Raises
    ------
    NeonRnnError
        Names or shapes differ; nothing is changed then.
    """
    check_fit({weight.name: weight.pack(weight.tensors).shape for weight in model.weights}, weights)
    for weight in model.weights:
        _unpack(weight, weights[weight.name], weight.tensors)


def get_optimizer_state(model: Model, optimizer: GradientDescentMomentum) -> dict[str, list[numpy.ndarray]]:
    """Name -> the state arrays (the velocity) of every trained parameter, in neon's shapes; empty before any step."""
    if not optimizer.velocity:
        return {}
    return {weight.name: [_packed(weight, [optimizer.velocity[tensor] for tensor in weight.tensors])]
            for weight in model.weights if weight.trained}


def set_optimizer_state(model: Model, optimizer: GradientDescentMomentum, state) -> None:
    """Put back what `get_optimizer_state` returned (in either engine).

    Raises
    ------
    NeonRnnError
        A parameter's state is missing.
    """
    optimizer.velocity.clear()
    for weight in model.weights if state else []:
        if weight.trained:
            if weight.name not in state:
                raise NeonRnnError('the optimiser state lacks {}.'.format(weight.name))
            velocities = [torch.zeros_like(tensor) for tensor in weight.tensors]
            _unpack(weight, state[weight.name][0], velocities)
            optimizer.velocity.update(zip(weight.tensors, velocities, strict=True))
