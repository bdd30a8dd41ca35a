"""SpatialRNN: recurrent networks sweep the blocks of a feature map, first its columns, then its rows.

After ReSeg (Visin et al., arXiv 1511.07053).
"""

from __future__ import annotations

import torch

from neon_rnn.engines.torch.layers.base import Layer, Weight
from neon_rnn.support.errors import UsageError


class SpatialRNN(Layer):
    """Cut the map into blocks p_ij, sweep each column of blocks, then each row of what comes out.

    The vertical network reads the blocks of a column as a sequence, o_ij = f(o_i-1,j, p_ij), with the same weights for
    every column; the horizontal one reads the rows of its output in the same way. A block is flattened as (C, block
    row, block column). Each image starts from a zero state. The vertical weights are drawn first.

    Parameters
    ----------
    input_shape : tuple of int
        (C, H, W).
    block_shape : tuple of int
        (C, rows, columns) of a block; rows divide H, columns divide W.
    RNN : type
        A recurrent layer of this engine, say `BiRNN`.
    RNN_params : dict
        Passed to it: ``output_size``, ``init``, ``activation`` ...

    Notes
    -----
    Input (batch, C, H, W), output (batch, F, H / rows, W / columns); F is 2 * output_size for a bidirectional network,
    output_size for a one-directional one.

    Raises
    ------
    UsageError
        The blocks do not divide the map, or the layer before makes another shape than `input_shape`.
    """

    def __init__(self, input_shape, block_shape, RNN, RNN_params, name=None) -> None:
        super().__init__(name)
        self.input_shape, self.block_shape = tuple(input_shape), tuple(block_shape)
        channels, height, width = self.input_shape
        depth, rows, columns = self.block_shape
        if depth != channels or min(rows, columns) < 1 or height % rows or width % columns:
            raise UsageError(
                'SpatialRNN: blocks {} do not divide the map {}: the channels must be equal, the rows '
                'divide {} and the columns divide {}.'.format(
                    self.block_shape, self.input_shape, height, width
                )
            )
        self.vertical = RNN(**RNN_params)
        self.horizontal = RNN(**RNN_params)

    def configure(self, in_shape):
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

    def draw(self, rng):
        self.vertical.allocate(rng)
        self.horizontal.allocate(rng)

    def weights(self):
        for name in ('vertical', 'horizontal'):
            for weight in getattr(self, name).weights():
                yield Weight(name + '.' + weight.name, *weight[1:])

    def forward(self, x):
        batch, channels = x.shape[:2]
        _, rows, columns = self.block_shape
        down, across = self.out_shape[1:]
        # (batch, down, I, across, J, C): the channels of one place lie together, as in a channels-last map
        blocks = x.permute(0, 2, 3, 1).reshape(batch, down, rows, across, columns, channels)
        columns_of_blocks = blocks.transpose(0, 1).transpose(2, 3).reshape(down, batch * across, -1)
        swept = self.vertical.sweep(columns_of_blocks).reshape(down, batch, across, -1)
        rows_of_blocks = swept.permute(2, 0, 1, 3).reshape(across, down * batch, -1)
        swept = self.horizontal.sweep(rows_of_blocks).reshape(across, down, batch, -1)
        return swept.permute(2, 3, 1, 0).contiguous(memory_format=torch.channels_last)
