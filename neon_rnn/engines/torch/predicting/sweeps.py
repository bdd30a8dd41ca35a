"""SpatialRNN in prediction: nothing is kept for a backward pass, and little is copied."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import torch

from neon_rnn.engines.torch.layers.transforms import Tanh
from neon_rnn.engines.torch.ops import team
from neon_rnn.engines.torch.ops.tanh import tanh
from neon_rnn.engines.torch.predicting.steps import Affine, LinearStep
from neon_rnn.engines.torch.predicting.sweep_loops import Weights, recur, sweep_image
from neon_rnn.engines.torch.recurrent.base import RecurrentLayer
from neon_rnn.engines.torch.recurrent.elman import BiRNN, Recurrent
from neon_rnn.engines.torch.spatial_rnn import SpatialRNN

#: oneDNN computes one direction after the other where the recurrent weights of both directions have
#: so many numbers, or, in float32, where a step has so many: they do not stay in the cache then.
#: Otherwise one batched product computes both directions at once.
LARGE_STEP, LARGE_WEIGHTS = 8192, 2**18


def can_sweep(layer: SpatialRNN) -> bool:
    """Tell whether `sweep_step` makes a step of this layer: Elman networks with tanh."""
    return type(layer.vertical) in (Recurrent, BiRNN) and isinstance(
        layer.vertical.activation, Tanh
    )


def sweep_step(
    layer: SpatialRNN, affine: Affine | None, dtype: torch.dtype, images: int
) -> SweepStep:
    """Return the step that computes a layer, with what comes before it in its input weights.

    Parameters
    ----------
    layer : SpatialRNN
    affine : Affine or None
        What comes before it, for each feature map.
    dtype : torch.dtype
        To compute in: float32 or bfloat16.
    images : int
        Images at a time.
    """
    kind = CompiledSweeps if team.AVAILABLE else BatchedSweeps
    return kind(layer, affine, dtype, images)


def _folded(
    layer: RecurrentLayer, affine: Affine | None
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return a network's weights with what comes before it, for each channel of its input.

    They are (D * units, features), (D * units,) and recurrent (D, units, units), in float64.
    """
    weight = layer.input.flatten(0, 1).double()
    bias, recurrent = layer.bias.flatten().double(), layer.recurrent.double()
    if affine is not None:
        places = weight.shape[1] // len(affine.scale)
        bias = bias + weight @ affine.shift.repeat(places)
        weight = weight * affine.scale.repeat(places)
    return weight, bias, recurrent


class SweepStep:
    """SpatialRNN with the batch norm before it folded into its input weights.

    Attributes
    ----------
    behind : Affine or None
        What turns the output into that of the layer.
    """

    behind: Affine | None = None

    def __init__(self, layer: SpatialRNN, dtype: torch.dtype) -> None:
        self.block, self.dtype = layer.block_shape[1:], dtype
        _, self.down, self.across = layer.out_shape
        self._orders: dict[int, tuple[torch.Tensor, ...]] = {}

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        batch, channels = x.shape[:2]
        if batch not in self._orders:
            self._orders[batch] = tuple(each.flatten() for each in self._order(batch))
        blocks, *between, whole = self._orders[batch]
        pixels = x.to(self.dtype).permute(0, 2, 3, 1).reshape(-1, channels)
        h = pixels.index_select(0, blocks).view(batch * self.down * self.across, -1)
        h = self._swept(h, batch, *between)
        h = h.index_select(0, whole).view(batch, self.down, self.across, -1)
        return h.permute(0, 3, 1, 2)

    def _swept(self, h: torch.Tensor, batch: int, *between: torch.Tensor) -> torch.Tensor:
        """Compute the states of both networks from the pixels of each block."""
        raise NotImplementedError

    def _order(self, batch: int) -> tuple[torch.Tensor, ...]:
        """Return which rows to copy: into blocks, between the networks, and into maps."""
        raise NotImplementedError

    def _blocks(self, batch: int) -> torch.Tensor:
        """Return the place of each pixel in the maps: (batch, down, rows, across, columns)."""
        rows, columns = self.block
        count = batch * self.down * rows * self.across * columns
        return torch.arange(count).view(batch, self.down, rows, self.across, columns)


class _CompiledNetwork:
    """A network whose states take the places of its input products; see `sweep_loops`."""

    def __init__(
        self, layer: RecurrentLayer, affine: Affine | None, dtype: torch.dtype, rows: int
    ) -> None:
        weight, bias, recurrent = _folded(layer, affine)
        self.steps = layer.in_shape[-1]
        self.products = LinearStep(weight, bias, dtype, self.steps * rows)
        self.weights = Weights.of(weight, bias, recurrent.transpose(1, 2), dtype)

    def __call__(self, x: torch.Tensor, outer: int) -> torch.Tensor:
        """Compute rows (outer * steps * inner, features) -> (outer * steps * inner, D * units)."""
        states = self.products(x)
        shape = outer, self.steps, -1, *self.weights.recurrent.shape[:2]
        recur(states.view(shape), self.weights)
        return states


