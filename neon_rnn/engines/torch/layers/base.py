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
        What holds it, in PyTorch's layout.
    pack : callable
        Tensors of those shapes -> one tensor in neon's layout.
    unpack : callable
        The way back.
    """

    name: str
    tensors: tuple[torch.Tensor, ...]
    pack: Callable[[Sequence[torch.Tensor]], torch.Tensor]
    unpack: Callable[[torch.Tensor], Sequence[torch.Tensor]]

    @property
    def trained(self) -> bool:
        """Whether the optimiser changes it (running statistics it does not)."""
        return isinstance(self.tensors[0], torch.nn.Parameter)


def column(name: str, tensor: torch.Tensor) -> Weight:
    """A vector (K,) that neon keeps as (K, 1)."""
    return Weight(
        name,
        (tensor,),
        lambda tensors: tensors[0].reshape(-1, 1),
        lambda packed: [packed.reshape(-1)],
    )


class Layer(torch.nn.Module):
    """A layer in neon's sense: `configure` fixes the shapes, `allocate` draws the parameters, `forward` computes.

    Shapes leave out the batch: (C, H, W), (features, steps) or (features,); tensors are batch-first.
    """

    owns_output = (
        True  # neon's word: layers that work in place do not, and are drawn in list order only
    )

    def __init__(self, name: str | None = None) -> None:
        super().__init__()
        self.name = name or type(self).__name__
        self.in_shape: Shape = ()
        self.out_shape: Shape = ()
        self._allocated = False

    def configure(self, in_shape: Shape) -> Shape:
        """Fix the shapes; returns the output's."""
        self.in_shape = self.out_shape = tuple(in_shape)
        return self.out_shape

    def allocate(self, rng: numpy.random.RandomState) -> None:
        """Draw the parameters, once: a second call changes nothing, as in neon."""
        if not self._allocated:
            self._allocated = True
            self.draw(rng)

    def draw(self, rng: numpy.random.RandomState) -> None:
        """Make and draw the parameters (layers without any draw nothing)."""

    def weights(self) -> Iterator[Weight]:
        """The layer's parameters and running statistics, in neon's order."""
        return iter(())

    def extra_repr(self) -> str:
        return '{} -> {}'.format(self.in_shape, self.out_shape)


def parameter(values: numpy.ndarray) -> torch.nn.Parameter:
    """Drawn float64 values as a parameter in the backend's precision and on its device."""
    active = backend.active()
    return torch.nn.Parameter(
        torch.from_numpy(numpy.ascontiguousarray(values)).to(active.dtype).to(active.device)
    )


def statistic(size: int) -> torch.Tensor:
    """A running statistic (size,), zero as neon starts it."""
    active = backend.active()
    return torch.zeros(size, dtype=active.dtype, device=active.device)


def features(shape: Shape) -> int:
    """The number of features of a shape."""
    return math.prod(shape)
