"""SpatialRNN for any PyTorch network: an ordinary ``torch.nn.Module`` without an engine.

``from neon_rnn import SpatialRNN`` gives this class. It computes with the engine's own sweeps.
"""

from __future__ import annotations

import math
import numbers
from collections.abc import Mapping
from typing import Any

import numpy
import torch

from neon_rnn.engines.torch.layers.base import Weight
from neon_rnn.engines.torch.layers.initializers import GlorotUniform
from neon_rnn.engines.torch.layers.transforms import Logistic, Tanh
from neon_rnn.engines.torch.recurrent.base import RecurrentLayer
from neon_rnn.engines.torch.recurrent.elman import BiRNN, Recurrent
from neon_rnn.engines.torch.recurrent.gru import GRU, BiGRU
from neon_rnn.engines.torch.recurrent.lstm import LSTM, BiLSTM
from neon_rnn.engines.torch.spatial_rnn import sweep_map
from neon_rnn.support.errors import UsageError

#: Value of `cell` -> (layer of one direction, bidirectional layer).
CELLS: dict[str, tuple[type[RecurrentLayer], type[RecurrentLayer]]] = {
    'rnn': (Recurrent, BiRNN),
    'lstm': (LSTM, BiLSTM),
    'gru': (GRU, BiGRU),
}


