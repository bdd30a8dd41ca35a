"""What mobile networks need and neon lacks: depthwise convolution, padding as TensorFlow's, a clipped rectifier."""

from __future__ import annotations

import torch
from torch.nn import functional

from neon_rnn.engines.torch.layers.base import Layer, Weight, parameter
from neon_rnn.engines.torch.layers.feedforward import output_size
from neon_rnn.engines.torch.layers.transforms import Transform


class DepthwiseConvolution(Layer):
    """Cross-correlation of every feature map with a filter of its own.

    Parameters
    ----------
    fshape : tuple of int
        (rows, columns).
    strides, padding : int
    init : initialiser
        Of W (rows * columns, maps), the shape that neon gives to a convolution of one input map.
    """

    def __init__(self, fshape, strides=1, padding=0, init=None, name=None) -> None:
        super().__init__(name)
        self.fshape, self.strides, self.padding, self.init = tuple(fshape), strides, padding, init

    def configure(self, in_shape):
        super().configure(in_shape)
        sides = [
            output_size(side, window, self.padding, self.strides)
            for side, window in zip(in_shape[1:], self.fshape, strict=True)
        ]
        self.out_shape = (in_shape[0], *sides)
        return self.out_shape

    def draw(self, rng):
        packed = self.init.draw(rng, (self.fshape[0] * self.fshape[1], self.in_shape[0]))
        self.weight = parameter(packed.T.reshape(self.in_shape[0], 1, *self.fshape))

    def weights(self):
        shape = self.weight.shape
        yield Weight(
            'W',
            (self.weight,),
            lambda tensors: tensors[0].reshape(shape[0], -1).t(),
            lambda packed: [packed.t().reshape(shape)],
        )

    def forward(self, x):
        return functional.conv2d(
            x, self.weight, None, self.strides, self.padding, groups=self.in_shape[0]
        )


class SamePadding(Layer):
    """Zeros around a map so that a window of `size` moved by `strides` gives ceil(side / strides) positions.

    As in TensorFlow an odd number of zeros puts the one more behind the map.
    """

    def __init__(self, size: int, strides: int = 1, name=None) -> None:
        super().__init__(name)
        self.size, self.strides = size, strides

    def configure(self, in_shape):
        super().configure(in_shape)
        total = [
            max((-(-side // self.strides) - 1) * self.strides + self.size - side, 0)
            for side in in_shape[1:]
        ]
        (top, bottom), (left, right) = [(zeros // 2, zeros - zeros // 2) for zeros in total]
        self.zeros = (left, right, top, bottom)
        self.out_shape = (in_shape[0], in_shape[1] + total[0], in_shape[2] + total[1])
        return self.out_shape

    def forward(self, x):
        return functional.pad(x, self.zeros)


class ClippedRectlin(Transform):
    """y = min(max(x, 0), ceiling)."""

    def __init__(self, ceiling: float = 6, name: str | None = None) -> None:
        self.ceiling, self.name = ceiling, name

    def __call__(self, x):
        return torch.clamp(x, 0, self.ceiling)

    def derivative(self, y):
        return ((y > 0) & (y < self.ceiling)).to(y.dtype)
