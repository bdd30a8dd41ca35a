"""The base of the recurrent layers (neon/layers/recurrent.py).

Inside the layer, a sequence is a tensor (steps, batch, features). One product computes the input of
every step; then one product for each step computes the recurrence. The directions have an axis of
length D (1, or 2 for the Bi layers: forward, backward): weights are (D, gates * units, ...),
outputs (steps, batch, D, units).

Initial values are random in neon's order, and weights are saved in the same order: input weights,
recurrent weights, biases; in each, forward before backward, gate by gate. Biases start at 0. A
sequence starts from a zero state: no state is carried from one minibatch to the next.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import TypeVar

import numpy
import torch

from neon_rnn.engines.torch.layers.base import Layer, Shape, Weight, concatenated, parameter
from neon_rnn.engines.torch.layers.initializers import Initializer
from neon_rnn.engines.torch.layers.transforms import Identity, Transform
from neon_rnn.engines.torch.ops.matmul import linear
from neon_rnn.support.errors import UsageError

#: Both have the methods that a change of the order of features needs.
_Array = TypeVar('_Array', numpy.ndarray, torch.Tensor)


def visits(steps: int, direction: int) -> range:
    """Return the steps in the order of a direction: 0 is forward, 1 is backward."""
    return range(steps) if direction == 0 else range(steps - 1, -1, -1)


def neighbours(direction: int) -> tuple[slice, slice]:
    """Return the steps that a direction does not visit first, and for each the one before it."""
    later, earlier = slice(1, None), slice(None, -1)
    return (later, earlier) if direction == 0 else (earlier, later)


class RecurrentLayer(Layer):
    """Base class of the recurrent layers.

    Parameters
    ----------
    output_size : int
        Units of each direction.
    init, init_inner : initialiser
        Of the input weights and, where given, of the recurrent weights.
    activation : transform
        Default: none (`Identity`).
    reset_cells : bool
        neon's choice between a zero state at the start and a state that is carried on. Only the
        former exists here, so a layer that stands on its own in a model has to say
        ``reset_cells=True``. SpatialRNN always starts from zero.

    Attributes
    ----------
    block : tuple of int, optional
        (channels, places) of a block of SpatialRNN. The features of a step then come place by
        place, while neon saves their weights channel by channel.
    """

    directions = 1
    gates = 1
    block: tuple[int, int] | None = None

    def __init__(
        self,
        output_size: int,
        init: Initializer,
        init_inner: Initializer | None = None,
        activation: Transform | None = None,
        reset_cells: bool = False,
        name: str | None = None,
    ) -> None:
        super().__init__(name)
        self.units, self.init, self.init_inner = output_size, init, init_inner or init
        self.activation = activation or Identity()
        self.reset_cells = reset_cells

    @property
    def output_features(self) -> int:
        """Return the features of one step of the output: forward units, then backward units."""
        return self.directions * self.units

    def configure(self, in_shape: Shape) -> Shape:
        super().configure(in_shape)
        self.features = math.prod(in_shape[:-1])
        self.out_shape = (self.output_features, in_shape[-1])
        return self.out_shape

    def parameter_shapes(self) -> dict[str, Shape]:
        """Return the shapes of the parameters that `make_parameters` makes, by their names."""
        width = self.gates * self.units
        return {
            'input': (self.directions, width, self.features),
            'recurrent': (self.directions, width, self.units),
            'bias': (self.directions, width),
        }

    def make_parameters(self, rng: numpy.random.RandomState) -> None:
        by_channel = self._sample_gates(rng, self.init, self.features)
        self.input = parameter(self._by_place(by_channel))
        self.recurrent = parameter(self._sample_gates(rng, self.init_inner, self.units))
        self.bias = parameter(numpy.zeros(self.parameter_shapes()['bias']))

    def _sample_gates(
        self, rng: numpy.random.RandomState, init: Initializer, size: int
    ) -> numpy.ndarray:
        """Return weights (D, gates * units, size); each gate of each direction is one sample."""
        samples = [
            init.sample(rng, (self.units, size)) for _ in range(self.directions * self.gates)
        ]
        return numpy.concatenate(samples).reshape(self.directions, -1, size)

    def _by_place(self, weight: _Array) -> _Array:
        """Reorder the features of input weights (D, gates * units, features).

        From channel by channel, as neon has them, to place by place.
        """
        return weight if self.block is None else _swap(weight, *self.block)

    def _by_channel(self, weight: _Array) -> _Array:
        """Undo `_by_place`."""
        return weight if self.block is None else _swap(weight, *self.block[::-1])

    def weights(self) -> Iterator[Weight]:
        whole = concatenated(
            'W', (self.input, self.recurrent, self.bias), columns=self.gates * self.units
        )

        def pack(parts: Sequence[torch.Tensor]) -> torch.Tensor:
            input_weights, *others = parts
            return whole.pack([self._by_channel(input_weights), *others])

        def unpack(packed: torch.Tensor) -> Sequence[torch.Tensor]:
            input_weights, *others = whole.unpack(packed)
            return [self._by_place(input_weights), *others]

        yield whole._replace(pack=pack, unpack=unpack)

    def input_products(self, x: torch.Tensor, bias: bool = True) -> torch.Tensor:
        """Return W x + b of every step and direction: (steps, batch, D, gates * units)."""
        products = linear(x, self.input.flatten(0, 1), self.bias.flatten() if bias else None)
        return products.unflatten(-1, (self.directions, -1))

    def states(self, x: torch.Tensor) -> torch.Tensor:
        """Return the hidden states (steps, batch, D, units) of (steps, batch, features)."""
        raise NotImplementedError

    def sweep(self, x: torch.Tensor) -> torch.Tensor:
        """Compute (steps, batch, features) -> (steps, batch, D * units), from a zero state."""
        return self.states(x).flatten(2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Compute (batch, features, steps) -> (batch, D * units, steps).

        Raises
        ------
        UsageError
            The layer was made without ``reset_cells=True``.
        """
        if not self.reset_cells:
            raise UsageError(
                '{}: the torch engine never carries state between minibatches; pass '
                'reset_cells=True, as the neon engine then does the same.'.format(self.name)
            )
        return self.sweep(x.flatten(1, -2).permute(2, 0, 1)).permute(1, 2, 0)


def _swap(weight: _Array, first: int, second: int) -> _Array:
    """Turn features in the order (first, second) into the order (second, first)."""
    apart = weight.reshape(*weight.shape[:2], first, second)
    return apart.swapaxes(2, 3).reshape(weight.shape)
