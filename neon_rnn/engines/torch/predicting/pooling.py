"""Max pooling in prediction: no places are kept, and batch norm's shift is added on the way."""

from __future__ import annotations

import itertools

import torch

from neon_rnn.engines.torch.layers.convolution import Pooling
from neon_rnn.engines.torch.ops import loops, team
from neon_rnn.engines.torch.ops.arrays import array
from neon_rnn.engines.torch.ops.pooling import Windows

#: What each of PyTorch's threads computes of a single image.
_LOOPS = {
    torch.float32: loops.largest_of_float32,
    torch.bfloat16: loops.largest_of_bfloat16,
}


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
        self.factor = None
        sign, added = torch.ones(self.shape[0]), torch.zeros(self.shape[0])
        if scale is not None and shift is not None:
            self.factor = scale.abs()
            sign, added = scale.sign().float(), (shift / self.factor).float()
        self.sign, self.shift = sign, added
        self.bits = torch.int16 if dtype == torch.bfloat16 else torch.int32
        self.flip: torch.Tensor | None = None
        if (sign < 0).any():
            self.flip = torch.zeros(len(sign), dtype=self.bits)
            self.flip[sign < 0] = torch.iinfo(self.bits).max

    def __call__(self, x: torch.Tensor, out: torch.Tensor) -> None:
        """Compute the pooled maps of `x`, (n, C, H, W) channels last, into `out`."""
        bits = x.permute(0, 2, 3, 1).contiguous().view(self.bits)
        pooled = out.permute(0, 2, 3, 1)
        _, rows, columns, _ = pooled.shape
        alone = len(x) == 1 and torch.get_num_threads() > 1
        if alone and team.AVAILABLE and self.flip is None:
            sizes = (*bits.shape[1:], rows, columns, *itertools.chain(*self.windows))
            team.run(_LOOPS[x.dtype], rows, sizes, bits, pooled, self.sign, self.shift)
            return
        flip = None if self.flip is None else self.flip.numpy()
        loops.largest_of_rectified(
            bits.numpy(),
            array(out),
            flip,
            self.sign.numpy(),
            self.shift.numpy(),
            *self.windows,
            0,
            rows,
        )
