"""SpatialRNN in prediction: both directions of a step at once, nothing kept for a backward pass."""

from __future__ import annotations

import torch

from neon_rnn.engines.torch.layers.transforms import Tanh
from neon_rnn.engines.torch.predicting.steps import Affine
from neon_rnn.engines.torch.recurrent.base import RecurrentLayer
from neon_rnn.engines.torch.recurrent.elman import BiRNN, Recurrent
from neon_rnn.engines.torch.spatial_rnn import SpatialRNN

#: Rows of a step from which on oneDNN, one direction at a time, is faster in float32 than a batched
#: product of both directions.
ROWS = 64


def can_sweep(layer: SpatialRNN) -> bool:
    """Tell whether `SweepStep` computes this layer: Elman networks with tanh."""
    return type(layer.vertical) in (Recurrent, BiRNN) and isinstance(
        layer.vertical.activation, Tanh
    )


class _Network:
    """One of the two networks: (steps, rows, features) -> (D, steps, rows, units).

    Parameters
    ----------
    layer : Recurrent
    affine : Affine or None
        What comes before it, for each channel of the input.
    dtype : torch.dtype
    rows : int
        Rows of a step at a time, for which the weights are put in order.
    """

    def __init__(
        self, layer: RecurrentLayer, affine: Affine | None, dtype: torch.dtype, rows: int
    ) -> None:
        weight = layer.input.flatten(0, 1)
        bias = layer.bias.flatten()
        if affine is not None:
            places = weight.shape[1] // len(affine.scale)
            bias = bias + weight @ affine.shift.repeat(places)
            weight = weight * affine.scale.repeat(places)
        steps = layer.in_shape[-1]
        self.directions = layer.directions
        self.weight = torch.ops.mkldnn._reorder_linear_weight(weight.to(dtype), steps * rows)
        self.bias = bias.to(dtype)
        recurrent = layer.recurrent.to(dtype)
        self.transposed = recurrent.transpose(1, 2).contiguous()
        self.packed = None
        if dtype == torch.float32 and rows >= ROWS:
            self.packed = [
                torch.ops.mkldnn._reorder_linear_weight(each.contiguous(), rows)
                for each in recurrent
            ]

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        steps, rows, features = x.shape
        products = torch.ops.mkldnn._linear_pointwise(
            x.reshape(-1, features), self.weight, self.bias, 'none', [], ''
        ).reshape(steps, rows, self.directions, -1)
        h = products.permute(2, 0, 1, 3).contiguous()
        in_turn = [_at_once(h, step) for step in range(steps)]
        in_turn[0].tanh_()
        for before, now in zip(in_turn[:-1], in_turn[1:], strict=True):
            if self.packed is None or rows < ROWS:
                now.baddbmm_(before, self.transposed).tanh_()
            else:
                for state, total, weight in zip(before, now, self.packed, strict=True):
                    total.copy_(
                        torch.ops.mkldnn._linear_pointwise.binary(state, total, weight, None, 'add')
                    ).tanh_()
        return h


def _at_once(h: torch.Tensor, step: int) -> torch.Tensor:
    """View the step that every direction comes to at the same time: (D, rows, units).

    The second direction begins with the last step, so its view lies `steps - 1 - 2 * step` steps
    further on than the first one's.
    """
    _, steps, rows, units = h.shape
    size = rows * units
    return h.as_strided(
        (len(h), rows, units), ((2 * steps - 1 - 2 * step) * size, units, 1), step * size
    )


class SweepStep:
    """SpatialRNN with the batch norm before it folded into its input weights.

    Parameters
    ----------
    layer : SpatialRNN
    affine : Affine or None
        What comes before it, for each feature map.
    dtype : torch.dtype
    images : int
        Images at a time.
    """

    def __init__(
        self, layer: SpatialRNN, affine: Affine | None, dtype: torch.dtype, images: int
    ) -> None:
        self.block, self.dtype = layer.block_shape[1:], dtype
        _, down, across = layer.out_shape
        self.vertical = _Network(layer.vertical, affine, dtype, images * across)
        self.horizontal = _Network(layer.horizontal, None, dtype, images * down)

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        batch, channels, height, width = x.shape
        rows, columns = self.block
        down, across = height // rows, width // columns
        blocks = x.to(self.dtype).permute(0, 2, 3, 1)
        blocks = blocks.reshape(batch, down, rows, across, columns, channels)
        blocks = blocks.permute(1, 0, 3, 2, 4, 5)
        h = self.vertical(blocks.reshape(down, batch * across, rows * columns * channels))
        h = h.reshape(-1, down, batch, across, h.shape[-1]).permute(3, 2, 1, 0, 4)
        h = self.horizontal(h.reshape(across, batch * down, -1))
        h = h.reshape(-1, across, batch, down, h.shape[-1]).permute(2, 3, 1, 0, 4)
        return h.flatten(3).permute(0, 3, 1, 2)
