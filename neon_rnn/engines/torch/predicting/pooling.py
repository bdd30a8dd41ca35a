"""Max pooling in prediction: no positions are stored."""

from __future__ import annotations

import torch

from neon_rnn.engines.torch.layers.convolution import Pooling


class MaxPooling:
    """Max pooling without the positions of the largest values, which only training needs.

    PyTorch's own kernel always stores them, eight bytes each. Windows of 2 or 3 with a stride of 2
    are the largest of two or three shifted views, first of rows, then of columns.

    Parameters
    ----------
    layer : Pooling
    rectified : bool
        No number of the input is negative.
    """

    def __init__(self, layer: Pooling, rectified: bool = False) -> None:
        self.layer, self.rectified = layer, rectified
        _, height, width = layer.in_shape
        sizes = layer.window, layer.strides, layer.padding
        even = height % 2 == 0 and width % 2 == 0
        self.width = 0
        if even and sizes == ((3, 3), (2, 2), (1, 1)):
            self.width = 3
        elif even and sizes == ((2, 2), (2, 2), (0, 0)):
            self.width = 2

    def __call__(self, x: torch.Tensor, out: torch.Tensor | None = None) -> torch.Tensor:
        """Pool (n, C, H, W), into `out` if it is given."""
        if not self.width:
            pooled = self.layer(x)
            return pooled if out is None else out.copy_(pooled)
        if self.rectified and x.dtype == torch.bfloat16:
            # Numbers that are not negative are in the order of their bits, which are faster.
            bits = self(x.view(torch.int16), None if out is None else out.view(torch.int16))
            return bits.view(x.dtype)
        rows = self._largest(x.permute(0, 2, 3, 1), 1)
        target = None if out is None else out.permute(0, 2, 3, 1)
        return self._largest(rows, 2, target).permute(0, 3, 1, 2)

    def _largest(
        self, x: torch.Tensor, dimension: int, out: torch.Tensor | None = None
    ) -> torch.Tensor:
        """Return the largest of each window along a dimension of (n, H, W, C)."""
        first, second = (_every_second(x, dimension, start) for start in (0, 1))
        largest = (
            torch.maximum(first, second) if out is None else torch.maximum(first, second, out=out)
        )
        if self.width == 3:  # the window begins one place before `first`
            count = largest.shape[dimension] - 1
            inside = largest.narrow(dimension, 1, count)
            torch.maximum(inside, second.narrow(dimension, 0, count), out=inside)
        return largest


def _every_second(x: torch.Tensor, dimension: int, start: int) -> torch.Tensor:
    return x[(slice(None),) * dimension + (slice(start, None, 2),)]


class PooledStage:
    """Max pooling of rectified maps, and the batch norm that comes before it in the network.

    A scale and a shift change nothing about which value is the largest, unless the scale is
    negative. So they come behind the pooling: s x + t is s (x + t / s). The sum is computed here;
    the factor, for which the zeros of a padding are zeros still, is left to the next layer.

    Parameters
    ----------
    layer : Pooling
    scale, shift : torch.Tensor or None
        (C,); no scale is zero.
    dtype : torch.dtype

    Attributes
    ----------
    factor : torch.Tensor or None
        (C,): what the next layer has to multiply by.
    """

    def __init__(
        self,
        layer: Pooling,
        scale: torch.Tensor | None,
        shift: torch.Tensor | None,
        dtype: torch.dtype,
    ) -> None:
        self.shape = layer.out_shape
        self.sign = self.row = self.factor = None
        if scale is not None and shift is not None:
            self.factor = scale.abs()
            # A row of the map at once: with short runs of channels the sum takes thrice as long.
            self.row = (shift / self.factor).to(dtype).repeat(self.shape[2])
            if bool((scale < 0).any()):
                self.sign = torch.where(scale < 0, -1.0, 1.0).to(dtype)[None, :, None, None]
        self.pooling = MaxPooling(layer, rectified=self.sign is None)

    def __call__(self, x: torch.Tensor, out: torch.Tensor) -> None:
        """Compute the pooled maps of `x` into `out`."""
        self.pooling(x if self.sign is None else x * self.sign, out)
        if self.row is not None:
            out.permute(0, 2, 3, 1).view(-1, len(self.row)).add_(self.row)
