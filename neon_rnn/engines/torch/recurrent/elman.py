"""Elman networks: one direction, two, and two with batch norm (neon/layers/recurrent.py)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy
import torch
from torch.autograd.function import once_differentiable

from neon_rnn.engines.torch import distributed
from neon_rnn.engines.torch.layers.base import Weight, column, parameter, statistic
from neon_rnn.engines.torch.layers.transforms import Transform
from neon_rnn.engines.torch.ops.matmul import product, weight_gradient
from neon_rnn.engines.torch.ops.normalisation import (
    Normalise,
    scale_and_shift,
    statistics,
    update_running,
)
from neon_rnn.engines.torch.ops.recording import recording
from neon_rnn.engines.torch.recurrent.base import RecurrentLayer, neighbours, visits


class _ElmanSweep(torch.autograd.Function):
    """h_t = f(x_t + R h_t-1) in every direction; x holds the input products and biases.

    x and h are (steps, batch, D, units), R is (D, units, units). The backward pass is written out
    because autograd would store and add up one gradient of R for every step. It also serves neon's
    `BiBNRNN`, which `wraps`: the error that leaves the first step of a sweep is added to the error
    of the last step.
    """

    @staticmethod
    def forward(
        ctx: Any,
        x: torch.Tensor,
        recurrent: torch.Tensor,
        activation: Transform,
        wraps: bool = False,
    ) -> torch.Tensor:
        recurrent = recurrent.to(x.dtype)
        h = torch.empty_like(x)
        for direction, weight in enumerate(recurrent):
            state = None
            for step in visits(len(x), direction):
                total = x[step, :, direction]
                if state is not None:
                    total = product(state, weight, add=total)
                state = activation(total)
                h[step, :, direction] = state
        ctx.save_for_backward(h, recurrent)
        ctx.activation, ctx.wraps = activation, wraps
        return h

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        h, recurrent = ctx.saved_tensors
        steps, _, directions, _ = h.shape
        delta = torch.empty_like(h)
        for direction, weight in enumerate(recurrent):
            backwards = visits(steps, direction)[::-1]
            later: torch.Tensor | None = None
            for step in backwards:
                error = gradient[step, :, direction]
                if later is not None:
                    error = product(later, weight.t(), add=error)
                later = ctx.activation.backward(error, h[step, :, direction])
                delta[step, :, direction] = later
            if ctx.wraps:
                assert later is not None
                delta[backwards[0], :, direction] += product(later, weight.t())
        gradient_recurrent = torch.zeros_like(recurrent)
        for direction in range(directions if steps > 1 else 0):
            after, before = neighbours(direction)
            gradient_recurrent[direction] = weight_gradient(
                delta[after, :, direction].flatten(0, 1), h[before, :, direction].flatten(0, 1)
            )
        return delta, gradient_recurrent, None, None


def _recorded_sweep(
    x: torch.Tensor, recurrent: torch.Tensor, activation: Transform
) -> torch.Tensor:
    """Compute what `_ElmanSweep` computes, in operators that a recorder knows."""
    swept = []
    for direction, weight in enumerate(recurrent.unbind()):
        steps = list(x[:, :, direction].unbind())
        state: torch.Tensor | None = None
        for step in visits(len(steps), direction):
            total = steps[step]
            if state is not None:
                total = torch.addmm(total, state, weight.t())
            state = steps[step] = activation(total)
        swept.append(torch.stack(steps))
    return torch.stack(swept, dim=2)


class Recurrent(RecurrentLayer):
    """Elman network: h_t = f(W x_t + R h_t-1 + b)."""

    def states(self, x: torch.Tensor) -> torch.Tensor:
        products = self.input_products(x)
        if recording():
            return _recorded_sweep(products, self.recurrent, self.activation)
        return _ElmanSweep.apply(products, self.recurrent, self.activation)


class BiRNN(Recurrent):
    """Two Elman networks, one for each direction; the published cell."""

    directions = 2


class BiBNRNN(BiRNN):
    """BiRNN with batch norm of the input products over batch and steps (neon's ``BiBNRNN``).

    Three faults of neon 2.6.0 (recurrent.py; its cpu and mkl backends agree) are part of its
    results, so they are here too:

    - beta and gamma never receive their gradients: `set_deltas` replaces the buffers that the
      optimiser reads.
    - The biases receive zero: their gradient is summed after the batch norm's backward pass.
    - The error wraps around from the first step of a sweep to its last.

    So only weight decay moves beta, gamma and the biases.
    """

    gmean: torch.Tensor
    gvar: torch.Tensor
    rho, eps = 0.9, 1e-3

    def make_parameters(self, rng: numpy.random.RandomState) -> None:
        super().make_parameters(rng)
        self.beta = parameter(numpy.zeros(self.output_features))
        self.gamma = parameter(numpy.ones(self.output_features))
        self.register_buffer('gmean', statistic(self.output_features))
        self.register_buffer('gvar', statistic(self.output_features))

    def weights(self) -> Iterator[Weight]:
        yield from super().weights()
        for name in ('beta', 'gamma', 'gmean', 'gvar'):
            yield column(name, getattr(self, name))

    def states(self, x: torch.Tensor) -> torch.Tensor:
        products = self.input_products(x, bias=False)
        shape = products.shape
        products = products.flatten(2).flatten(0, 1)
        gamma, beta = self.gamma.detach(), self.beta.detach()
        if self.training:
            count = len(products) * distributed.ranks()
            mean, variance = statistics(products.detach(), count)
            update_running(self.gmean, mean, self.rho)
            update_running(self.gvar, variance, self.rho)
            normal = Normalise.apply(products, gamma, beta, mean, variance, self.eps, count)
        else:
            scale = gamma * torch.rsqrt(self.gvar + self.eps)
            normal = scale_and_shift(products, scale, beta - self.gmean * scale)
        products = normal.reshape(shape) + self.bias.detach().to(normal.dtype)
        if recording() and not self.training:
            return _recorded_sweep(products, self.recurrent, self.activation)
        return _ElmanSweep.apply(products, self.recurrent, self.activation, True)
