"""The base of every layer, and the names under which its weights are saved."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy
import torch

from neon_rnn.engines.torch import backend

Shape = tuple[int, ...]


class Weight(NamedTuple):
    """One of neon's named parameters, held here in one or more tensors.

    Attributes
    ----------
    name : str
        As neon serialises it: ``W``, ``weight_bias``, ``gmean`` ...
    tensors : tuple of torch.Tensor
        The values, in PyTorch's layout.
    pack : callable
        Turns tensors of those shapes into one tensor in neon's layout.
    unpack : callable
        Turns a tensor in neon's layout into tensors of those shapes.
    """

    name: str
    tensors: tuple[torch.Tensor, ...]
    pack: Callable[[Sequence[torch.Tensor]], torch.Tensor]
    unpack: Callable[[torch.Tensor], Sequence[torch.Tensor]]

    @property
    def trained(self) -> bool:
        """Tell whether the optimiser changes it; running statistics it does not."""
        return isinstance(self.tensors[0], torch.nn.Parameter)

    def below(self, place: str | int) -> Weight:
        """Return the same weight, named as part of the layer or container at `place`."""
        return self._replace(name='{}.{}'.format(place, self.name))


def column(name: str, tensor: torch.Tensor) -> Weight:
    """Describe a vector (K,) that neon keeps as (K, 1)."""
    return Weight(
        name,
        (tensor,),
        lambda tensors: tensors[0].reshape(-1, 1),
        lambda packed: [packed.reshape(-1)],
    )


def filters(name: str, tensor: torch.Tensor) -> Weight:
    """Describe the weight of a convolution, (K, C, R, S), that neon keeps as (C*R*S, K)."""
    shape = tensor.shape
    return Weight(
        name,
        (tensor,),
        lambda tensors: tensors[0].reshape(shape[0], -1).t(),
        lambda packed: [packed.t().reshape(shape)],
    )


def concatenated(name: str, tensors: tuple[torch.Tensor, ...], columns: int) -> Weight:
    """Describe tensors that neon keeps one after the other in one array (rows, `columns`)."""
    sizes = [tensor.numel() for tensor in tensors]
    shapes = [tensor.shape for tensor in tensors]

    def pack(parts: Sequence[torch.Tensor]) -> torch.Tensor:
        return torch.cat([part.reshape(-1) for part in parts]).reshape(-1, columns)

    def unpack(packed: torch.Tensor) -> Sequence[torch.Tensor]:
        parts = packed.reshape(-1).split(sizes)
        return [part.reshape(shape) for part, shape in zip(parts, shapes, strict=True)]

    return Weight(name, tensors, pack, unpack)


class Layer(torch.nn.Module):
    """A layer in neon's sense.

    `configure` fixes the shapes, `allocate` makes the parameters, `forward` computes. Shapes leave
    out the batch: (C, H, W), (features, steps) or (features,). Tensors are batch-first.
    """

    #: neon's word. Layers that work in place do not own their output. Their parameters are made in
    #: the order of the list only, see `Sequential.make_parameters`.
    owns_output = True

    def __init__(self, name: str | None = None) -> None:
        super().__init__()
        self.name = name or type(self).__name__
        self.in_shape: Shape = ()
        self.out_shape: Shape = ()
        self._allocated = False

    def configure(self, in_shape: Shape) -> Shape:
        """Fix the shapes for this input; return the shape of the output."""
        self.in_shape = self.out_shape = tuple(in_shape)
        return self.out_shape

    def allocate(self, rng: numpy.random.RandomState) -> None:
        """Make the parameters, once: a second call changes nothing, as in neon."""
        if not self._allocated:
            self._allocated = True
            self.make_parameters(rng)

    def make_parameters(self, rng: numpy.random.RandomState) -> None:
        """Make the parameters with their random initial values; layers without any do nothing."""

    def weights(self) -> Iterator[Weight]:
        """Iterate over the layer's parameters and running statistics, in neon's order."""
        return iter(())

    def extra_repr(self) -> str:
        return '{} -> {}'.format(self.in_shape, self.out_shape)


def parameter(values: numpy.ndarray) -> torch.nn.Parameter:
    """Make a parameter of float64 values, in the backend's precision and on its device."""
    active = backend.active()
    return torch.nn.Parameter(
        torch.from_numpy(numpy.ascontiguousarray(values)).to(active.dtype).to(active.device)
    )


def statistic(size: int) -> torch.Tensor:
    """Make a running statistic (size,), zero as neon starts it."""
    active = backend.active()
    return torch.zeros(size, dtype=active.dtype, device=active.device)


def features(shape: Shape) -> int:
    """Return the number of features of a shape."""
    return math.prod(shape)