class CompiledSweeps(SweepStep):
    """The sweeps in compiled loops: of one image, the whole layer; else the steps of a network.

    Blocks lie column by column, (across, batch, down), from the first product to the last state.
    """

    def __init__(
        self, layer: SpatialRNN, affine: Affine | None, dtype: torch.dtype, images: int
    ) -> None:
        super().__init__(layer, dtype)
        self.vertical = _CompiledNetwork(layer.vertical, affine, dtype, images * self.across)
        self.horizontal = _CompiledNetwork(layer.horizontal, None, dtype, images * self.down)

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        if len(x) > 1:
            return super().__call__(x)
        image = x[0].to(self.dtype).permute(1, 2, 0).contiguous()
        weights = self.vertical.weights, self.horizontal.weights
        return sweep_image(image, self.down, self.across, *weights).permute(2, 0, 1)[None]

    def _swept(self, h: torch.Tensor, batch: int, *between: torch.Tensor) -> torch.Tensor:
        return self.horizontal(self.vertical(h, self.across * batch), 1)

    def _order(self, batch: int) -> tuple[torch.Tensor, ...]:
        whole = torch.arange(batch * self.down * self.across)
        return (
            self._blocks(batch).permute(3, 0, 1, 2, 4),
            whole.view(self.across, batch, self.down).permute(1, 2, 0),
        )


class _BatchedNetwork:
    """A network whose directions are computed together: (steps * rows) -> (steps * D * rows).

    A row of the result is the state of one direction; the second one, if there is one, begins with
    the last step, so the states that are computed together lie together (`_in_time`).

    In float32 the states are not h = tanh(a) but g = (h + 1) / 2 = sigmoid(2 a), which PyTorch
    computes five times as fast without MKL. The factors and shifts that turn one into the other are
    in the weights: 2 a = 2 (W x + b) - 2 R 1 + 4 R g. bfloat16 would lose a digit of small h that
    way.

    Attributes
    ----------
    behind : Affine or None
        What turns the states into h.
    """

    def __init__(
        self, layer: RecurrentLayer, affine: Affine | None, dtype: torch.dtype, rows: int
    ) -> None:
        weight, bias, recurrent = _folded(layer, affine)
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
        self.products = LinearStep(weight, bias, dtype, self.steps * rows)
        self.packed = [
            torch.ops.mkldnn._reorder_linear_weight(each.to(dtype).contiguous(), rows)
            for each in recurrent
        ]
        self.transposed = recurrent.transpose(1, 2).to(dtype).contiguous()
        self.large = recurrent.numel() > LARGE_WEIGHTS

    def __call__(self, x: torch.Tensor, in_time: torch.Tensor) -> torch.Tensor:
        states = self.products(x).view(len(in_time), -1).index_select(0, in_time)
        h = states.view(self.steps, self.directions, -1, states.shape[1])
        if self.first is not None:
            h[0].add_(self.first)
        self.activation(h[0], out=h[0])
        if self.large or (self.first is not None and h[0, 0].numel() >= LARGE_STEP):
            self._by_direction(h)
        else:
            self._at_once(h)
        return states

    def _by_direction(self, h: torch.Tensor) -> None:
        """Turn input products (steps, D, rows, units) into states, in place, by oneDNN."""
        product = torch.ops.mkldnn._linear_pointwise.binary
        for direction, weight in enumerate(self.packed):
            for before, now in itertools.pairwise(h[:, direction].unbind()):
                self.activation(product(before, now, weight, None, 'add'), out=now)

    def _at_once(self, h: torch.Tensor) -> None:
        """The same, with one product for both directions."""
        for before, now in itertools.pairwise(h.unbind()):
            self.activation(now.baddbmm_(before, self.transposed), out=now)


class BatchedSweeps(SweepStep):
    """The sweeps in operations of PyTorch, each for both directions of a step."""

    def __init__(
        self, layer: SpatialRNN, affine: Affine | None, dtype: torch.dtype, images: int
    ) -> None:
        super().__init__(layer, dtype)
        self.directions = layer.vertical.directions
        self.vertical = _BatchedNetwork(layer.vertical, affine, dtype, images * self.across)
        self.horizontal = _BatchedNetwork(
            layer.horizontal, self.vertical.behind, dtype, images * self.down
        )
        self.behind = self.horizontal.behind

    def _swept(self, h: torch.Tensor, batch: int, *between: torch.Tensor) -> torch.Tensor:
        vertical, crosswise, horizontal = between
        h = self.vertical(h, vertical).index_select(0, crosswise)
        return self.horizontal(h.view(self.across * batch * self.down, -1), horizontal)

    def _order(self, batch: int) -> tuple[torch.Tensor, ...]:
        down, across = self.down, self.across
        vertical, back = _in_time(down, batch * across, self.directions)
        crosswise = back.view(down, batch, across, self.directions).permute(2, 1, 0, 3)
        horizontal, back = _in_time(across, batch * down, self.directions)
        whole = back.view(across, batch, down, self.directions).permute(1, 2, 0, 3)
        return (
            self._blocks(batch).permute(1, 0, 3, 2, 4),
            *(vertical, crosswise, horizontal),
            whole,
        )


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
