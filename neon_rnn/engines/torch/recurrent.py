"""neon's recurrent layers (neon/layers/recurrent.py), and bidirectional GRU, which neon does not have.

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

from neon_rnn.engines.torch import distributed
from neon_rnn.engines.torch.layer import Layer, Weight, column, parameter, statistic
from neon_rnn.engines.torch.normalisation import Normalise, scaled, statistics
from neon_rnn.engines.torch.products import linear, product
from neon_rnn.engines.torch.transforms import Identity
from neon_rnn.errors import UsageError


class _ElmanSweep(torch.autograd.Function):
    """h_t = f(x_t + R h_t-1) in every direction; x holds the input products and biases.

    Written out because autograd would store and add up one gradient of R for every step, and because neon's `BiBNRNN`
    `wraps`: the error that leaves the first step of a sweep is added to the last step's.
    """

    @staticmethod
    def forward(ctx, x, recurrent, activation, wraps=False):
        recurrent = recurrent.to(x.dtype)
        h = torch.empty_like(x)
        for direction, weight in enumerate(recurrent):
            state = None
            for step in _order(len(x), direction):
                total = x[step, :, direction].contiguous()
                if state is not None:
                    total = product(state, weight, add=total)
                state = activation(total)
                h[step, :, direction] = state
        ctx.save_for_backward(h, recurrent)
        ctx.activation, ctx.wraps = activation, wraps
        return h

    @staticmethod
    def backward(ctx, gradient):
        h, recurrent = ctx.saved_tensors
        steps, _, directions, units = h.shape
        slope = ctx.activation.derivative(h)
        delta = torch.empty_like(h)
        for direction, weight in enumerate(recurrent):
            later = None
            for step in reversed(_order(steps, direction)):
                error = gradient[step, :, direction].contiguous()
                if later is not None:
                    error = product(later, weight.t(), add=error)
                later = error * slope[step, :, direction]
                delta[step, :, direction] = later
            if ctx.wraps:
                delta[_order(steps, direction)[-1], :, direction] += product(later, weight.t())
        gradient_recurrent = torch.zeros_like(recurrent)
        for direction in range(directions if steps > 1 else 0):
            first, second = (slice(1, None), slice(None, -1)) if direction == 0 else (slice(None, -1), slice(1, None))
            gradient_recurrent[direction] = product(delta[first, :, direction].reshape(-1, units).t(),
                                                    h[second, :, direction].reshape(-1, units).t())
        return delta, gradient_recurrent, None, None


def _order(steps: int, direction: int) -> range:
    """The order in which a direction visits the steps."""
    return range(steps) if direction == 0 else range(steps - 1, -1, -1)


class RecurrentLayer(Layer):
    """What the recurrent layers share: shapes, drawing, saving.

    Parameters
    ----------
    output_size : int
        Units of each direction.
    init, init_inner : initialiser
        Of the input weights and, where given, of the recurrent weights.
    activation, gate_activation : transform
    reset_cells : bool
        neon's switch between starting from zero and carrying the state on; only the former exists here, so a layer that
        stands on its own in a model has to say ``reset_cells=True``. SpatialRNN always starts from zero.
    """

    directions = 1
    gates = 1
    #: (channels, places): the features of a step come place by place, their weights are saved channel by channel.
    block: tuple[int, int] | None = None

    def __init__(self, output_size, init, init_inner=None, activation=None, reset_cells=False, name=None) -> None:
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
        self.input = parameter(self._transposed(self._draw_gates(rng, self.init, self.features), self.block))
        self.recurrent = parameter(self._draw_gates(rng, self.init_inner or self.init, self.units))
        self.bias = parameter(numpy.zeros((self.directions, self.gates * self.units)))

    def _draw_gates(self, rng, init, size):
        """(directions, gates * units, size), each gate of each direction drawn on its own."""
        return numpy.stack([numpy.concatenate([init.draw(rng, (self.units, size)) for _ in range(self.gates)])
                            for _ in range(self.directions)])

    @staticmethod
    def _transposed(weight, block):
        """Input weights (D, gates * units, features), the features turned from the order `block` to the other one."""
        return weight.reshape(*weight.shape[:2], *block).swapaxes(2, 3).reshape(weight.shape) if block else weight

    def weights(self):
        tensors = (self.input, self.recurrent, self.bias)

        def pack(parts):
            first, *rest = parts
            parts = [self._transposed(first, self.block and self.block[::-1]), *rest]
            return torch.cat([part.reshape(-1) for part in parts]).reshape(-1, self.gates * self.units)

        def unpack(packed):
            pieces = packed.reshape(-1).split([tensor.numel() for tensor in tensors])
            first, *rest = (piece.reshape(tensor.shape) for piece, tensor in zip(pieces, tensors, strict=True))
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
            raise UsageError('{}: the torch engine never carries state between minibatches; pass reset_cells=True, as '
                             'the neon engine then does the same.'.format(self.name))
        return self.sweep(x.flatten(1, -2).permute(2, 0, 1)).permute(1, 2, 0)


class Recurrent(RecurrentLayer):
    """Elman network: h_t = f(W x_t + R h_t-1 + b)."""

    def states(self, x):
        return _ElmanSweep.apply(self.input_products(x), self.recurrent, self.activation)


class BiRNN(Recurrent):
    """Two Elman networks, one a direction; the published cell."""

    directions = 2


class BiBNRNN(BiRNN):
    """BiRNN with batch norm of the input products over batch and steps (neon's ``BiBNRNN``).

    Three faults of neon 2.6.0 (recurrent.py, measured alike on its cpu and mkl backends) are part of its results, hence
    of these: beta and gamma never receive their gradients (`set_deltas` replaces the buffers that the optimiser reads);
    the biases receive zero (their gradient is summed after the batch norm's backward pass); and the error wraps around
    from the first step of a sweep to its last. So only weight decay moves beta, gamma and the biases.
    """

    rho, eps = 0.9, 1e-3

    def draw(self, rng):
        super().draw(rng)
        self.beta = parameter(numpy.zeros(self.output_features))
        self.gamma = parameter(numpy.ones(self.output_features))
        self.register_buffer('gmean', statistic(self.output_features))
        self.register_buffer('gvar', statistic(self.output_features))

    def weights(self):
        yield from super().weights()
        for name in ('beta', 'gamma', 'gmean', 'gvar'):
            yield column(name, getattr(self, name))

    def states(self, x):
        products = self.input_products(x, bias=False)
        shape = products.shape
        products = products.flatten(2).flatten(0, 1)
        gamma, beta = self.gamma.detach(), self.beta.detach()
        if self.training:
            count = len(products) * distributed.ranks()
            mean, variance = statistics([products.detach()], count)
            self.gmean.mul_(self.rho).add_(mean, alpha=1 - self.rho)
            self.gvar.mul_(self.rho).add_(variance, alpha=1 - self.rho)
            normal = Normalise.apply(products, gamma, beta, mean, variance, self.eps, count)
        else:
            scale = gamma * torch.rsqrt(self.gvar + self.eps)
            normal = scaled(products, scale, beta - self.gmean * scale)
        products = normal.reshape(shape) + self.bias.detach().to(normal.dtype)
        return _ElmanSweep.apply(products, self.recurrent, self.activation, True)


class GatedLayer(RecurrentLayer):
    """A cell with gates: `step` makes the next state from the products of one step."""

    def __init__(self, output_size, init, init_inner=None, activation=None, gate_activation=None, reset_cells=False,
                 name=None) -> None:
        super().__init__(output_size, init, init_inner, activation, reset_cells, name)
        if activation is None or gate_activation is None:
            raise UsageError('{} needs activation and gate_activation (as in neon).'.format(type(self).__name__))
        self.gate_activation = gate_activation

    def step(self, products, recurrent, state):
        """One step of one direction.

        Parameters
        ----------
        products : torch.Tensor
            (batch, gates * units): W x + b.
        recurrent : torch.Tensor
            (gates * units, units).
        state : tuple of torch.Tensor
            The hidden state first, each (batch, units).
        """
        raise NotImplementedError

    state_size = 1

    def states(self, x):
        products = self.input_products(x)
        steps, batch = x.shape[:2]
        swept = []
        for direction in range(self.directions):
            state = (products.new_zeros(batch, self.units),) * self.state_size
            hidden = [products] * steps
            for step in _order(steps, direction):
                state = self.step(products[step, :, direction], self.recurrent[direction], state)
                hidden[step] = state[0]
            swept.append(torch.stack(hidden))
        return torch.stack(swept, dim=2)


class LSTM(GatedLayer):
    """Long short-term memory (Hochreiter and Schmidhuber, 1997).

    Gates in neon's order: input, forget, output, modulation.
    """

    gates = 4
    state_size = 2

    def step(self, products, recurrent, state):
        h, c = state
        total = torch.addmm(products, h, recurrent.t())
        input_gate, forget_gate, output_gate = self.gate_activation(total[:, :3 * self.units]).chunk(3, dim=1)
        c = forget_gate * c + input_gate * self.activation(total[:, 3 * self.units:])
        return output_gate * self.activation(c), c


class BiLSTM(LSTM):
    """Two LSTMs, one a direction."""

    directions = 2


class GRU(GatedLayer):
    """Gated recurrent unit (Cho et al., arXiv 1406.1078); gates in neon's order: reset, update, candidate.

    h_t = (1 - z) h_t-1 + z f(W x + R (r * h_t-1) + b).
    """

    gates = 3

    def step(self, products, recurrent, state):
        (h,) = state
        split = 2 * self.units
        reset, update = self.gate_activation(
            torch.addmm(products[:, :split], h, recurrent[:split].t())).chunk(2, dim=1)
        candidate = self.activation(torch.addmm(products[:, split:], reset * h, recurrent[split:].t()))
        return ((1 - update) * h + update * candidate,)


class BiGRU(GRU):
    """Two GRUs, one a direction, drawn and saved in the pattern of neon's other Bi layers."""

    directions = 2
