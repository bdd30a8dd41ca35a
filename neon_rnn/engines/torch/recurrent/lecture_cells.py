"""Recurrent cells of the lecture that neon does not have: Jordan, deep transition, deep output.

Also two layers stacked. All are bidirectional, like the published cell, and follow the conventions
of `recurrent.base`. f is the activation. W, R and b are a BiRNN's; further parameters come after
them, also in the order of random initial values.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy
import torch

from neon_rnn.engines.torch.layers.base import Shape, Weight, concatenated, parameter
from neon_rnn.engines.torch.recurrent.base import RecurrentLayer, visits
from neon_rnn.engines.torch.recurrent.elman import BiRNN


class _SecondProduct(BiRNN):
    """A BiRNN with a second product in each direction, V (units, units) and c (units).

    Saved as ``V``: V, then c.
    """

    def make_parameters(self, rng: numpy.random.RandomState) -> None:
        super().make_parameters(rng)
        size = (self.units, self.units)
        samples = [self.init_inner.sample(rng, size) for _ in range(self.directions)]
        self.second = parameter(numpy.stack(samples))
        self.second_bias = parameter(numpy.zeros((self.directions, self.units)))

    def weights(self) -> Iterator[Weight]:
        yield from super().weights()
        yield concatenated('V', (self.second, self.second_bias), columns=self.units)

    def second_product(self, h: torch.Tensor, direction: int) -> torch.Tensor:
        """Return V h + c of one direction."""
        return torch.nn.functional.linear(h, self.second[direction], self.second_bias[direction])


class _RecurrentSecondProduct(_SecondProduct):
    """A network whose second product is part of the recurrence; the state is the output."""

    def step(
        self, products: torch.Tensor, state: torch.Tensor | None, direction: int
    ) -> torch.Tensor:
        """Return the next state.

        Parameters
        ----------
        products : torch.Tensor
            (batch, units): W x + b.
        state : torch.Tensor or None
            (batch, units); None at the first step.
        direction : int
        """
        raise NotImplementedError

    def hidden(
        self, products: torch.Tensor, state: torch.Tensor | None, direction: int
    ) -> torch.Tensor:
        """Return h = f(W x + R state + b)."""
        if state is None:
            return self.activation(products)
        return self.activation(torch.addmm(products, state, self.recurrent[direction].t()))

    def states(self, x: torch.Tensor) -> torch.Tensor:
        products = self.input_products(x)
        swept = []
        for direction in range(self.directions):
            state: torch.Tensor | None = None
            outputs = [products] * len(x)
            for step in visits(len(x), direction):
                state = self.step(products[step, :, direction], state, direction)
                outputs[step] = state
            swept.append(torch.stack(outputs))
        return torch.stack(swept, dim=2)


class BiJordan(_RecurrentSecondProduct):
    """Jordan network: the output is fed back, h_t = f(W x_t + R y_t-1 + b), y_t = V h_t + c.

    The output is linear. With an activation of its own this would be the deep transition.
    """

    def step(
        self, products: torch.Tensor, state: torch.Tensor | None, direction: int
    ) -> torch.Tensor:
        return self.second_product(self.hidden(products, state, direction), direction)


class BiDeepTransition(_RecurrentSecondProduct):
    """Two nonlinear layers from state to state: h_t = f(V f(W x_t + R h_t-1 + b) + c).

    After Pascanu et al., arXiv 1312.6026.
    """

    def step(
        self, products: torch.Tensor, state: torch.Tensor | None, direction: int
    ) -> torch.Tensor:
        return self.activation(
            self.second_product(self.hidden(products, state, direction), direction)
        )


class BiDeepOutput(_SecondProduct):
    """A layer between state and output: h_t = f(W x_t + R h_t-1 + b), y_t = f(V h_t + c).

    After Pascanu et al., arXiv 1312.6026.
    """

    def states(self, x: torch.Tensor) -> torch.Tensor:
        h = super().states(x)
        return torch.stack(
            [
                self.activation(self.second_product(h[:, :, direction], direction))
                for direction in range(self.directions)
            ],
            dim=2,
        )


class StackedBiRNN(RecurrentLayer):
    """Two BiRNN layers, the second over the first one's output.

    Saved as ``first.W`` and ``second.W``.
    """

    directions = 2

    def __init__(self, *arguments: Any, **settings: Any) -> None:
        super().__init__(*arguments, **settings)
        self.first = BiRNN(*arguments, **settings)
        self.second = BiRNN(*arguments, **settings)

    def configure(self, in_shape: Shape) -> Shape:
        super().configure(in_shape)
        self.first.block = self.block
        return self.second.configure(self.first.configure(in_shape))

    def make_parameters(self, rng: numpy.random.RandomState) -> None:
        self.first.allocate(rng)
        self.second.allocate(rng)

    def weights(self) -> Iterator[Weight]:
        for name, network in (('first', self.first), ('second', self.second)):
            for weight in network.weights():
                yield weight.below(name)

    def sweep(self, x: torch.Tensor) -> torch.Tensor:
        return self.second.sweep(self.first.sweep(x))
