"""What neon's recurrent layers share (neon/layers/recurrent.py): shapes, drawing, saving, the products of the input.

Inside the layer a sequence is a tensor (steps, batch, features), read in one piece: one product makes every step's
input, then one product a step makes the recurrence. A directed axis of length D (1, or 2 for the Bi layers: forward,
backward) runs through weights (D, gates * units, ...) and outputs (steps, batch, D, units).

Weights are drawn and saved as neon does: input weights, recurrent weights, biases, each forward before backward, gate
by gate; biases start at 0. A sequence starts from a zero state: state is never carried from one minibatch to the next.
"""

from __future__ import annotations

import math

import numpy
import torch

from neon_rnn.engines.torch.layers.base import Layer, Weight, parameter
from neon_rnn.engines.torch.layers.transforms import Identity
from neon_rnn.engines.torch.ops.matmul import linear
from neon_rnn.support.errors import UsageError


def visits(steps: int, direction: int) -> range:
    """The steps in the order in which a direction visits them: 0 forward, 1 backward."""
    return range(steps) if direction == 0 else range(steps - 1, -1, -1)


class RecurrentLayer(Layer):
    """What the recurrent layers share: shapes, drawing, saving.

    Parameters
    ----------
    output_size : int
        Units of each direction.
    init, init_inner : initialiser
        Of the input weights and, where given, of the recurrent weights.
    activation : transform
        Default: none (`Identity`).
    reset_cells : bool
        neon's switch between starting from zero and carrying the state on; only the former exists here, so a layer that
        stands on its own in a model has to say ``reset_cells=True``. SpatialRNN always starts from zero.
    """

    directions = 1
    gates = 1
    #: (channels, places): the features of a step come place by place, their weights are saved channel by channel.
    block: tuple[int, int] | None = None

    def __init__(
        self, output_size, init, init_inner=None, activation=None, reset_cells=False, name=None
    ) -> None:
        super().__init__(name)
        self.units, self.init, self.init_inner = output_size, init, init_inner
        self.activation = activation or Identity()
        self.reset_cells = reset_cells

    @property
    def output_features(self) -> int:
        """Features of one step of the output: forward units, then backward units."""
        return self.directions * self.units

    def configure(self, in_shape):
        super().configure(in_shape)
        self.features = math.prod(in_shape[:-1])
        self.out_shape = (self.output_features, in_shape[-1])
        return self.out_shape

    def draw(self, rng):
        self.input = parameter(
            self._transposed(self._draw_gates(rng, self.init, self.features), self.block)
        )
        self.recurrent = parameter(self._draw_gates(rng, self.init_inner or self.init, self.units))
        self.bias = parameter(numpy.zeros((self.directions, self.gates * self.units)))

    def _draw_gates(self, rng, init, size):
        """(directions, gates * units, size), each gate of each direction drawn on its own."""
        return numpy.stack(
            [
                numpy.concatenate([init.draw(rng, (self.units, size)) for _ in range(self.gates)])
                for _ in range(self.directions)
            ]
        )

    @staticmethod
    def _transposed(weight, block):
        """Input weights (D, gates * units, features), the features turned from the order `block` to the other one."""
        return (
            weight.reshape(*weight.shape[:2], *block).swapaxes(2, 3).reshape(weight.shape)
            if block
            else weight
        )

    def weights(self):
        tensors = (self.input, self.recurrent, self.bias)

        def pack(parts):
            first, *rest = parts
            parts = [self._transposed(first, self.block and self.block[::-1]), *rest]
            return torch.cat([part.reshape(-1) for part in parts]).reshape(
                -1, self.gates * self.units
            )

        def unpack(packed):
            pieces = packed.reshape(-1).split([tensor.numel() for tensor in tensors])
            first, *rest = (
                piece.reshape(tensor.shape) for piece, tensor in zip(pieces, tensors, strict=True)
            )
            return [self._transposed(first, self.block), *rest]

        yield Weight('W', tensors, pack, unpack)

    def input_products(self, x, bias=True):
        """W x + b of every step and direction: (steps, batch, directions, gates * units)."""
        products = linear(x, self.input.flatten(0, 1), self.bias.flatten() if bias else None)
        return products.unflatten(-1, (self.directions, -1))

    def states(self, x: torch.Tensor) -> torch.Tensor:
        """(steps, batch, features) -> the hidden states (steps, batch, directions, units)."""
        raise NotImplementedError

    def sweep(self, x: torch.Tensor) -> torch.Tensor:
        """(steps, batch, features) -> (steps, batch, output features), from a zero state."""
        return self.states(x).flatten(2)

    def forward(self, x):
        """(batch, features, steps) -> (batch, output features, steps)."""
        if not self.reset_cells:
            raise UsageError(
                '{}: the torch engine never carries state between minibatches; pass reset_cells=True, as '
                'the neon engine then does the same.'.format(self.name)
            )
        return self.sweep(x.flatten(1, -2).permute(2, 0, 1)).permute(1, 2, 0)
