"""Max pooling in prediction: no places are kept, and batch norm's shift is added on the way."""

from __future__ import annotations

import numpy
import torch

from neon_rnn.engines.torch.layers.convolution import Pooling
from neon_rnn.engines.torch.ops import loops
from neon_rnn.engines.torch.ops.arrays import array
from neon_rnn.engines.torch.ops.pooling import Windows


class PooledStage:
    """Max pooling of rectified maps, and the batch norm that comes before it in the network.

    A scale and a shift change nothing about which value is the largest, unless the scale is
    negative: then it is the smallest. So they come behind the pooling: s x + t is
    |s| (sign x + t / |s|). The sum is computed here; the factor |s|, for which the zeros of a
    padding are zeros still, is left to the next layer.

    Parameters
    ----------
    layer : Pooling
    scale, shift : torch.Tensor or None
        (C,); no scale is zero.
    dtype : torch.dtype
        Of the maps: float32 or bfloat16.

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
        self.windows = Windows(layer.window, layer.strides, layer.padding)
        self.factor = self.flip = None
        sign, added = torch.ones(self.shape[0]), torch.zeros(self.shape[0])
        if scale is not None and shift is not None:
            self.factor = scale.abs()
            sign, added = scale.sign().float(), (shift / self.factor).float()
        self.sign, self.shift = sign.numpy(), added.numpy()
        self.bits = numpy.dtype(f'int{8 * dtype.itemsize}')
        if (self.sign < 0).any():
            largest = numpy.iinfo(self.bits).max
            self.flip = numpy.where(self.sign < 0, largest, 0).astype(self.bits)

    def __call__(self, x: torch.Tensor, out: torch.Tensor) -> None:
        """Compute the pooled maps of `x`, (n, C, H, W) channels last, into `out`."""
        bits = array(x).view(self.bits)
        loops.largest_of_rectified(
            bits, array(out), self.flip, self.sign, self.shift, *self.windows
        )
