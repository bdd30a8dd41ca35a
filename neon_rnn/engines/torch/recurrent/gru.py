"""GRU cells, in one direction (neon/layers/recurrent.py) and in two, which neon lacks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch

from neon_rnn.engines.torch.ops.matmul import product, weight_gradient
from neon_rnn.engines.torch.recurrent.gated import GatedLayer


class GruMemory(NamedTuple):
    """What a step of a GRU leaves behind: (batch, units) each, the gates (batch, 2 * units)."""

    h: torch.Tensor
    gates: torch.Tensor  # reset, update
    candidate: torch.Tensor
    kept: torch.Tensor | None  # reset * h of the step before, None at the first step


class GRU(GatedLayer):
    """Gated recurrent unit (Cho et al., arXiv 1406.1078).

    Gates in neon's order: reset r, update z, candidate.
    h_t = (1 - z) h_t-1 + z f(W x + R (r * h_t-1) + b).
    """

    gates = 3
    memory = GruMemory

    def step(
        self, products: torch.Tensor, recurrent: torch.Tensor, before: GruMemory | None
    ) -> GruMemory:
        split = 2 * self.units
        if before is None:
            gates = self.gate_activation(products[:, :split])
            candidate = self.activation(products[:, split:])
            return GruMemory(gates[:, self.units :] * candidate, gates, candidate, None)
        of_gates, of_candidate = products[:, :split], products[:, split:]
        gates = self.gate_activation(product(before.h, recurrent[:split], add=of_gates))
        reset, update = gates.chunk(2, dim=1)
        kept = reset * before.h
        candidate = self.activation(product(kept, recurrent[split:], add=of_candidate))
        return GruMemory(torch.lerp(before.h, candidate, update), gates, candidate, kept)

    def step_back(
        self,
        error: torch.Tensor,
        later: tuple[torch.Tensor, torch.Tensor] | None,
        recurrent: torch.Tensor,
        now: GruMemory,
        before: GruMemory | None,
    ) -> tuple[torch.Tensor, tuple[torch.Tensor, torch.Tensor]]:
        split = 2 * self.units
        if later is not None:
            of_gates, of_h = later
            error = product(of_gates, recurrent[:split].t(), add=of_h + error)
        reset, update = now.gates.chunk(2, dim=1)
        of_gates = torch.empty_like(now.gates)
        of_reset, of_update = of_gates.chunk(2, dim=1)
        of_candidate = self.activation.backward(error * update, now.candidate)
        if before is None:
            of_h = error  # of a state that is always zero: nobody reads it
            of_reset.zero_()
            torch.mul(error, now.candidate, out=of_update)
        else:
            of_kept = product(of_candidate, recurrent[split:].t())
            of_h = torch.addcmul(error - error * update, of_kept, reset)
            torch.mul(of_kept, before.h, out=of_reset)
            torch.mul(error, now.candidate - before.h, out=of_update)
        of_gates = self.gate_activation.backward(of_gates, now.gates)
        return torch.cat([of_gates, of_candidate], dim=1), (of_gates, of_h)

    def recurrent_gradient(
        self, delta: torch.Tensor, now: Sequence[GruMemory], before: Sequence[GruMemory]
    ) -> torch.Tensor:
        split = 2 * self.units
        kept = torch.cat([memory.kept for memory in now if memory.kept is not None])
        return torch.cat(
            [
                super().recurrent_gradient(delta[:, :split], now, before),
                weight_gradient(delta[:, split:], kept),
            ]
        )


class BiGRU(GRU):
    """Two GRUs, one for each direction; weights in the order of neon's other Bi layers."""

    directions = 2
