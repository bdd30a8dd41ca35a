"""SpatialRNN in prediction: both directions of a step at once, nothing kept for a backward pass."""

from __future__ import annotations

import torch

from neon_rnn.engines.torch.layers.transforms import Tanh
from neon_rnn.engines.torch.predicting.steps import Affine
from neon_rnn.engines.torch.recurrent.base import RecurrentLayer
from neon_rnn.engines.torch.recurrent.elman import BiRNN, Recurrent
from neon_rnn.engines.torch.spatial_rnn import SpatialRNN

#: In float32, oneDNN computes one direction after the other where a step has so many numbers, or
#: where the recurrent weights of both directions have so many: they do not stay in the cache then.
#: Otherwise MKL computes both directions at once.
LARGE_STEP, LARGE_WEIGHTS = 8192, 2**18


def can_sweep(layer: SpatialRNN) -> bool:
    """Tell whether `SweepStep` computes this layer: Elman networks with tanh."""
    return type(layer.vertical) in (Recurrent, BiRNN) and isinstance(
        layer.vertical.activation, Tanh
    )


class _Network:
    """One of the two networks: (steps, rows, features) -> (D, steps, rows, units).

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
        self.directions = layer.directions
        self.behind = self.first = None
        if dtype == torch.float32:
            sums = recurrent.sum(2)  # (D, units): R 1
            self.first = (
                2 * sums[:, None].float()
            )  # the state before the first step is h = 0, g = 1 / 2
            weight, bias, recurrent = 2 * weight, 2 * bias - 2 * sums.flatten(), 4 * recurrent
            ones = bias.new_ones(layer.output_features)
            self.behind = Affine(2 * ones, -ones)
        steps = layer.in_shape[-1]
        self.weight = torch.ops.mkldnn._reorder_linear_weight(weight.to(dtype), steps * rows)
        self.bias = bias.to(dtype)
        recurrent = recurrent.to(dtype)
        self.transposed = recurrent.transpose(1, 2).contiguous()
        self.packed = None
        self.large = recurrent.numel() > LARGE_WEIGHTS
        if dtype == torch.float32:
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
        if self.packed is not None and (self.large or rows * h.shape[-1] >= LARGE_STEP):
            self._by_direction(h, self.packed)
        else:
            self._at_once(h)
        return h

    def _by_direction(self, h: torch.Tensor, packed: list[torch.Tensor]) -> None:
        """Turn input products (D, steps, rows, units) into states, in place, by oneDNN."""
        assert self.first is not None
        for direction, (states, weight) in enumerate(zip(h, packed, strict=True)):
            in_turn = list(states.unbind())[:: -1 if direction else 1]
            in_turn[0].add_(self.first[direction]).sigmoid_()
            for before, now in zip(in_turn[:-1], in_turn[1:], strict=True):
                total = torch.ops.mkldnn._linear_pointwise.binary(before, now, weight, None, 'add')
                torch.sigmoid(total, out=now)

    def _at_once(self, h: torch.Tensor) -> None:
        """The same, with one product for both directions."""
        in_turn = [_of_all_directions(h, step) for step in range(h.shape[1])]
        activation = torch.tanh_
        if self.first is not None:
            in_turn[0].add_(self.first)
            activation = torch.sigmoid_
        activation(in_turn[0])
        for before, now in zip(in_turn[:-1], in_turn[1:], strict=True):
            activation(now.baddbmm_(before, self.transposed))


def _of_all_directions(h: torch.Tensor, step: int) -> torch.Tensor:
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

    Attributes
    ----------
    behind : Affine or None
        What turns the output into that of the layer.
    """

    def __init__(
        self, layer: SpatialRNN, affine: Affine | None, dtype: torch.dtype, images: int
    ) -> None:
        self.block, self.dtype = layer.block_shape[1:], dtype
        _, down, across = layer.out_shape
        self.vertical = _Network(layer.vertical, affine, dtype, images * across)
        self.horizontal = _Network(layer.horizontal, self.vertical.behind, dtype, images * down)
        self.behind = self.horizontal.behind

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
