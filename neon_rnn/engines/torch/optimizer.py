"""Cost, optimiser, schedule (neon/transforms/cost.py, neon/optimizers/optimizer.py)."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch


class _CrossEntropy(torch.autograd.Function):
    """Mean over the minibatch of -sum(t log y); its error, (y - t) / batch, is that at the softmax's input."""

    @staticmethod
    def forward(ctx, y, labels):
        ctx.save_for_backward(y, labels)
        # neon's safelog: log(max(y, exp(-50)))
        picked = y.gather(1, labels[:, None]).clamp_min(math.exp(-50.0))
        return -picked.log().mean()

    @staticmethod
    def backward(ctx, gradient):
        y, labels = ctx.saved_tensors
        error = y.clone()
        error.scatter_add_(1, labels[:, None], torch.full_like(labels[:, None], -1, dtype=y.dtype))
        return error * (gradient / len(y)), None


class CrossEntropyMulti:
    """Cross entropy of several classes, to follow `Softmax`."""

    def __call__(self, y: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """`y` (batch, classes) probabilities, `labels` (batch,) int64 -> scalar."""
        return _CrossEntropy.apply(y, labels)


class GeneralizedCost:
    """neon's wrapper of a cost function."""

    def __init__(self, costfunc: CrossEntropyMulti, name: str | None = None) -> None:
        self.costfunc, self.name = costfunc, name

    def __call__(self, y: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        return self.costfunc(y.flatten(1), labels)


class Schedule:
    """The learning rate of an epoch: multiplied by `change` at each epoch (from 0) of `step_config`."""

    def __init__(self, step_config: Sequence[int] | None = None, change: float = 1.0) -> None:
        self.step_config, self.change = step_config, change

    def get_learning_rate(self, learning_rate: float, epoch: int) -> float:
        """The rate in `epoch`, counted from 0."""
        steps = sum(epoch >= step for step in self.step_config or ())
        return learning_rate * self.change**steps


class GradientDescentMomentum:
    """v = momentum_coef * v - learning_rate * (g + wdecay * W); W = W + v, for every parameter, biases included.

    The gradient is that of the mean cost (neon adds up over the minibatch and divides by its size here).
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
    def optimize(self, parameters: Sequence[torch.Tensor], epoch: int) -> None:
        """One step, from the gradients that the parameters hold (none counts as zero).

        Parameters
        ----------
        parameters : sequence of torch.Tensor
        epoch : int
            Counted from 0, for the schedule.
        """
        parameters = list(parameters)
        rate = self.schedule.get_learning_rate(self.learning_rate, epoch)
        gradients = [torch.zeros_like(p) if p.grad is None else p.grad for p in parameters]
        norm = None
        if self.gradient_clip_norm:
            norm = torch.linalg.vector_norm(
                torch.stack([torch.linalg.vector_norm(g) for g in gradients])
            )
        if self.gradient_clip_value:
            torch._foreach_clamp_min_(gradients, -self.gradient_clip_value)
            torch._foreach_clamp_max_(gradients, self.gradient_clip_value)
        if norm is not None:  # neon takes the norm before it clips the values, and scales after
            torch._foreach_mul_(
                gradients, self.gradient_clip_norm / norm.clamp_min(self.gradient_clip_norm)
            )
        for p in parameters:
            if p not in self.velocity:
                self.velocity[p] = torch.zeros_like(p)
        velocities = [self.velocity[p] for p in parameters]
        torch._foreach_mul_(velocities, self.momentum_coef)
        torch._foreach_add_(velocities, gradients, alpha=-rate)
        torch._foreach_add_(velocities, parameters, alpha=-rate * self.wdecay)
        torch._foreach_add_(parameters, velocities)
