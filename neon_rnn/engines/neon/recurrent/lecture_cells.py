"""Recurrent networks of the lecture that neon lacks, in one direction and in two.

Jordan networks, deep transition, deep output, and recurrent layers stacked. f is the activation; U,
W and b are those of an Elman network and saved in ``W``; what comes after them, V and c, is saved
in ``V``, layer by layer.
"""

import collections

from neon.layers.container import DeltasTree
from neon.transforms import Identity

from neon_rnn.engines.neon.recurrent.base import RecurrentLayer, packed_views, visits
from neon_rnn.engines.parameters import check_depth, part_names


class LayeredStep(RecurrentLayer):
    """A recurrent layer whose step has several layers, of `output_size` units each.

    z_1 = f(U x_t + W s + b), then z_l = f(V_l z_l-1 + c_l) up to the output z_depth. s is what
    `state_layer` computed at the step before. With a depth of 1 it is the Elman network.

    Parameters
    ----------
    depth : int
        Layers from the input to the output of a step. The other parameters are those of
        `RecurrentLayer`.

    Attributes
    ----------
    V, dV : Tensor
        (further layers * directions * (units + 1), units): for each further layer V_l, then c_l, in
        each forward before backward. None with a depth of 1.
    """

    #: Index of the layer whose result is the state: 0 the first, -1 the last.
    state_layer = 0

    def __init__(
        self,
        output_size,
        init,
        init_inner=None,
        activation=None,
        reset_cells=False,
        name=None,
        depth=2,
    ):
        super(LayeredStep, self).__init__(
            output_size, init, init_inner, activation, reset_cells, name
        )
        self.depth = check_depth(self.classnm, depth)
        self.V = self.dV = None
        self.V_states = []

    def transforms(self):
        """Return the activation of each layer of a step."""
        return [self.activation] * self.depth

    # Weights

    def init_params(self, shape):
        """Make U, W and b as an Elman network, then each V and c."""
        super(LayeredStep, self).init_params(shape)
        if self.depth == 1:
            return
        self.V = self.be.empty(self._shape_of_v(), **self.get_param_attrs())
        for weights, biases in self._further(self.V):
            for weight in weights:
                (self.init_inner or self.init).fill(weight)
            for bias in biases:
                bias.fill(0.0)

    def view_params(self):
        """Make the gradients and the views of every weight."""
        super(LayeredStep, self).view_params()
        self.V_of, self.dV_of = [], []  # type: list, list
        if self.depth > 1:
            self.check_shape('V', self._shape_of_v(), self.V)
            self.dV = self.be.zeros_like(self.V)
            self.V_of, self.dV_of = self._further(self.V), self._further(self.dV)

    def _shape_of_v(self):
        rows = (self.depth - 1) * self.directions * (self.output_size + 1)
        return (rows, self.output_size)

    def _further(self, packed):
        """Return the views of V or dV: (V_l, c_l) for each further layer, each a list of
        directions.
        """
        rows = self.directions * (self.output_size + 1)
        return [
            packed_views(packed, (self.output_size, 1), self.directions, place * rows)
            for place in range(self.depth - 1)
        ]

    def parameters(self):
        """Iterate over (name, weight, gradient, states of the optimiser)."""
        for parameter in super(LayeredStep, self).parameters():
            yield parameter
        if self.depth > 1:
            yield 'V', self.V, self.dV, self.V_states

    # Passes

    def make_buffers(self):
        """Allocate the results of each layer of a step, and their errors."""
        self.values = [self.new_sequences() for _ in range(self.depth - 1)]
        self.values.append(self.sequences(self.outputs))
        self.first = self.values[0]
        self.error_buffer = self.be.iobuf(self.out_shape)
        self.errors = self.sequences(self.error_buffer)
        self.errors_of = [self.new_sequences() for _ in range(self.depth - 1)] + [self.errors]
        self.first_errors = self.errors_of[0]

    def _inside(self):
        """Return the further layers inside the recurrence and those behind it: two ranges."""
        last = self.state_layer % self.depth
        return range(1, last + 1), range(last + 1, self.depth)

    def forward(self, direction):
        """Compute one direction: the recurrence step by step, then what is behind it at once."""
        transforms = self.transforms()
        inside, behind = self._inside()
        recurrent, bias = self.W_recur[direction], self.b[direction]
        state = None
        for step in visits(self.nsteps, direction):
            first = self.first[direction].at[step]
            if state is not None:
                self.be.compound_dot(recurrent, state, first, beta=1.0)
            first[:] = transforms[0](first + bias)
            for place in inside:
                below, here = (self.values[at][direction].at[step] for at in (place - 1, place))
                self._layer(place, direction, below, here)
            state = self.values[self.state_layer][direction].at[step]
        for place in behind:
            below, here = (self.values[at][direction].all for at in (place - 1, place))
            self._layer(place, direction, below, here)

    def _layer(self, place, direction, below, here):
        """Compute a further layer: here = f(V below + c)."""
        weights, biases = self.V_of[place - 1]
        self.be.compound_dot(weights[direction], below, here)
        here[:] = self.transforms()[place](here + biases[direction])

    def _layer_backward(self, place, direction, here, error, error_below):
        """Turn the error of a further layer into that of its sums, and compute that below it."""
        weights, _ = self.V_of[place - 1]
        error[:] = self.transforms()[place].bprop(here) * error
        self.be.compound_dot(weights[direction].T, error, error_below)

    def backward(self, direction):
        """Compute the errors of every layer's sums, and the gradients of W, V and c."""
        inside, behind = self._inside()
        values = [of_layer[direction] for of_layer in self.values]
        errors = [of_layer[direction] for of_layer in self.errors_of]
        for place in reversed(behind):
            here, error, below = values[place].all, errors[place].all, errors[place - 1].all
            self._layer_backward(place, direction, here, error, below)
        later = None
        for step in reversed(visits(self.nsteps, direction)):
            if later is not None:
                error = errors[self.state_layer].at[step]
                self.be.compound_dot(self.W_recur[direction].T, later, error, beta=1.0)
            for place in reversed(inside):
                here, error, below = (
                    sequence.at[step]
                    for sequence in (values[place], errors[place], errors[place - 1])
                )
                self._layer_backward(place, direction, here, error, below)
            later = errors[0].at[step]
            later[:] = self.transforms()[0].bprop(values[0].at[step]) * later
        self._gradients(direction, values, errors)

    def _gradients(self, direction, values, errors):
        """Compute the gradients of W, and of each V and c, from the errors of the sums."""
        if self.nsteps > 1:
            self.be.compound_dot(
                errors[0].later, values[self.state_layer].earlier.T, self.dW_recur[direction]
            )
        else:
            self.dW_recur[direction][:] = 0
        for place in range(1, self.depth):
            weights, biases = self.dV_of[place - 1]
            self.be.compound_dot(errors[place].all, values[place - 1].all.T, weights[direction])
            biases[direction][:] = self.be.sum(errors[place].all, axis=1)


