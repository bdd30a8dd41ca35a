"""Recurrent cells for the PyTorch port: neon's order of gates, and its GRU, which `nn` lacks."""

from __future__ import annotations

import numpy
import torch
from torch import nn


def gate_order(cell: str, units: int) -> numpy.ndarray | None:
    """Return the rows of neon's gates in PyTorch's order; None if they agree.

    neon's LSTM has input, forget, output, modulation; PyTorch's input, forget, modulation, output.
    """
    if cell != 'lstm':
        return None
    return numpy.arange(4 * units).reshape(4, units)[[0, 1, 3, 2]].reshape(-1)


class Gru(nn.Module):
    """A GRU whose reset gate comes before the product, as in the paper (arXiv 1406.1078).

    That of `nn.GRU` comes behind it. The loop over the steps is what a user would write.
    """

    def __init__(self, features: int, units: int, batch_first: bool, bidirectional: bool) -> None:
        super().__init__()
        self.units, self.batch_first = units, batch_first
        self.endings = ('', '_reverse') if bidirectional else ('',)
        for ending in self.endings:
            self.register_parameter(
                'weight_ih_l0' + ending, nn.Parameter(torch.zeros(3 * units, features))
            )
            self.register_parameter(
                'weight_hh_l0' + ending, nn.Parameter(torch.zeros(3 * units, units))
            )
            self.register_parameter('bias_ih_l0' + ending, nn.Parameter(torch.zeros(3 * units)))

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, None]:
        x = x.transpose(0, 1) if self.batch_first else x
        swept = torch.cat([self._direction(x, ending) for ending in self.endings], dim=2)
        return (swept.transpose(0, 1) if self.batch_first else swept), None

    def _direction(self, x: torch.Tensor, ending: str) -> torch.Tensor:
        split = 2 * self.units
        recurrent = getattr(self, 'weight_hh_l0' + ending)
        products = nn.functional.linear(
            x, getattr(self, 'weight_ih_l0' + ending), getattr(self, 'bias_ih_l0' + ending)
        )
        h = products.new_zeros(x.shape[1], self.units)
        steps = range(len(x))
        hidden = [h] * len(x)
        for step in reversed(steps) if ending else steps:
            gates = torch.sigmoid(
                products[step, :, :split] + nn.functional.linear(h, recurrent[:split])
            )
            reset, update = gates.chunk(2, dim=1)
            candidate = torch.tanh(
                products[step, :, split:] + nn.functional.linear(reset * h, recurrent[split:])
            )
            h = (1 - update) * h + update * candidate
            hidden[step] = h
        return torch.stack(hidden)
