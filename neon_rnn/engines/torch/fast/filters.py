"""The filters of a stage: its convolution and the gradients, as convolutions or matrix products.

Most are oneDNN's convolutions. On the small maps at the end of a residual network, its products
take less time:

- Filters of one pixel are a product already.
- If the map is so small that every window reads all of it, the filters make up a matrix from whole
  map to whole map. On maps of 2 x 2, five of nine products of a 3 x 3 filter are with padding; the
  matrix leaves them out.
- Few windows are copied out.

Maps are (batch, C, H, W) in the channels-last memory format. Nothing here is seen by autograd.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence

import torch
from torch.nn import functional

from neon_rnn.engines.torch.layers.convolution import Convolution
from neon_rnn.engines.torch.ops.matmul import (
    convolution,
    convolution_gradients,
    product,
    weight_gradient,
)

Gradients = tuple[torch.Tensor | None, torch.Tensor, torch.Tensor | None]

#: Up to so many windows of a map are copied out. Products of more save less than the copies cost.
FEW_WINDOWS = 16


def filters_of(layer: Convolution) -> Filters:
    """Choose how a configured convolution is computed."""
    windows = (layer.rows, layer.columns)
    if windows == (1, 1) and layer.padding == (0, 0):
        return PixelFilters(layer)
    within = all(
        padding + side <= window
        for padding, side, window in zip(layer.padding, layer.in_shape[1:], windows, strict=True)
    )
    if layer.init_bias is None and layer.dilation == (1, 1):
        if within and layer.strides == (1, 1):
            return WholeMapFilters(layer)
        if layer.out_shape[1] * layer.out_shape[2] <= FEW_WINDOWS:
            return WindowFilters(layer)
    return Filters(layer)


class Filters:
    """The filters of a convolution, as they are.

    Parameters
    ----------
    layer : Convolution
        Configured.
    """

    def __init__(self, layer: Convolution) -> None:
        self.layer = layer

    def operand(self, weight: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
        """Turn the layer's weight (K, C, R, S) into what `convolve` takes, of this type."""
        return weight.to(dtype, memory_format=torch.channels_last)

    def of_weight(self, gradient: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
        """Return the gradient of the weight from that of the operand."""
        return gradient.to(weight.dtype)

    def convolve(
        self,
        x: torch.Tensor,
        operand: torch.Tensor,
        bias: torch.Tensor | None,
        rectified: bool,
    ) -> torch.Tensor:
        """Convolve; the result is rectified if `rectified`."""
        layer = self.layer
        return convolution(
            x, operand, bias, layer.strides, layer.padding, layer.dilation, rectified
        )

    def gradients(
        self,
        error: torch.Tensor,
        x: torch.Tensor,
        operand: torch.Tensor,
        wanted: tuple[bool, bool, bool],
    ) -> Gradients:
        """Return the gradients of x, operand and bias; None for what is not `wanted`."""
        layer = self.layer
        return convolution_gradients(
            error, x, operand, layer.strides, layer.padding, layer.dilation, wanted
        )


class ProductFilters(Filters):
    """Filters whose convolution is the product of rows made of the map and a matrix, the operand.

    A row of the product has the outputs of one pixel or more, (pixels, K).
    """

    def rows(self, x: torch.Tensor) -> torch.Tensor:
        """Make the rows of the maps (n, C, H, W)."""
        raise NotImplementedError

    def of_maps(self, of_rows: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
        """Return the gradient of the maps `x` from that of their rows."""
        raise NotImplementedError

    def convolve(
        self,
        x: torch.Tensor,
        operand: torch.Tensor,
        bias: torch.Tensor | None,
        rectified: bool,
    ) -> torch.Tensor:
        y = product(self.rows(x), operand, None if bias is None else bias.to(x.dtype))
        y = _maps(y.view(-1, self.layer.maps), self.layer.out_shape[1:])
        return y.relu_() if rectified else y

    def gradients(
        self,
        error: torch.Tensor,
        x: torch.Tensor,
        operand: torch.Tensor,
        wanted: tuple[bool, bool, bool],
    ) -> Gradients:
        errors = _rows(error).view(-1, len(operand))
        of_x = self.of_maps(product(errors, operand.t()), x) if wanted[0] else None
        of_bias = errors.sum(0) if wanted[2] else None
        return of_x, weight_gradient(errors, self.rows(x)), of_bias


class PixelFilters(ProductFilters):
    """Filters of one pixel: the matrix (K, C) turns each pixel's channels into those of the output.

    With strides, only the pixels that the filters stand on are read.
    """

    def operand(self, weight: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
        return weight.to(dtype).flatten(1)

    def of_weight(self, gradient: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
        return gradient.to(weight.dtype).view(weight.shape)

    def rows(self, x: torch.Tensor) -> torch.Tensor:
        return _rows(self._pixels(x))

    def of_maps(self, of_rows: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
        of_pixels = _maps(of_rows, self.layer.out_shape[1:])
        if self.layer.strides == (1, 1):
            return of_pixels
        of_x = torch.zeros_like(x)
        self._pixels(of_x).copy_(of_pixels)
        return of_x

    def _pixels(self, x: torch.Tensor) -> torch.Tensor:
        rows, columns = self.layer.strides
        return x[:, :, ::rows, ::columns]


class WholeMapFilters(ProductFilters):
    """Filters whose windows all read the whole map: a matrix from whole map to whole map.

    Its rows are (H', W', K) of the output, its columns (H, W, C) of the input. Filters reach from
    every place of the output to every place of the map, so that nothing in it is 0. There is no
    bias.
    """

    def operand(self, weight: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
        channels, height, width = self.layer.in_shape
        maps, *sides = self.layer.out_shape
        matrix = weight.new_empty((*sides, maps, height, width, channels), dtype=dtype)
        for rows, window in self._windows(matrix, weight):
            rows.copy_(window)
        return matrix.flatten(0, 2).flatten(1)

    def of_weight(self, gradient: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
        of_weight = torch.zeros_like(weight)
        channels, height, width = self.layer.in_shape
        maps, *sides = self.layer.out_shape
        matrix = gradient.view(*sides, maps, height, width, channels)
        for rows, window in self._windows(matrix, of_weight):
            window += rows
        return of_weight

    def rows(self, x: torch.Tensor) -> torch.Tensor:
        return x.permute(0, 2, 3, 1).flatten(1)

    def of_maps(self, of_rows: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
        return _maps(of_rows.view(-1, x.shape[1]), x.shape[2:])

    def _windows(
        self, matrix: torch.Tensor, weight: torch.Tensor
    ) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        """Iterate over the places of the output: rows of the matrix, their part of the weight.

        Both are (K, H, W, C).
        """
        filters = weight.permute(0, 2, 3, 1)
        _, height, width = self.layer.in_shape
        for y, x in itertools.product(*map(range, self.layer.out_shape[1:])):
            top, left = self.layer.padding[0] - y, self.layer.padding[1] - x
            yield matrix[y, x], filters[:, top : top + height, left : left + width]


class WindowFilters(ProductFilters):
    """Filters with few windows, which are copied out: one row (R, S, C) for each; no bias."""

    def operand(self, weight: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
        return weight.to(dtype).permute(0, 2, 3, 1).flatten(1)

    def of_weight(self, gradient: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
        maps, channels, rows, columns = weight.shape
        gradient = gradient.to(weight.dtype).view(maps, rows, columns, channels)
        return gradient.permute(0, 3, 1, 2)

    def rows(self, x: torch.Tensor) -> torch.Tensor:
        rows, columns = self.layer.padding
        padded = functional.pad(x.permute(0, 2, 3, 1), (0, 0, columns, columns, rows, rows))
        return torch.stack(list(self._windows(padded)), dim=1).flatten(2).flatten(0, 1)

    def of_maps(self, of_rows: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
        layer, (batch, channels, height, width) = self.layer, x.shape
        top, left = layer.padding
        of_padded = x.new_zeros(batch, height + 2 * top, width + 2 * left, channels)
        of_windows = of_rows.view(batch, -1, layer.rows, layer.columns, channels).unbind(1)
        for window, of_window in zip(self._windows(of_padded), of_windows, strict=True):
            window += of_window
        of_x = of_padded[:, top : top + height, left : left + width].permute(0, 3, 1, 2)
        return of_x.contiguous(memory_format=torch.channels_last)

    def _windows(self, padded: torch.Tensor) -> Iterator[torch.Tensor]:
        """Iterate over the windows of maps with their padding, in the order of the output's pixels.

        (n, H, W, C) -> (n, R, S, C) each.
        """
        layer = self.layer
        for y, x in itertools.product(*map(range, layer.out_shape[1:])):
            top, left = y * layer.strides[0], x * layer.strides[1]
            yield padded[:, top : top + layer.rows, left : left + layer.columns]


def _rows(x: torch.Tensor) -> torch.Tensor:
    """View maps (n, C, H, W) as one row for each pixel, (n * H * W, C)."""
    return x.permute(0, 2, 3, 1).reshape(-1, x.shape[1])


def _maps(rows: torch.Tensor, sides: Sequence[int]) -> torch.Tensor:
    """View rows, one for each pixel, as maps (n, C, H, W)."""
    return rows.view(-1, *sides, rows.shape[1]).permute(0, 3, 1, 2)
