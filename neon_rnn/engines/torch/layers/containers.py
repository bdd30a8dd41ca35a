"""Containers: a pathway of layers, and the sum of several (neon/layers/container.py)."""

from __future__ import annotations

from collections.abc import Iterator

import torch

from neon_rnn.engines.torch.fast import stages
from neon_rnn.engines.torch.layers.base import Layer, Weight
from neon_rnn.support.errors import UsageError


def _flatten(layers) -> Iterator[Layer]:
    """Nested lists of layers (compound layers are lists) in order."""
    for layer in layers:
        if isinstance(layer, (list, tuple)):
            yield from _flatten(layer)
        else:
            yield layer


class Sequential(Layer):
    """Layers one after another; nested lists are flattened."""

    def __init__(self, layers, name=None) -> None:
        super().__init__(name)
        self.layers = torch.nn.ModuleList(_flatten(layers))
        if not self.layers:
            raise UsageError('a Sequential needs at least one layer.')

    def configure(self, in_shape):
        super().configure(in_shape)
        for layer in self.layers:
            in_shape = layer.configure(in_shape)
        self.out_shape = in_shape
        self.steps = stages.plan(self.layers)
        return self.out_shape

    def draw(self, rng):
        # As neon does: the last layer that owns its output is allocated, hence drawn, before all the others.
        last = [layer for layer in self.layers if layer.owns_output][-1:]
        for layer in [*last, *self.layers]:
            layer.allocate(rng)

    def weights(self):
        for position, layer in enumerate(self.layers):
            for weight in layer.weights():
                yield Weight('{}.{}'.format(position, weight.name), *weight[1:])

    def forward(self, x):
        for step in self.steps:
            x = step(x)
        return x


class SkipNode(Layer):
    """Passes its input on: the shortcut of a residual block (He et al., arXiv 1512.03385)."""

    def forward(self, x):
        return x


class MergeSum(Layer):
    """The sum of several pathways over the same input; each may be a layer, a list or a Sequential."""

    def __init__(self, layers, name=None) -> None:
        super().__init__(name)
        self.layers = torch.nn.ModuleList(
            layer
            if isinstance(layer, Sequential)
            else Sequential(layer if isinstance(layer, list) else [layer])
            for layer in layers
        )

    def configure(self, in_shape):
        super().configure(in_shape)
        shapes = [tuple(layer.configure(in_shape)) for layer in self.layers]
        if len(set(shapes)) > 1:
            raise UsageError('MergeSum: the pathways end in different shapes: {}.'.format(shapes))
        self.out_shape = shapes[0]
        return self.out_shape

    def draw(self, rng):
        for layer in self.layers:
            layer.allocate(rng)

    weights = Sequential.weights

    def forward(self, x):
        first, *rest = self.layers
        total = first(x)
        for layer in rest:
            total = total + layer(x)
        return total
