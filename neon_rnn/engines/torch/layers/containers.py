"""Containers: a sequence of layers, and the sum of several (neon/layers/container.py)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

import numpy
import torch

from neon_rnn.engines.torch.layers.base import Layer, Shape, Weight
from neon_rnn.support.errors import UsageError

#: One step of a container's forward pass: a layer, or something that computes several at once.
Step = Callable[[torch.Tensor], torch.Tensor]


def _flatten(layers: Iterable) -> Iterator[Layer]:
    """Iterate over nested lists of layers in order; a compound layer is a list."""
    for layer in layers:
        if isinstance(layer, (list, tuple)):
            yield from _flatten(layer)
        else:
            yield layer


class _Container(Layer):
    """A layer that holds layers; their positions name its weights."""

    layers: torch.nn.ModuleList

    def __iter__(self) -> Iterator[Layer]:
        for layer in self.layers:
            assert isinstance(layer, Layer)
            yield layer

    def make_parameters(self, rng: numpy.random.RandomState) -> None:
        for layer in self:
            layer.allocate(rng)

    def weights(self) -> Iterator[Weight]:
        for position, layer in enumerate(self):
            for weight in layer.weights():
                yield weight.below(position)


class Sequential(_Container):
    """Layers one after another; nested lists are flattened.

    Attributes
    ----------
    layers : torch.nn.ModuleList
    steps : list of callable
        What the forward pass runs: the layers, unless somebody has replaced groups of them by
        something that computes the same (`fast.fusion.fuse`).
    """

    def __init__(self, layers: Iterable, name: str | None = None) -> None:
        super().__init__(name)
        self.layers = torch.nn.ModuleList(_flatten(layers))
        if not self.layers:
            raise UsageError('a Sequential needs at least one layer.')
        self.steps: list[Step] = list(self)

    def configure(self, in_shape: Shape) -> Shape:
        super().configure(in_shape)
        for layer in self:
            in_shape = layer.configure(in_shape)
        self.out_shape = in_shape
        return self.out_shape

    def make_parameters(self, rng: numpy.random.RandomState) -> None:
        # As neon does: the last layer that owns its output is allocated before all the others, so
        # its random values come first.
        for layer in [layer for layer in self if layer.owns_output][-1:]:
            layer.allocate(rng)
        super().make_parameters(rng)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for step in self.steps:
            x = step(x)
        return x


class SkipNode(Layer):
    """Passes its input on: the shortcut of a residual block (He et al., arXiv 1512.03385)."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x


class MergeSum(_Container):
    """The sum of several pathways over the same input.

    Each pathway may be a layer, a list or a `Sequential`.
    """

    def __init__(self, layers: Iterable, name: str | None = None) -> None:
        super().__init__(name)
        self.layers = torch.nn.ModuleList(
            pathway
            if isinstance(pathway, Sequential)
            else Sequential(pathway if isinstance(pathway, list) else [pathway])
            for pathway in layers
        )

    def configure(self, in_shape: Shape) -> Shape:
        super().configure(in_shape)
        shapes = [tuple(pathway.configure(in_shape)) for pathway in self]
        if len(set(shapes)) > 1:
            raise UsageError('MergeSum: the pathways end in different shapes: {}.'.format(shapes))
        self.out_shape = shapes[0]
        return self.out_shape

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        first, *others = self
        total = first(x)
        for pathway in others:
            total = total + pathway(x)
        return total
