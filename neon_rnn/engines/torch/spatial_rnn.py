"""SpatialRNN: recurrent networks sweep the blocks of a feature map, column by column, row by row.

After ReSeg (Visin et al., arXiv 1511.07053).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy
import torch

from neon_rnn.engines.torch.layers.base import Layer, Shape, Weight
from neon_rnn.engines.torch.recurrent.base import RecurrentLayer
from neon_rnn.support.errors import UsageError


class SpatialRNN(Layer):
    """Cuts the map into blocks, sweeps each column of blocks, then each row of the result.

    The vertical network reads the blocks p_ij of a column j as a sequence, o_ij = f(o_i-1,j, p_ij),
    with the same weights for every column. The horizontal network reads the rows of its output in
    the same way. A block is flattened as (C, block row, block column). Each image starts from a
    zero state. The vertical weights come first, also in the order of random initial values.

    Parameters
    ----------
    input_shape : tuple of int
        (C, H, W).
    block_shape : tuple of int
        (C, rows, columns) of a block; rows divide H, columns divide W.
    RNN : type
        A recurrent layer of this engine, for example `BiRNN`.
    RNN_params : dict
        Passed to it: ``output_size``, ``init``, ``activation`` ...

    Raises
    ------
    UsageError
        The blocks do not divide the map, or the layer before has another shape than `input_shape`.

    Notes
    -----
    Input (batch, C, H, W), output (batch, F, H / rows, W / columns). F is 2 * output_size for a
    bidirectional network, output_size for a one-directional one.
    """

    def __init__(
        self,
        input_shape: Shape,
        block_shape: Shape,
        RNN: type[RecurrentLayer],
        RNN_params: dict[str, Any],
        name: str | None = None,
    ) -> None:
        super().__init__(name)
        self.input_shape, self.block_shape = tuple(input_shape), tuple(block_shape)
        channels, height, width = self.input_shape
        depth, rows, columns = self.block_shape
        if depth != channels or min(rows, columns) < 1 or height % rows or width % columns:
            raise UsageError(
                'SpatialRNN: blocks {} do not divide the map {}: the channels must be equal, the '
                'rows divide {} and the columns divide {}.'.format(
                    self.block_shape, self.input_shape, height, width
                )
            )
        self.vertical = RNN(**RNN_params)
        self.horizontal = RNN(**RNN_params)

    def configure(self, in_shape: Shape) -> Shape:
        if tuple(in_shape) != self.input_shape:
            raise UsageError(
                'SpatialRNN was made for input {} but the layer before gives {}.'.format(
                    self.input_shape, tuple(in_shape)
                )
            )
        super().configure(in_shape)
        channels, height, width = self.input_shape
        _, rows, columns = self.block_shape
        self.vertical.block = (channels, rows * columns)
        depth, _ = self.vertical.configure((channels * rows * columns, height // rows))
        depth, _ = self.horizontal.configure((depth, width // columns))
        self.out_shape = (depth, height // rows, width // columns)
        return self.out_shape

    def make_parameters(self, rng: numpy.random.RandomState) -> None:
        self.vertical.allocate(rng)
        self.horizontal.allocate(rng)

    def weights(self) -> Iterator[Weight]:
        for name in ('vertical', 'horizontal'):
            for weight in getattr(self, name).weights():
                yield weight.below(name)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        swept = sweep_map(x, self.block_shape[1:], self.vertical, self.horizontal)
        return swept.contiguous(memory_format=torch.channels_last)


def sweep_map(
    x: torch.Tensor, block: Shape, vertical: RecurrentLayer, horizontal: RecurrentLayer
) -> torch.Tensor:
    """Sweep the columns of blocks of a map, then the rows of the result.

    Parameters
    ----------
    x : torch.Tensor
        (batch, C, H, W).
    block : tuple of int
        (rows, columns) of a block; they divide H and W.
    vertical, horizontal : RecurrentLayer
        The two networks. The features of a block come place by place, channels last.

    Returns
    -------
    torch.Tensor
        (batch, F, H / rows, W / columns), a view whose channels do not lie in that order.
    """
    return sweep_rows(sweep_columns(x, block, vertical), horizontal)


def sweep_columns(x: torch.Tensor, block: Shape, vertical: RecurrentLayer) -> torch.Tensor:
    """Sweep the columns of blocks of a map; return (H / rows, batch, W / columns, features)."""
    batch, channels, height, width = x.shape
    rows, columns = block
    down, across = height // rows, width // columns
    # (batch, down, rows, across, columns, C): the channels of one place lie together, as in a
    # channels-last map.
    blocks = x.permute(0, 2, 3, 1).reshape(batch, down, rows, across, columns, channels)
    columns_of_blocks = blocks.transpose(0, 1).transpose(2, 3)
    swept = vertical.sweep(
        columns_of_blocks.reshape(down, batch * across, rows * columns * channels)
    )
    return swept.reshape(down, batch, across, swept.shape[-1])


def sweep_rows(swept: torch.Tensor, horizontal: RecurrentLayer) -> torch.Tensor:
    """Sweep the rows of what `sweep_columns` returns; return what `sweep_map` does."""
    down, batch, across, features = swept.shape
    rows_of_blocks = swept.permute(2, 0, 1, 3)
    swept = horizontal.sweep(rows_of_blocks.reshape(across, down * batch, features))
    return swept.reshape(across, down, batch, swept.shape[-1]).permute(2, 3, 1, 0)