class Elman(LayeredStep):
    """Elman network, h_t = f(U x_t + W h_t-1 + b): what a `StackedRNN` consists of.

    On its own neon's Recurrent does the same.
    """

    def __init__(
        self, output_size, init, init_inner=None, activation=None, reset_cells=False, name=None
    ):
        super(Elman, self).__init__(
            output_size, init, init_inner, activation, reset_cells, name, depth=1
        )


class BiElman(Elman):
    """Two Elman networks, one for each direction; on its own neon's BiRNN does the same."""

    directions = 2


class Jordan(LayeredStep):
    """Jordan network: the output is fed back, h_t = f(U x_t + W y_t-1 + b), y_t = V h_t + c.

    The output is linear. With an activation of its own this would be the deep transition.
    """

    state_layer = -1

    def __init__(
        self, output_size, init, init_inner=None, activation=None, reset_cells=False, name=None
    ):
        super(Jordan, self).__init__(output_size, init, init_inner, activation, reset_cells, name)

    def transforms(self):
        """Return the activation of h, and the identity of y."""
        return [self.activation, Identity()]


class BiJordan(Jordan):
    """Two Jordan networks, one for each direction."""

    directions = 2


class DeepTransition(LayeredStep):
    """Several nonlinear layers from state to state: h_t = f(V f(U x_t + W h_t-1 + b) + c).

    After Pascanu et al., arXiv 1312.6026. `depth` counts the layers.
    """

    state_layer = -1


