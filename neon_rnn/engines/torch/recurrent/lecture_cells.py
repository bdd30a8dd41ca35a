"""Recurrent cells that the lecture treats and neon does not have: Jordan, deep transition, deep output, stacked.

All are bidirectional, like the published cell, and conventions are those of `neon_rnn.engines.torch.recurrent`. f is
the activation; W, R, b are drawn and saved as a BiRNN's, and what comes beside them after those.
"""

from __future__ import annotations

import numpy
import torch

from neon_rnn.engines.torch.layers.base import Weight, parameter
from neon_rnn.engines.torch.recurrent.base import RecurrentLayer, visits
from neon_rnn.engines.torch.recurrent.elman import BiRNN


class _TwoProducts(BiRNN):
    """A BiRNN with a second product, V (units, units) and c (units) of each direction; saved as ``V``, V before c."""

    def draw(self, rng):
        super().draw(rng)
        self.second = parameter(
            numpy.stack(
                [
                    (self.init_inner or self.init).draw(rng, (self.units, self.units))
                    for _ in range(self.directions)
                ]
            )
        )
        self.second_bias = parameter(numpy.zeros((self.directions, self.units)))

    def weights(self):
        yield from super().weights()
        tensors = (self.second, self.second_bias)

        def pack(parts):
            return torch.cat([part.reshape(-1) for part in parts]).reshape(-1, self.units)

        def unpack(packed):
            pieces = packed.reshape(-1).split([tensor.numel() for tensor in tensors])
            return [
                piece.reshape(tensor.shape) for piece, tensor in zip(pieces, tensors, strict=True)
            ]

        yield Weight('V', tensors, pack, unpack)

    def second_product(self, h, direction):
        """V h + c of one direction."""
        return torch.nn.functional.linear(h, self.second[direction], self.second_bias[direction])


class _Loop(_TwoProducts):
    """One whose second product takes part in the recurrence: `step` makes the next state, which is the output."""

    def step(self, products, state, direction):
        """The next state, from W x + b and the state before (None at the first step), each (batch, units)."""
        raise NotImplementedError

    def hidden(self, products, state, direction):
        """h = f(W x + R state + b)."""
        if state is None:
            return self.activation(products)
        return self.activation(torch.addmm(products, state, self.recurrent[direction].t()))

    def states(self, x):
        products = self.input_products(x)
        swept = []
        for direction in range(self.directions):
            state, outputs = None, [products] * len(x)
            for step in visits(len(x), direction):
                state = self.step(products[step, :, direction], state, direction)
                outputs[step] = state
            swept.append(torch.stack(outputs))
        return torch.stack(swept, dim=2)


class BiJordan(_Loop):
    """Jordan network: the output is fed back, h_t = f(W x_t + R y_t-1 + b), y_t = V h_t + c.

    The output is linear: with an activation of its own this would be the deep transition.
    """

    def step(self, products, state, direction):
        return self.second_product(self.hidden(products, state, direction), direction)


class BiDeepTransition(_Loop):
    """Two nonlinear layers from state to state: h_t = f(V f(W x_t + R h_t-1 + b) + c).

    After Pascanu et al., arXiv 1312.6026.
    """

    def step(self, products, state, direction):
        return self.activation(
            self.second_product(self.hidden(products, state, direction), direction)
        )


class BiDeepOutput(_TwoProducts):
    """A layer between state and output (Pascanu et al.): h_t = f(W x_t + R h_t-1 + b), y_t = f(V h_t + c)."""

    def states(self, x):
        h = super().states(x)
        return torch.stack(
            [
                self.activation(self.second_product(h[:, :, direction], direction))
                for direction in range(self.directions)
            ],
            dim=2,
        )


class StackedBiRNN(RecurrentLayer):
    """Two BiRNN layers, the second over the first one's output; saved as ``first.W`` and ``second.W``."""

    directions = 2

    def __init__(
        self, output_size, init, init_inner=None, activation=None, reset_cells=False, name=None
    ) -> None:
        super().__init__(output_size, init, init_inner, activation, reset_cells, name)
        self.first = BiRNN(output_size, init, init_inner, activation, reset_cells)
        self.second = BiRNN(output_size, init, init_inner, activation, reset_cells)

    def configure(self, in_shape):
        super().configure(in_shape)
        self.first.block = self.block
        return self.second.configure(self.first.configure(in_shape))

    def draw(self, rng):
        self.first.allocate(rng)
        self.second.allocate(rng)

    def weights(self):
        for name in ('first', 'second'):
            for weight in getattr(self, name).weights():
                yield Weight(name + '.' + weight.name, *weight[1:])

    def sweep(self, x):
        return self.second.sweep(self.first.sweep(x))
