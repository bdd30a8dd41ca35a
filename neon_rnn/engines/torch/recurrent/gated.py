"""Cells with gates: LSTM and GRU, in one direction and in two (neon/layers/recurrent.py).

neon has no bidirectional GRU.
"""

from __future__ import annotations

import torch

from neon_rnn.engines.torch.layers.initializers import Initializer
from neon_rnn.engines.torch.layers.transforms import Transform
from neon_rnn.engines.torch.recurrent.base import RecurrentLayer, visits
from neon_rnn.support.errors import UsageError

#: The hidden state first, each (batch, units).
State = tuple[torch.Tensor, ...]


class GatedLayer(RecurrentLayer):
    """A cell with gates: `step` computes the next state from the products of one step.

    Parameters
    ----------
    activation, gate_activation : transform
        Both are required. The other parameters are those of `RecurrentLayer`.

    Raises
    ------
    UsageError
        One of them is missing.
    """

    state_size = 1

    def __init__(
        self,
        output_size: int,
        init: Initializer,
        init_inner: Initializer | None = None,
        activation: Transform | None = None,
        gate_activation: Transform | None = None,
        reset_cells: bool = False,
        name: str | None = None,
    ) -> None:
        super().__init__(output_size, init, init_inner, activation, reset_cells, name)
        if activation is None or gate_activation is None:
            raise UsageError(
                '{} needs activation and gate_activation (as in neon).'.format(type(self).__name__)
            )
        self.gate_activation: Transform = gate_activation

    def step(self, products: torch.Tensor, recurrent: torch.Tensor, state: State) -> State:
        """Compute one step of one direction.

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

    def states(self, x: torch.Tensor) -> torch.Tensor:
        products = self.input_products(x)
        steps, batch = x.shape[:2]
        swept = []
        for direction in range(self.directions):
            state: State = (products.new_zeros(batch, self.units),) * self.state_size
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

    def step(self, products: torch.Tensor, recurrent: torch.Tensor, state: State) -> State:
        h, c = state
        total = torch.addmm(products, h, recurrent.t())
        input_gate, forget_gate, output_gate = self.gate_activation(
            total[:, : 3 * self.units]
        ).chunk(3, dim=1)
        c = forget_gate * c + input_gate * self.activation(total[:, 3 * self.units :])
        return output_gate * self.activation(c), c


class BiLSTM(LSTM):
    """Two LSTMs, one for each direction."""

    directions = 2


class GRU(GatedLayer):
    """Gated recurrent unit (Cho et al., arXiv 1406.1078).

    Gates in neon's order: reset r, update z, candidate.
    h_t = (1 - z) h_t-1 + z f(W x + R (r * h_t-1) + b).
    """

    gates = 3

    def step(self, products: torch.Tensor, recurrent: torch.Tensor, state: State) -> State:
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
    """Two GRUs, one for each direction; weights in the order of neon's other Bi layers."""

    directions = 2
