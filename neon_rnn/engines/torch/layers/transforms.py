"""neon's transforms: activations, and the scaling of pixels (neon/transforms/activation.py)."""

from __future__ import annotations

from typing import Any

import torch

from neon_rnn.engines.torch.ops.recording import recording
from neon_rnn.engines.torch.ops.tanh import tanh


class Transform:
    """A function of a tensor, and its derivative written in terms of its output."""

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        raise NotImplementedError

    def derivative(self, y: torch.Tensor) -> torch.Tensor:
        """Return dy/dx at the output `y`, element by element (neon's ``bprop``)."""
        raise NotImplementedError

    def backward(self, error: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        """Return the gradient of the input, from that of the output `y`; without autograd."""
        return error * self.derivative(y)


class Identity(Transform):
    """y = x."""

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        return x

    def derivative(self, y: torch.Tensor) -> torch.Tensor:
        return torch.ones_like(y)


class Rectlin(Transform):
    """y = max(x, 0), or x * slope below zero; the derivative at 0 is that of the negative side."""

    def __init__(self, slope: float = 0, name: str | None = None) -> None:
        self.slope, self.name = slope, name

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        return torch.nn.functional.leaky_relu(x, self.slope) if self.slope else torch.relu(x)

    def derivative(self, y: torch.Tensor) -> torch.Tensor:
        return torch.where(y > 0, 1.0, float(self.slope)).to(y.dtype)


class Tanh(Transform):
    """y = tanh(x)."""

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        return tanh(x)

    def derivative(self, y: torch.Tensor) -> torch.Tensor:
        return 1 - y * y

    def backward(self, error: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        return torch.ops.aten.tanh_backward(error, y)


class Logistic(Transform):
    """y = 1 / (1 + exp(-x))."""

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        return torch.sigmoid(x)

    def derivative(self, y: torch.Tensor) -> torch.Tensor:
        return y * (1 - y)

    def backward(self, error: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        return torch.ops.aten.sigmoid_backward(error, y)


class _SoftmaxShortcut(torch.autograd.Function):
    """Softmax whose backward pass hands the error through.

    `CrossEntropyMulti` gives the error at the softmax's input, y - t.
    """

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor) -> torch.Tensor:
        return torch.softmax(x, dim=1)

    @staticmethod
    def backward(ctx: Any, error: torch.Tensor) -> torch.Tensor:
        return error


class Softmax(Transform):
    """Softmax over the classes; like neon's, only meant to stand before `CrossEntropyMulti`."""

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        return torch.softmax(x, dim=1) if recording() else _SoftmaxShortcut.apply(x)


class Normalizer(Transform):
    """y = x / divisor, for `DataTransform`."""

    def __init__(self, name: str | None = None, divisor: float = 128.0) -> None:
        self.name, self.divisor = name, divisor

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        return x / self.divisor
