"""The cost of a minibatch (neon/transforms/cost.py)."""

from __future__ import annotations

import math
from typing import Any

import torch


class _CrossEntropy(torch.autograd.Function):
    """The mean over the minibatch of -sum(t log y).

    Its gradient, (y - t) / batch, is the one at the softmax's input.
    """

    @staticmethod
    def forward(ctx: Any, y: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        ctx.save_for_backward(y, labels)
        # neon's safelog: log(max(y, exp(-50)))
        picked = y.gather(1, labels[:, None]).clamp_min(math.exp(-50.0))
        return -picked.log().mean()

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor, None]:
        y, labels = ctx.saved_tensors
        error = y.clone()
        error.scatter_add_(1, labels[:, None], torch.full_like(labels[:, None], -1, dtype=y.dtype))
        return error * (gradient / len(y)), None


class CrossEntropyMulti:
    """Cross entropy of several classes, behind a `Softmax`."""

    def __call__(self, y: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """Compute the cost, a scalar.

        Parameters
        ----------
        y : torch.Tensor
            (batch, classes) probabilities.
        labels : torch.Tensor
            (batch,) int64.
        """
        return _CrossEntropy.apply(y, labels)


class GeneralizedCost:
    """neon's wrapper of a cost function; `y` may have any shape (batch, ...)."""

    def __init__(self, costfunc: CrossEntropyMulti, name: str | None = None) -> None:
        self.costfunc, self.name = costfunc, name

    def __call__(self, y: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        return self.costfunc(y.flatten(1), labels)
