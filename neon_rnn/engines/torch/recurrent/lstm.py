"""LSTM cells, in one direction and in two (neon/layers/recurrent.py)."""

from __future__ import annotations

from typing import NamedTuple

import torch

from neon_rnn.engines.torch.ops.matmul import product
from neon_rnn.engines.torch.recurrent.gated import GatedLayer


class LstmMemory(NamedTuple):
    """What a step of an LSTM leaves behind: (batch, units) each, the gates (batch, 3 * units)."""

    h: torch.Tensor
    c: torch.Tensor
    gates: torch.Tensor  # input, forget, output
    modulation: torch.Tensor
    activated: torch.Tensor  # of c


class LSTM(GatedLayer):
    """Long short-term memory (Hochreiter and Schmidhuber, 1997).

    Gates in neon's order: input, forget, output, modulation.
    """

    gates = 4
    memory = LstmMemory

    def step(
        self, products: torch.Tensor, recurrent: torch.Tensor, before: LstmMemory | None
    ) -> LstmMemory:
        total = products if before is None else product(before.h, recurrent, add=products)
        gates = self.gate_activation(total[:, : 3 * self.units])
        modulation = self.activation(total[:, 3 * self.units :])
        input_gate, forget_gate, output_gate = gates.chunk(3, dim=1)
        c = input_gate * modulation
        if before is not None:
            c = torch.addcmul(c, forget_gate, before.c)
        activated = self.activation(c)
        return LstmMemory(output_gate * activated, c, gates, modulation, activated)

    def step_back(
        self,
        error: torch.Tensor,
        later: tuple[torch.Tensor, torch.Tensor] | None,
        recurrent: torch.Tensor,
        now: LstmMemory,
        before: LstmMemory | None,
    ) -> tuple[torch.Tensor, tuple[torch.Tensor, torch.Tensor]]:
        input_gate, forget_gate, output_gate = now.gates.chunk(3, dim=1)
        if later is not None:
            error = product(later[0], recurrent.t(), add=error)
        of_c = self.activation.backward(error * output_gate, now.activated)
        if later is not None:
            of_c = of_c.add_(later[1])
        delta = error.new_empty(len(error), 4 * self.units)
        of_gates = delta[:, : 3 * self.units]
        of_input, of_forget, of_output = of_gates.chunk(3, dim=1)
        torch.mul(of_c, now.modulation, out=of_input)
        torch.mul(error, now.activated, out=of_output)
        if before is None:
            of_forget.zero_()
        else:
            torch.mul(of_c, before.c, out=of_forget)
        of_gates.copy_(self.gate_activation.backward(of_gates, now.gates))
        delta[:, 3 * self.units :] = self.activation.backward(of_c * input_gate, now.modulation)
        return delta, (delta, of_c * forget_gate)


class BiLSTM(LSTM):
    """Two LSTMs, one for each direction."""

    directions = 2
