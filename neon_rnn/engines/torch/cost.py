"""The cost of a minibatch (neon/transforms/cost.py)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch

from neon_rnn.engines.torch import backend


class _CrossEntropy(torch.autograd.Function):
    """The mean over the minibatch of -sum(t log y).

    Its gradient, (y - t) / batch, is the one at the softmax's input. With weights, each image
    counts as much as its class's weight says.
    """

    @staticmethod
    def forward(
        ctx: Any, y: torch.Tensor, labels: torch.Tensor, weights: torch.Tensor | None = None
    ) -> torch.Tensor:
        ctx.save_for_backward(y, labels)
        # neon's safelog: log(max(y, exp(-50)))
        picked = y.gather(1, labels[:, None]).clamp_min(math.exp(-50.0))
        ctx.weights = None if weights is None else weights[labels][:, None]
        if weights is None:
            return -picked.log().mean()
        return -(ctx.weights * picked.log()).mean()

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor, None, None]:
        y, labels = ctx.saved_tensors
        error = y.clone()
        error.scatter_add_(1, labels[:, None], torch.full_like(labels[:, None], -1, dtype=y.dtype))
        if ctx.weights is not None:
            error = error * ctx.weights
        return error * (gradient / len(y)), None, None


class CrossEntropyMulti:
    """Cross entropy of several classes, behind a `Softmax`.

    Attributes
    ----------
    class_weights : torch.Tensor or None
        (classes,), on the device: the weight of each class. neon has no such thing.
    """

    class_weights: torch.Tensor | None = None

    def __call__(self, y: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """Compute the cost, a scalar.

        Parameters
        ----------
        y : torch.Tensor
            (batch, classes) probabilities.
        labels : torch.Tensor
            (batch,) int64.
        """
        return _CrossEntropy.apply(y, labels, self.class_weights)


class GeneralizedCost:
    """neon's wrapper of a cost function; `y` may have any shape (batch, ...)."""

    def __init__(self, costfunc: CrossEntropyMulti, name: str | None = None) -> None:
        self.costfunc, self.name = costfunc, name

    def weigh(self, class_weights: Sequence[float]) -> None:
        """Let each image count as much as the weight of its class says, from now on."""
        active = backend.active()
        self.costfunc.class_weights = torch.tensor(
            class_weights, dtype=active.dtype, device=active.device
        )

    def __call__(self, y: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        return self.costfunc(y.flatten(1), labels)