class SpatialRNN(torch.nn.Module):
    """Sweep the blocks of a feature map: each column of blocks, then each row of the result.

    The map is cut into blocks. A first recurrent network reads the blocks of a column as a
    sequence, with the same weights for every column. A second one reads the rows of its output.
    Each image starts from a zero state. After ReSeg (Visin et al., arXiv 1511.07053).

    Parameters
    ----------
    channels : int
        C of the input.
    hidden : int
        Units of each network and direction.
    block : tuple of int
        (rows, columns) of a block, in pixels of the map.
    cell : str
        ``'rnn'`` (tanh), ``'lstm'`` or ``'gru'``, in neon's formulas.
    bidirectional : bool
        Sweep in both directions and join the outputs.
    padding : bool
        Fill up a map that the blocks do not divide, with zeros below and to the right. Without it,
        such a map is an error.
    device, dtype : optional
        Of the parameters, as for the layers of PyTorch.

    Attributes
    ----------
    vertical, horizontal : RecurrentLayer
        The two networks, with parameters ``input`` (D, gates * hidden, features), ``recurrent``
        (D, gates * hidden, hidden) and ``bias`` (D, gates * hidden); D is 2 if bidirectional, else
        1. The features of a block are ordered (row in the block, column in the block, C).

    Raises
    ------
    UsageError
        A size is not a positive integer, or there is no such cell.

    Notes
    -----
    Input (batch, C, H, W). Output (batch, D * hidden, H / rows, W / columns), in the memory format
    of the input. H and W may change from call to call.
    """

    def __init__(
        self,
        channels: int,
        hidden: int,
        block: tuple[int, int] = (2, 2),
        cell: str = 'rnn',
        bidirectional: bool = True,
        padding: bool = False,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        if cell not in CELLS:
            raise UsageError(
                'SpatialRNN: there is no cell {!r}; the cells are {}.'.format(
                    cell, ', '.join(CELLS)
                )
            )
        if not isinstance(block, (tuple, list)) or len(block) != 2:
            raise UsageError(
                'SpatialRNN: block is {!r}; it has to be (rows, columns).'.format(block)
            )
        for name, size in (
            ('channels', channels),
            ('hidden', hidden),
            ('block', block[0]),
            ('block', block[1]),
        ):
            if not isinstance(size, numbers.Integral) or size < 1:
                raise UsageError(
                    'SpatialRNN: {} is {!r}; sizes have to be positive integers.'.format(name, size)
                )
        self.channels, self.hidden, self.block = int(channels), int(hidden), (*map(int, block),)
        self.cell, self.bidirectional, self.padding = cell, bidirectional, padding
        places = self.block[0] * self.block[1]
        self.vertical = self._network(self.channels, places)
        self.horizontal = self._network(self.vertical.output_features)
        for network in (self.vertical, self.horizontal):
            for name, shape in network.parameter_shapes().items():
                values = torch.empty(shape, device=device, dtype=dtype)
                network.register_parameter(name, torch.nn.Parameter(values))
        self.reset_parameters()

    def _network(self, channels: int, places: int | None = None) -> RecurrentLayer:
        """Return a network, without parameters, over blocks of `places` pixels or over vectors."""
        settings: dict[str, Any] = {'output_size': self.hidden, 'activation': Tanh()}
        if self.cell != 'rnn':
            settings['gate_activation'] = Logistic()
        network = CELLS[self.cell][self.bidirectional](init=GlorotUniform(), **settings)
        if places is not None:
            network.block = (channels, places)
        network.configure((channels * (places or 1), 1))
        return network

    def reset_parameters(self) -> None:
        """Give the weights random values, as the published network's, and the biases zero.

        The weights of each gate are uniform on (-k, k), k = sqrt(6 / (units + features)). They come
        from PyTorch's random numbers (``torch.manual_seed``).
        """
        for network in (self.vertical, self.horizontal):
            for weight in (network.input, network.recurrent):
                bound = math.sqrt(6 / (self.hidden + weight.shape[-1]))
                torch.nn.init.uniform_(weight, -bound, bound)
            torch.nn.init.zeros_(network.bias)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Compute (batch, C, H, W) -> (batch, D * hidden, H / rows, W / columns).

        Raises
        ------
        UsageError
            The input has other channels or not four axes, or the blocks do not divide it.
        """
        if x.dim() != 4 or x.shape[1] != self.channels:
            raise UsageError(
                'SpatialRNN: the input is {}; it has to be (batch, {}, height, width).'.format(
                    tuple(x.shape), self.channels
                )
            )
        below, right = (-size % step for size, step in zip(x.shape[2:], self.block, strict=True))
        if below or right:
            if not self.padding:
                raise UsageError(
                    'SpatialRNN: blocks of {} do not divide the map of {}. Choose other blocks, or '
                    'padding=True to fill it up with zeros.'.format(self.block, tuple(x.shape[2:]))
                )
            x = torch.nn.functional.pad(x, (0, right, 0, below))
        channels_last = not x.is_contiguous() and x.is_contiguous(memory_format=torch.channels_last)
        swept = sweep_map(x, self.block, self.vertical, self.horizontal)
        return swept.contiguous(
            memory_format=torch.channels_last if channels_last else torch.contiguous_format
        )

    def neon_weights(self) -> dict[str, numpy.ndarray]:
        """Return ``vertical.W`` and ``horizontal.W`` in neon's layout, as checkpoints hold them.

        Returns
        -------
        dict
            Name -> array (D * (features + hidden + 1), gates * hidden); a block is flattened
            (C, row, column).
        """
        return {
            name: weight.pack(weight.tensors).detach().cpu().numpy()
            for name, weight in self._weights().items()
        }

    @torch.no_grad()
    def load_neon_weights(self, weights: Mapping[str, Any]) -> None:
        """Take ``vertical.W`` and ``horizontal.W`` in neon's layout, see `neon_weights`.

        Raises
        ------
        UsageError
            One of them is missing, or has another shape.
        """
        for name, weight in self._weights().items():
            if name not in weights:
                raise UsageError(
                    'SpatialRNN: there is no {} among the weights {}.'.format(
                        name, ', '.join(sorted(weights))
                    )
                )
            values = torch.as_tensor(weights[name])
            expected = tuple(weight.pack(weight.tensors).shape)
            if tuple(values.shape) != expected:
                raise UsageError(
                    'SpatialRNN: {} has the shape {} here and {} among the weights.'.format(
                        name, expected, tuple(values.shape)
                    )
                )
            for tensor, part in zip(weight.tensors, weight.unpack(values), strict=True):
                tensor.copy_(part)

    def _weights(self) -> dict[str, Weight]:
        networks = {'vertical': self.vertical, 'horizontal': self.horizontal}
        return {
            weight.below(name).name: weight
            for name, network in networks.items()
            for weight in network.weights()
        }

    def __repr__(self) -> str:
        """Describe the layer in one line; its two networks follow from it."""
        return '{}({}, {}, block={}, cell={!r}, bidirectional={}{})'.format(
            type(self).__name__,
            self.channels,
            self.hidden,
            self.block,
            self.cell,
            self.bidirectional,
            ', padding=True' if self.padding else '',
        )
