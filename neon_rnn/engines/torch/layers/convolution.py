"""Layers whose window moves over the map: convolution and pooling (neon/layers/layer.py)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy
import torch
from torch.nn import functional

from neon_rnn.engines.torch.layers.base import Layer, Shape, Weight, column, filters, parameter
from neon_rnn.engines.torch.layers.initializers import Initializer
from neon_rnn.engines.torch.ops.matmul import rounded
from neon_rnn.support.errors import UsageError


def _pair(value: Any, keys: tuple[str, str], default: int) -> tuple[int, int]:
    """Return two numbers from neon's ways to give them.

    One int for both, a pair, or a dict with some of `keys`.
    """
    if isinstance(value, dict):
        return value.get(keys[0], default), value.get(keys[1], default)
    first, second = value if isinstance(value, tuple) else (value, value)
    return first, second


def output_size(size: int, window: int, padding: int, stride: int, dilation: int = 1) -> int:
    """Return floor((size - (dilation * (window - 1) + 1) + 2 * padding) / stride) + 1.

    Raises
    ------
    UsageError
        The window does not fit.
    """
    result = (size - (dilation * (window - 1) + 1) + 2 * padding) // stride + 1
    if result < 1:
        raise UsageError(
            'a window of {} (dilation {}, padding {}) does not fit a side of {} pixels.'.format(
                window, dilation, padding, size
            )
        )
    return result


class Convolution(Layer):
    """Cross-correlation with dilation and padding; with `bias` it is neon's ``Convolution_bias``.

    (batch, C, H, W) -> (batch, maps, H', W'), sides by `output_size`. Parameters as for
    `compound.Conv`; `strides`, `padding` and `dilation` may also be pairs.
    """

    def __init__(
        self,
        fshape: tuple[int, int, int],
        strides: Any,
        padding: Any,
        dilation: Any,
        init: Initializer,
        bias: Initializer | None = None,
        name: str | None = None,
    ) -> None:
        super().__init__(name)
        self.rows, self.columns, self.maps = fshape
        self.strides = _pair(strides, ('str_h', 'str_w'), 1)
        self.padding = _pair(padding, ('pad_h', 'pad_w'), 0)
        self.dilation = _pair(dilation, ('dil_h', 'dil_w'), 1)
        self.init, self.init_bias = init, bias
        self.bias: torch.nn.Parameter | None = None

    def configure(self, in_shape: Shape) -> Shape:
        super().configure(in_shape)
        windows = (self.rows, self.columns)
        sides = [
            output_size(*sizes)
            for sizes in zip(
                in_shape[1:], windows, self.padding, self.strides, self.dilation, strict=True
            )
        ]
        self.out_shape = (self.maps, *sides)
        return self.out_shape

    def make_parameters(self, rng: numpy.random.RandomState) -> None:
        packed = self.init.sample(rng, (self.in_shape[0] * self.rows * self.columns, self.maps))
        weight = parameter(packed.T.reshape(self.maps, -1, self.rows, self.columns))
        # For 1x1 filters both memory formats are the same, and a copy would mix up the strides.
        if self.rows * self.columns > 1:
            weight = torch.nn.Parameter(
                weight.detach().contiguous(memory_format=torch.channels_last)
            )
        self.weight = weight
        if self.init_bias is not None:
            self.bias = parameter(self.init_bias.sample(rng, (self.maps, 1))[:, 0])

    def weights(self) -> Iterator[Weight]:
        yield filters('W', self.weight)
        if self.bias is not None:
            yield column('weight_bias', self.bias)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        settings = self.strides, self.padding, self.dilation
        return rounded(functional.conv2d, x, self.weight, self.bias, *settings)


class Pooling(Layer):
    """Max or average pooling; max ignores the padding, average counts only real pixels.

    Parameters
    ----------
    fshape : int, (rows, columns), or 'all'
        The window; ``'all'`` is the whole map.
    op : {'max', 'avg'}
    strides : int or dict, optional
        Default (None, or neon's empty dict): the window, so that windows do not overlap.
    padding : int or dict
    """

    def __init__(
        self,
        fshape: Any,
        op: str = 'max',
        strides: Any = None,
        padding: Any = 0,
        name: str | None = None,
    ) -> None:
        super().__init__(name)
        if op not in ('max', 'avg'):
            raise UsageError("pooling is 'max' or 'avg', not {!r}.".format(op))
        self.fshape, self.op, self.given_strides = fshape, op, strides
        self.padding = _pair(padding, ('pad_h', 'pad_w'), 0)

    def configure(self, in_shape: Shape) -> Shape:
        super().configure(in_shape)
        sides = in_shape[1], in_shape[2]
        self.window = sides if self.fshape == 'all' else _pair(self.fshape, ('R', 'S'), 1)
        self.strides = (
            _pair(self.given_strides, ('str_h', 'str_w'), 1) if self.given_strides else self.window
        )
        self.out_shape = (
            in_shape[0],
            *(
                output_size(*sizes)
                for sizes in zip(sides, self.window, self.padding, self.strides, strict=True)
            ),
        )
        return self.out_shape

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if self.op == 'max':
            return functional.max_pool2d(x, self.window, self.strides, self.padding)
        return functional.avg_pool2d(
            x, self.window, self.strides, self.padding, count_include_pad=False
        )
