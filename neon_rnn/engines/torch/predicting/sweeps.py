"""SpatialRNN in prediction: both directions of a step at once, nothing kept for a backward pass."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import torch

from neon_rnn.engines.torch.layers.transforms import Tanh
from neon_rnn.engines.torch.ops import matmul
from neon_rnn.engines.torch.ops.tanh import tanh
from neon_rnn.engines.torch.predicting.steps import Affine
from neon_rnn.engines.torch.recurrent.base import RecurrentLayer
from neon_rnn.engines.torch.recurrent.elman import BiRNN, Recurrent
from neon_rnn.engines.torch.spatial_rnn import SpatialRNN

#: Without a fast MKL, oneDNN computes one direction after the other where the recurrent weights of
#: both directions have so many numbers, or, in float32, where a step has so many: they do not stay
#: in the cache then. Otherwise one batched product computes both directions at once.
LARGE_STEP, LARGE_WEIGHTS = 8192, 2**18
#: With a fast MKL, steps in bfloat16 of at most so many numbers are computed in float32: for few
#: rows oneDNN takes longer to begin a product than MKL to compute it.
SMALL_STEP = 2**14


def can_sweep(layer: SpatialRNN) -> bool:
    """Tell whether `SweepStep` computes this layer: Elman networks with tanh."""
    return type(layer.vertical) in (Recurrent, BiRNN) and isinstance(
        layer.vertical.activation, Tanh
    )


class _Network:
    """One of the two networks: (steps * rows, features) -> (steps * D * rows, units).

    A row of the result is the state of one direction; the second one, if there is one, begins with
    the last step, so the states that are computed together lie together (`_in_time`).

    In float32 the states are not h = tanh(a) but g = (h + 1) / 2 = sigmoid(2 a), which PyTorch
    computes five times as fast. The factors and shifts that turn one into the other are in the
    weights: 2 a = 2 (W x + b) - 2 R 1 + 4 R g. bfloat16 would lose a digit of small h that way.

    Parameters
    ----------
    layer : RecurrentLayer
    affine : Affine or None
        What comes before it, for each channel of the input.
    dtype : torch.dtype
    rows : int
        Rows of a step at a time, for which the weights are put in order.

    Attributes
    ----------
    behind : Affine or None
        What turns the states into h.
    """

    def __init__(
        self, layer: RecurrentLayer, affine: Affine | None, dtype: torch.dtype, rows: int
    ) -> None:
        weight = layer.input.flatten(0, 1).double()
        bias, recurrent = layer.bias.flatten().double(), layer.recurrent.double()
        if affine is not None:
            places = weight.shape[1] // len(affine.scale)
            bias = bias + weight @ affine.shift.repeat(places)
            weight = weight * affine.scale.repeat(places)
        self.steps, self.directions = layer.in_shape[-1], layer.directions
        self.behind = self.first = None
        self.activation: Callable[..., torch.Tensor] = tanh
        if dtype == torch.float32:
            sums = recurrent.sum(2)  # (D, units): R 1
            # The state before the first step is h = 0, g = 1 / 2.
            self.first = 2 * sums[:, None].float()
            weight, bias, recurrent = 2 * weight, 2 * bias - 2 * sums.flatten(), 4 * recurrent
            ones = bias.new_ones(layer.output_features)
            self.behind = Affine(2 * ones, -ones)
            self.activation = torch.sigmoid
        self.weight = torch.ops.mkldnn._reorder_linear_weight(weight.to(dtype), self.steps * rows)
        self.bias = bias.to(dtype)
        self.packed: list[torch.Tensor] = []
        self.precise: torch.Tensor | None = None
        if not matmul.MKL_IS_FAST:
            self.packed = [
                torch.ops.mkldnn._reorder_linear_weight(each.to(dtype).contiguous(), rows)
                for each in recurrent
            ]
        elif dtype == torch.bfloat16:
            self.precise = recurrent.transpose(1, 2).float().contiguous()
        self.transposed = recurrent.transpose(1, 2).to(dtype).contiguous()
        self.large = recurrent.numel() > LARGE_WEIGHTS

    def __call__(self, x: torch.Tensor, in_time: torch.Tensor) -> torch.Tensor:
        states = torch.ops.mkldnn._linear_pointwise(x, self.weight, self.bias, 'none', [], '')
        states = states.view(len(in_time), -1).index_select(0, in_time)
        h = states.view(self.steps, self.directions, -1, states.shape[1])
        if self.first is not None:
            h[0].add_(self.first)
        self.activation(h[0], out=h[0])
        if self.precise is not None and h[0].numel() <= SMALL_STEP:
            precise = h.float()
            self._at_once(precise, self.precise)
            h.copy_(precise)
        elif self.packed and (
            self.large or (self.first is not None and h[0, 0].numel() >= LARGE_STEP)
        ):
            self._by_direction(h)
        else:
            self._at_once(h, self.transposed)
        return states

    def _by_direction(self, h: torch.Tensor) -> None:
        """Turn input products (steps, D, rows, units) into states, in place, by oneDNN."""
        product = torch.ops.mkldnn._linear_pointwise.binary
        for direction, weight in enumerate(self.packed):
            for before, now in itertools.pairwise(h[:, direction].unbind()):
                self.activation(product(before, now, weight, None, 'add'), out=now)

    def _at_once(self, h: torch.Tensor, weights: torch.Tensor) -> None:
        """The same, with one product for both directions, of weights (D, units, units)."""
        for before, now in itertools.pairwise(h.unbind()):
            self.activation(now.baddbmm_(before, weights), out=now)


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

    Attributes
    ----------
    behind : Affine or None
        What turns the output into that of the layer.
    """

    def __init__(
        self, layer: SpatialRNN, affine: Affine | None, dtype: torch.dtype, images: int
    ) -> None:
        self.block, self.dtype = layer.block_shape[1:], dtype
        _, self.down, self.across = layer.out_shape
        self.vertical = _Network(layer.vertical, affine, dtype, images * self.across)
        self.horizontal = _Network(
            layer.horizontal, self.vertical.behind, dtype, images * self.down
        )
        self.behind = self.horizontal.behind
        self._orders: dict[int, tuple[torch.Tensor, ...]] = {}

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        batch, channels = x.shape[:2]
        if batch not in self._orders:
            self._orders[batch] = self._order(batch)
        blocks, vertical, crosswise, horizontal, whole = self._orders[batch]
        pixels = x.to(self.dtype).permute(0, 2, 3, 1).reshape(-1, channels)
        h = pixels.index_select(0, blocks).view(self.down * batch * self.across, -1)
        h = self.vertical(h, vertical).index_select(0, crosswise)
        h = self.horizontal(h.view(self.across * batch * self.down, -1), horizontal)
        h = h.index_select(0, whole).view(batch, self.down, self.across, -1)
        return h.permute(0, 3, 1, 2)

    def _order(self, batch: int) -> tuple[torch.Tensor, ...]:
        """Return which rows to copy: into blocks, in time, crosswise, in time, into maps."""
        down, across, (rows, columns) = self.down, self.across, self.block
        directions = self.vertical.directions
        blocks = torch.arange(batch * down * rows * across * columns)
        blocks = blocks.view(batch, down, rows, across, columns).permute(1, 0, 3, 2, 4)
        vertical, back = _in_time(down, batch * across, directions)
        crosswise = back.view(down, batch, across, directions).permute(2, 1, 0, 3)
        horizontal, back = _in_time(across, batch * down, directions)
        whole = back.view(across, batch, down, directions).permute(1, 2, 0, 3)
        return tuple(each.flatten() for each in (blocks, vertical, crosswise, horizontal, whole))


def _in_time(steps: int, rows: int, directions: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the orders from (steps, rows, D) to (steps, D, rows), and back.

    In the second one, each direction begins with its own first step: the backward one with the
    last.
    """

    def turned(order: torch.Tensor) -> torch.Tensor:
        return torch.cat([order[..., :1], order[..., 1:].flip(0)], dim=-1)

    count = steps * rows * directions
    there = turned(torch.arange(count).view(steps, rows, directions)).transpose(1, 2)
    back = turned(torch.arange(count).view(steps, directions, rows).transpose(1, 2))
    return there, back