class BiDeepTransition(DeepTransition):
    """Two networks with deep transitions, one for each direction."""

    directions = 2


class DeepOutput(LayeredStep):
    """Layers between state and output: h_t = f(U x_t + W h_t-1 + b), y_t = f(V h_t + c).

    After Pascanu et al., arXiv 1312.6026. `depth` counts the layers, that of the state included.
    """


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

    Attributes
    ----------
    layers : list of LayeredStep
        The networks, the lowest one first.
    """

    network = Elman

    def __init__(
        self,
        output_size,
        init,
        init_inner=None,
        activation=None,
        reset_cells=False,
        name=None,
        depth=2,
    ):
        super(StackedRNN, self).__init__(
            output_size, init, init_inner, activation, reset_cells, name
        )
        self.depth = check_depth(self.classnm, depth)
        self.layers = [
            self.network(output_size, init, init_inner, activation, reset_cells)
            for _ in range(depth)
        ]

    def parts(self):
        """Return name -> layer, in order."""
        return collections.OrderedDict(zip(part_names(self.depth), self.layers))

    def configure(self, in_obj):
        """Take the shape of the layer before; each network reads the one below."""
        super(StackedRNN, self).configure(in_obj)
        below = self.in_shape
        for layer in self.layers:
            layer.parallelism = self.parallelism
            below = layer.configure(below).out_shape
            # neon allocates deltas only for a layer that has one before it
            layer.prev_layer = True
        self.layers[0].prev_layer = self.prev_layer
        return self

    def allocate(self, shared_outputs=None):
        """Allocate the networks, the lowest first; the output of the last is that of the stack."""
        if self.outputs:  # type: ignore[has-type]
            return
        for layer in self.layers[:-1]:
            layer.allocate()
        self.layers[-1].allocate(shared_outputs)
        self.outputs = self.layers[-1].outputs

    def set_deltas(self, delta_buffers):
        """Take the shared buffer for the error of the layer before; the others have their own."""
        self.layers[0].prev_layer = self.prev_layer
        self.layers[0].set_deltas(delta_buffers)
        self.deltas = self.layers[0].deltas
        for layer in self.layers[1:]:
            layer.set_deltas(DeltasTree())

    def fprop(self, inputs, inference=False):
        """Read a minibatch of sequences, network by network."""
        for layer in self.layers:
            inputs = layer.fprop(inputs, inference)
        return inputs

    def bprop(self, error, alpha=1.0, beta=0.0):
        """Propagate the error back, network by network."""
        for layer in reversed(self.layers[1:]):
            error = layer.bprop(error)
        return self.layers[0].bprop(error, alpha, beta)

    def parameters(self):
        """Iterate over (name, weight, gradient, states of the optimiser) of all networks."""
        for part, layer in self.parts().items():
            for name, weight, gradient, states in layer.parameters():
                yield '{}.{}'.format(part, name), weight, gradient, states

    def set_params(self, pdict):
        """Load the weights of a description, before the layer is allocated or after."""
        parts = self.parts()
        for name, values in pdict['params'].items():
            part, _, inner = name.partition('.')
            parts[part].set_params({'params': {inner: values}})


class StackedBiRNN(StackedRNN):
    """Bidirectional Elman networks over each other."""

    directions = 2
    network = BiElman
