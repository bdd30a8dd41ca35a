"""Cells with gates: LSTM and GRU, in one direction and in two; neon has no bidirectional GRU (neon/layers/recurrent.py)."""

from __future__ import annotations

import torch

from neon_rnn.engines.torch.recurrent.base import RecurrentLayer, visits
from neon_rnn.support.errors import UsageError


class GatedLayer(RecurrentLayer):
    """A cell with gates: `step` makes the next state from the products of one step.

    Parameters
    ----------
    activation, gate_activation : transform
        Both are needed; the rest as for `RecurrentLayer`.

    Raises
    ------
    UsageError
        One of them is missing.
    """

    def __init__(
        self,
        output_size,
        init,
        init_inner=None,
        activation=None,
        gate_activation=None,
        reset_cells=False,
        name=None,
    ) -> None:
        super().__init__(output_size, init, init_inner, activation, reset_cells, name)
        if activation is None or gate_activation is None:
            raise UsageError(
                '{} needs activation and gate_activation (as in neon).'.format(type(self).__name__)
            )
        self.gate_activation = gate_activation

    def step(self, products, recurrent, state):
        """One step of one direction.

        Parameters
        ----------
        products : torch.Tensor
            (batch, gates * units): W x + b.
        recurrent : torch.Tensor
            (gates * units, units).
        state : tuple of torch.Tensor
            The hidden state first, each (batch, units).

        Returns
        -------
        tuple of torch.Tensor
            As `state`.
        """
        raise NotImplementedError

    state_size = 1

    def states(self, x):
        products = self.input_products(x)
        steps, batch = x.shape[:2]
        swept = []
        for direction in range(self.directions):
            state = (products.new_zeros(batch, self.units),) * self.state_size
            hidden = [products] * steps
            for step in visits(steps, direction):
                state = self.step(products[step, :, direction], self.recurrent[direction], state)
                hidden[step] = state[0]
            swept.append(torch.stack(hidden))
        return torch.stack(swept, dim=2)


class LSTM(GatedLayer):
    """Long short-term memory (Hochreiter and Schmidhuber, 1997).

    Gates in neon's order: input, forget, output, modulation.
    """

    gates = 4
    state_size = 2

    def step(self, products, recurrent, state):
        h, c = state
        total = torch.addmm(products, h, recurrent.t())
        input_gate, forget_gate, output_gate = self.gate_activation(
            total[:, : 3 * self.units]
        ).chunk(3, dim=1)
        c = forget_gate * c + input_gate * self.activation(total[:, 3 * self.units :])
        return output_gate * self.activation(c), c


class BiLSTM(LSTM):
    """Two LSTMs, one a direction."""

    directions = 2


class GRU(GatedLayer):
    """Gated recurrent unit (Cho et al., arXiv 1406.1078); gates in neon's order: reset, update, candidate.

    h_t = (1 - z) h_t-1 + z f(W x + R (r * h_t-1) + b).
    """

    gates = 3

    def step(self, products, recurrent, state):
        (h,) = state
        split = 2 * self.units
        reset, update = self.gate_activation(
            torch.addmm(products[:, :split], h, recurrent[:split].t())
        ).chunk(2, dim=1)
        candidate = self.activation(
            torch.addmm(products[:, split:], reset * h, recurrent[split:].t())
        )
        return ((1 - update) * h + update * candidate,)


class BiGRU(GRU):
    """Two GRUs, one a direction, drawn and saved in the pattern of neon's other Bi layers."""

    directions = 2
