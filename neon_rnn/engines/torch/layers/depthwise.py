"""Layers of mobile networks that neon does not have.

Depthwise convolution, padding as TensorFlow's, a clipped rectifier.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy
import torch
from torch.nn import functional

from neon_rnn.engines.torch.layers.base import Layer, Shape, Weight, filters, parameter
from neon_rnn.engines.torch.layers.convolution import output_size
from neon_rnn.engines.torch.layers.initializers import Initializer
from neon_rnn.engines.torch.layers.transforms import Transform
from neon_rnn.engines.torch.ops.matmul import rounded


class DepthwiseConvolution(Layer):
    """Cross-correlation of every feature map with a filter of its own.

    Parameters
    ----------
    fshape : tuple of int
        (rows, columns).
    init : initialiser
        Of W (rows * columns, maps), the shape that neon gives to a convolution of one input map.
    strides, padding : int
    """

    def __init__(
        self,
        fshape: tuple[int, int],
        init: Initializer,
        strides: int = 1,
        padding: int = 0,
        name: str | None = None,
    ) -> None:
        super().__init__(name)
        self.rows, self.columns = fshape
        self.strides, self.padding, self.init = strides, padding, init

    def configure(self, in_shape: Shape) -> Shape:
        super().configure(in_shape)
        maps, height, width = in_shape
        self.out_shape = (
            maps,
            output_size(height, self.rows, self.padding, self.strides),
            output_size(width, self.columns, self.padding, self.strides),
        )
        return self.out_shape

    def make_parameters(self, rng: numpy.random.RandomState) -> None:
        maps = self.in_shape[0]
        packed = self.init.sample(rng, (self.rows * self.columns, maps))
        self.weight = parameter(packed.T.reshape(maps, 1, self.rows, self.columns))

    def weights(self) -> Iterator[Weight]:
        yield filters('W', self.weight)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        settings = self.strides, self.padding, 1, self.in_shape[0]  # dilation 1, a group a map
        return rounded(functional.conv2d, x, self.weight, None, *settings)


class SamePadding(Layer):
    """Zeros around a map: a window of `size` moved by `strides` has ceil(side / strides) positions.

    As in TensorFlow, the odd zero goes behind the map.
    """

    def __init__(self, size: int, strides: int = 1, name: str | None = None) -> None:
        super().__init__(name)
        self.size, self.strides = size, strides

    def configure(self, in_shape: Shape) -> Shape:
        super().configure(in_shape)
        maps, height, width = in_shape
        down, across = self._zeros(height), self._zeros(width)
        left, top = across // 2, down // 2
        self.zeros = (left, across - left, top, down - top)
        self.out_shape = (maps, height + down, width + across)
        return self.out_shape

    def _zeros(self, side: int) -> int:
        """Count the zeros that a side needs, before and behind it together."""
        positions = -(-side // self.strides)
        return max((positions - 1) * self.strides + self.size - side, 0)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return functional.pad(x, self.zeros)


class ClippedRectlin(Transform):
    """y = min(max(x, 0), ceiling)."""

    def __init__(self, ceiling: float = 6, name: str | None = None) -> None:
        self.ceiling, self.name = ceiling, name

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        return torch.clamp(x, 0, self.ceiling)

    def derivative(self, y: torch.Tensor) -> torch.Tensor:
        return ((y > 0) & (y < self.ceiling)).to(y.dtype)
