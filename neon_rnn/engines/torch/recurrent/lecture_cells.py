"""Recurrent networks of the lecture that neon lacks, in one direction and in two.

Jordan networks, deep transition, deep output, and recurrent layers stacked, after the conventions
of `recurrent.base`. f is the activation; U, W and b are those of an Elman network and saved in
``W``; what comes after them, V and c, is saved in ``V``, layer by layer.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy
import torch

from neon_rnn.engines.parameters import DEPTH, check_depth, part_names
from neon_rnn.engines.torch.layers.base import Shape, Weight, concatenated, parameter
from neon_rnn.engines.torch.layers.transforms import Identity, Transform
from neon_rnn.engines.torch.ops.matmul import linear, rounded
from neon_rnn.engines.torch.recurrent.base import RecurrentLayer, visits
from neon_rnn.engines.torch.recurrent.elman import BiRNN, Recurrent


class LayeredStep(Recurrent):
    """A recurrent layer whose step has several layers, of `output_size` units each.

    z_1 = f(U x_t + W s + b), then z_l = f(V_l z_l-1 + c_l) up to the output z_depth. s is a result
    of the step before.

    Parameters
    ----------
    depth : int
        Layers from the input to the output of a step. The other parameters are those of
        `RecurrentLayer`.
    """

    def __init__(self, *arguments: Any, depth: int = DEPTH, **settings: Any) -> None:
        super().__init__(*arguments, **settings)
        self.depth = check_depth(type(self).__name__, depth)

    def make_parameters(self, rng: numpy.random.RandomState) -> None:
        super().make_parameters(rng)
        size = (self.units, self.units)
        self.further, self.further_biases = torch.nn.ParameterList(), torch.nn.ParameterList()
        for _ in range(self.depth - 1):
            samples = [self.init_inner.sample(rng, size) for _ in range(self.directions)]
            self.further.append(parameter(numpy.stack(samples)))
            self.further_biases.append(parameter(numpy.zeros((self.directions, self.units))))

    def weights(self) -> Iterator[Weight]:
        yield from super().weights()
        if self.depth > 1:
            pairs = zip(self.further, self.further_biases, strict=True)
            tensors = tuple(tensor for pair in pairs for tensor in pair)
            yield concatenated('V', tensors, columns=self.units)

    def layer(self, z: torch.Tensor, place: int, direction: int) -> torch.Tensor:
        """Return V z + c of the further layer at `place`, of one direction."""
        return linear(z, self.further[place][direction], self.further_biases[place][direction])


class DeepTransition(LayeredStep):
    """Several nonlinear layers from state to state: h_t = f(V f(U x_t + W h_t-1 + b) + c).

    After Pascanu et al., arXiv 1312.6026. `depth` counts the layers.
    """

    def output_transform(self) -> Transform:
        """Return the activation of the further layers."""
        return self.activation

    def step(
        self, products: torch.Tensor, state: torch.Tensor | None, direction: int
    ) -> torch.Tensor:
        """Return the next state, which is the output.

        Parameters
        ----------
        products : torch.Tensor
            (batch, units): U x + b.
        state : torch.Tensor or None
            (batch, units); None at the first step.
        direction : int
        """
        if state is not None:
            products = rounded(torch.addmm, products, state, self.recurrent[direction].t())
        z = self.activation(products)
        for place in range(self.depth - 1):
            z = self.output_transform()(self.layer(z, place, direction))
        return z

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


class BiDeepTransition(DeepTransition):
    """Two networks with deep transitions, one for each direction."""

    directions = 2


class Jordan(DeepTransition):
    """Jordan network: the output is fed back, h_t = f(U x_t + W y_t-1 + b), y_t = V h_t + c.

    The output is linear. With an activation of its own this would be the deep transition.
    """

    def __init__(self, *arguments: Any, **settings: Any) -> None:
        super().__init__(*arguments, depth=2, **settings)

    def output_transform(self) -> Transform:
        return Identity()


class BiJordan(Jordan):
    """Two Jordan networks, one for each direction."""

    directions = 2


class DeepOutput(LayeredStep):
    """Layers between state and output: h_t = f(U x_t + W h_t-1 + b), y_t = f(V h_t + c).

    After Pascanu et al., arXiv 1312.6026. `depth` counts the layers, that of the state included.
    """

    def states(self, x: torch.Tensor) -> torch.Tensor:
        z = super().states(x)
        for place in range(self.depth - 1):
            outputs = [
                self.activation(self.layer(z[:, :, direction], place, direction))
                for direction in range(self.directions)
            ]
            z = torch.stack(outputs, dim=2)
        return z


class BiDeepOutput(DeepOutput):
    """Two networks with deep outputs, one for each direction."""

    directions = 2


class StackedRNN(RecurrentLayer):
    """Elman networks over each other: each reads the output of the one below.

    They are saved as ``first.W``, ``second.W`` and so on.

    Parameters
    ----------
    depth : int
        The number of networks. The other parameters are those of `RecurrentLayer`.
    """

    network: type[Recurrent] = Recurrent

    def __init__(self, *arguments: Any, depth: int = DEPTH, **settings: Any) -> None:
        super().__init__(*arguments, **settings)
        self.depth = check_depth(type(self).__name__, depth)
        for name in part_names(depth):
            self.add_module(name, self.network(*arguments, **settings))

    def parts(self) -> list[tuple[str, Recurrent]]:
        """Return (name, network), the lowest one first."""
        return [(name, getattr(self, name)) for name in part_names(self.depth)]

    def configure(self, in_shape: Shape) -> Shape:
        super().configure(in_shape)
        getattr(self, part_names(1)[0]).block = self.block
        for _, network in self.parts():
            in_shape = network.configure(in_shape)
        return self.out_shape

    def make_parameters(self, rng: numpy.random.RandomState) -> None:
        for _, network in self.parts():
            network.allocate(rng)

    def weights(self) -> Iterator[Weight]:
        for name, network in self.parts():
            for weight in network.weights():
                yield weight.below(name)

    def sweep(self, x: torch.Tensor) -> torch.Tensor:
        for _, network in self.parts():
            x = network.sweep(x)
        return x


class StackedBiRNN(StackedRNN):
    """Bidirectional Elman networks over each other."""

    directions = 2
    network = BiRNN
