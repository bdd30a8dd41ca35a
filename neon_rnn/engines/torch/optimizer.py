"""The optimiser and its learning rate schedule (neon/optimizers/optimizer.py)."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence

import torch

from neon_rnn.engines.torch.ops.layout import laid_out_as


class Schedule:
    """The learning rate of each epoch.

    Multiplied by `change` at each epoch of `step_config`, counted from 0.
    """

    def __init__(self, step_config: Sequence[int] | None = None, change: float = 1.0) -> None:
        self.step_config, self.change = step_config, change

    def get_learning_rate(self, learning_rate: float, epoch: int) -> float:
        """Return the rate in `epoch`, counted from 0."""
        steps = sum(epoch >= step for step in self.step_config or ())
        return learning_rate * self.change**steps


class GradientDescentMomentum:
    """v = momentum_coef * v - learning_rate * (g + wdecay * W); W = W + v.

    For every parameter, biases included. The gradient g is that of the mean cost; neon instead adds
    up over the minibatch and divides by its size here.
    """

    def __init__(
        self,
        learning_rate: float,
        momentum_coef: float,
        wdecay: float = 0.0,
        gradient_clip_norm: float | None = None,
        gradient_clip_value: float | None = None,
        name: str | None = None,
        schedule: Schedule | None = None,
    ) -> None:
        self.learning_rate, self.momentum_coef, self.wdecay = learning_rate, momentum_coef, wdecay
        self.gradient_clip_norm, self.gradient_clip_value = gradient_clip_norm, gradient_clip_value
        self.name, self.schedule = name, schedule or Schedule()
        self.velocity: dict[torch.Tensor, torch.Tensor] = {}

    @torch.no_grad()
    def optimize(self, parameters: Iterable[torch.Tensor], epoch: int) -> None:
        """Make one step with the gradients that the parameters hold; a missing one counts as zero.

        Parameters
        ----------
        parameters : iterable of torch.Tensor
        epoch : int
            Counted from 0, for the schedule.
        """
        parameters = list(parameters)
        rate = self.schedule.get_learning_rate(self.learning_rate, epoch)
        gradients = self._clipped(
            [torch.zeros_like(p) if p.grad is None else p.grad for p in parameters]
        )
        for p in parameters:
            if p not in self.velocity:
                self.velocity[p] = torch.zeros_like(p)
                assert self.velocity[p].stride() == p.stride(), 'a parameter with gaps'
        # PyTorch computes v = momentum * v + (1 - dampening) * (g + weight_decay * W);
        # W = W - lr * v. Without momentum it would keep no v, so that gets the smallest one.
        torch._fused_sgd_(
            parameters,
            [laid_out_as(p, g) for p, g in zip(parameters, gradients, strict=True)],
            [self.velocity[p] for p in parameters],
            weight_decay=self.wdecay,
            momentum=self.momentum_coef or sys.float_info.min,
            dampening=1 + rate,
            lr=-1.0,
            nesterov=False,
            maximize=False,
            is_first_step=False,
        )

    def _clipped(self, gradients: list[torch.Tensor]) -> list[torch.Tensor]:
        """Clip gradients in place, by value and by norm.

        As neon does: the norm is that before the values are clipped, and the gradients are scaled
        afterwards.
        """
        norm = None
        if self.gradient_clip_norm:
            norm = torch.linalg.vector_norm(
                torch.stack([torch.linalg.vector_norm(g) for g in gradients])
            )
        if self.gradient_clip_value:
            torch._foreach_clamp_min_(gradients, -self.gradient_clip_value)
            torch._foreach_clamp_max_(gradients, self.gradient_clip_value)
        if norm is not None and self.gradient_clip_norm:
            limit = self.gradient_clip_norm
            torch._foreach_mul_(gradients, limit / norm.clamp_min(limit))
        return gradients
