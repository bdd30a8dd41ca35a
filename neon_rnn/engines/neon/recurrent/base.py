"""The base of the recurrent layers that neon lacks: shapes, weights and what a model calls.

Everything here uses public calls of neon's backends and tensors only, so that the gpu, mkl and cpu
backends run the same code. Tensors are neon's: (features, steps * batch), the batch fastest. Each
direction, forward and perhaps backward, has weights and rows of the buffers of its own.

Initial values are random in the order of neon's own layers, and weights are saved in the same
order: input weights, recurrent weights, biases; in each, forward before backward, gate by gate.
Biases start at 0, and a sequence from a zero state.
"""

from neon.layers.layer import ParameterLayer
from neon.layers.recurrent import get_steps, interpret_in_shape

from neon_rnn.support.errors import UsageError


def visits(steps, direction):
    """Return the steps in the order of a direction: 0 is forward, 1 is backward."""
    return range(steps) if direction == 0 else range(steps - 1, -1, -1)


class Sequence(object):
    """The values of one direction over all steps.

    Parameters
    ----------
    values : Tensor
        (features, steps * batch).
    steps, direction : int

    Attributes
    ----------
    all : Tensor
        `values`.
    at : list of Tensor
        The values of each step, (features, batch).
    later, earlier : Tensor or None
        All steps but the first one, and all but the last one, in the order of the direction:
        (features, (steps - 1) * batch). None for a single step.
    """

    def __init__(self, values, steps, direction):
        self.all = values
        self.at = get_steps(values, (values.shape[0], steps))
        self.later = self.earlier = None
        if steps > 1:
            batch = values.shape[1] // steps
            self.later, self.earlier = values[:, batch:], values[:, :-batch]
            if direction == 1:
                self.later, self.earlier = self.earlier, self.later


def packed_views(packed, heights, directions, first=0):
    """Return views of weights that are packed one after the other.

    Parameters
    ----------
    packed : Tensor
        (rows, columns).
    heights : iterable of int
        Rows that a direction of each weight takes.
    directions : int
    first : int
        The row at which they begin.

    Returns
    -------
    list of list of Tensor
        (columns, height): for each height, one for each direction.
    """
    views = []  # type: list
    for height in heights:
        views.append([])
        for _ in range(directions):
            rows = packed[first : first + height]
            views[-1].append(rows.reshape((packed.shape[1], height)))
            first += height
    return views


class RecurrentLayer(ParameterLayer):
    """Base class of this project's recurrent layers for neon.

    A plain layer of neon: it can stand in any model, and be the RNN of a SpatialRNN. It reads
    (features, steps) and writes (directions * output_size, steps); forward units come before
    backward units.

    Parameters
    ----------
    output_size : int
        Units of each direction.
    init, init_inner : Initializer
        Of the input weights and, where given, of all others.
    activation : Transform
    reset_cells : bool
        It has to be True: these layers start every sequence from a zero state, while neon's default
        carries the state of one minibatch into the next.
    name : str, optional

    Attributes
    ----------
    W, dW : Tensor
        Packed as neon packs them, (directions * (features + units + 1), gates * units).

    Raises
    ------
    UsageError
        ``reset_cells`` is not True, or there is no activation.
    """

    directions = 1
    gates = 1

    def __init__(
        self, output_size, init, init_inner=None, activation=None, reset_cells=False, name=None
    ):
        super(RecurrentLayer, self).__init__(init, name)
        if not reset_cells:
            raise UsageError(
                '{}: this layer never carries state between minibatches; pass '
                'reset_cells=True.'.format(self.classnm)
            )
        if activation is None:
            raise UsageError('{} needs an activation, say Tanh().'.format(self.classnm))
        self.output_size, self.nout = output_size, output_size
        self.init_inner = init_inner
        self.activation = activation
        self.reset_cells = reset_cells

    def __str__(self):
        return "{} Layer '{}': {} inputs, {} outputs, {} steps".format(
            self.classnm, self.name, self.nin, self.out_shape[0], self.nsteps
        )

    def configure(self, in_obj):
        """Take the shape of the layer before: (features, steps), or maps whose columns are steps.

        Returns
        -------
        RecurrentLayer
            This layer, as neon expects.
        """
        super(RecurrentLayer, self).configure(in_obj)
        nin, self.nsteps = interpret_in_shape(self.in_shape)
        self.nin = int(nin)
        self.out_shape = (self.directions * self.output_size, self.nsteps)
        return self

    def allocate(self, shared_outputs=None):
        """Allocate the output, buffers of the same size and, the first time, the weights."""
        if self.outputs:
            return
        super(RecurrentLayer, self).allocate(shared_outputs)
        self.view_params()
        self.make_buffers()

    # Weights

    def init_params(self, shape):
        """Make the weights with their random initial values."""
        rows = self.directions * (self.nin + self.output_size + 1)
        self.W = self.be.empty((rows, self.gates * self.output_size), **self.get_param_attrs())
        inputs, recurrent, biases = self.packed_weights(self.W)
        for weights, init in ((inputs, self.init), (recurrent, self.init_inner or self.init)):
            for weight in weights:
                for gate in range(self.gates):
                    init.fill(weight[gate * self.output_size : (gate + 1) * self.output_size])
        for bias in biases:
            bias.fill(0.0)

    def packed_weights(self, packed):
        """Return views of W or dW: input weights (gates * units, features), recurrent weights
        (gates * units, units) and biases (gates * units, 1), each a list of directions.
        """
        return packed_views(packed, (self.nin, self.output_size, 1), self.directions)

    def view_params(self):
        """Make the gradients of the weights, and the views that the passes use.

        Raises
        ------
        UsageError
            Weights that were loaded have another shape than the layer's.
        """
        rows = self.directions * (self.nin + self.output_size + 1)
        self.check_shape('W', (rows, self.gates * self.output_size), self.W)
        self.dW = self.be.zeros_like(self.W)
        self.W_input, self.W_recur, self.b = self.packed_weights(self.W)
        self.dW_input, self.dW_recur, self.db = self.packed_weights(self.dW)

    def check_shape(self, name, shape, values):
        """Refuse a loaded weight of another shape than the layer's, naming both."""
        shape, found = tuple(shape), tuple(values.shape)
        if found != shape:
            raise UsageError(
                '{} {}: {} has the shape {} here and {} in the file.'.format(
                    self.classnm, self.name, name, shape, found
                )
            )

    def parameters(self):
        """Iterate over (name, weight, gradient, states of the optimiser)."""
        yield 'W', self.W, self.dW, self.states

    def get_params(self):
        """Return the weights, gradients and states, as neon's optimisers take them."""
        return [((weight, gradient), states) for _, weight, gradient, states in self.parameters()]

    def get_description(self, get_weights=False, keep_states=True):
        """Return what `Model.serialize` writes: ``params`` by name and ``states`` in that order,
        a list of arrays for a layer of one weight, a list of lists for one of several.
        """
        description = super(RecurrentLayer, self).get_description()
        if get_weights:
            parameters = list(self.parameters())
            description['params'] = {name: weight.get() for name, weight, _, _ in parameters}
            if keep_states:
                states = [[state.get() for state in each] for _, _, _, each in parameters]
                description['states'] = states if len(states) > 1 else states[0]
        return description

    def set_params(self, pdict):
        """Load the weights of a description, before the layer is allocated or after.

        Raises
        ------
        UsageError
            A weight has another shape than the layer's.
        """
        for name, values in sorted(pdict['params'].items()):
            weight = getattr(self, name)
            if weight is None:
                setattr(self, name, self.be.array(values, **self.get_param_attrs()))
                continue
            self.check_shape(name, weight.shape, values)
            weight.set(values)

    def set_states(self, pdict):
        """Load the optimiser's states of a description; without any, it starts afresh."""
        loaded = pdict.get('states') or []
        if not (loaded and isinstance(loaded[0], (list, tuple))):
            loaded = [loaded]
        for place, (_, _, _, states) in enumerate(self.parameters()):
            states[:] = [
                self.be.array(values) for values in (loaded[place] if place < len(loaded) else [])
            ]

    # Passes

    def sequences(self, buffer):
        """Return a `Sequence` a direction of a buffer (directions * rows, steps * batch)."""
        rows = buffer.shape[0] // self.directions
        return [
            Sequence(buffer[direction * rows : (direction + 1) * rows], self.nsteps, direction)
            for direction in range(self.directions)
        ]

    def new_sequences(self, rows=None):
        """Allocate a buffer of `rows` a direction (default: the units) and return its sequences."""
        rows = self.output_size if rows is None else rows
        return self.sequences(self.be.iobuf((self.directions * rows, self.nsteps)))

    def make_buffers(self):
        """Allocate what the passes need beside the output.

        ``self.first`` and ``self.first_errors`` are what the input products are written to, and
        the errors of those: a `Sequence` (gates * units, steps * batch) for each direction.
        """
        raise NotImplementedError

    def forward(self, direction):
        """Compute the output of one direction; ``self.first[direction]`` holds U x."""
        raise NotImplementedError

    def backward(self, direction):
        """Compute ``self.first_errors[direction]`` from ``self.errors[direction]``, the error of
        the output, and all gradients but those of the input weights and of b.
        """
        raise NotImplementedError

    def fprop(self, inputs, inference=False):
        """Read a minibatch of sequences.

        Parameters
        ----------
        inputs : Tensor
            (features, steps * batch), or (features * steps, batch) of maps.
        inference : bool
            It changes nothing.

        Returns
        -------
        Tensor
            (directions * units, steps * batch).
        """
        self.be.convert_data(inputs, False)
        self.x = inputs.reshape((self.nin, self.nsteps * self.be.bsz))
        for direction in range(self.directions):
            self.be.compound_dot(self.W_input[direction], self.x, self.first[direction].all)
            self.forward(direction)
        return self.outputs

    def bprop(self, error, alpha=1.0, beta=0.0):
        """Propagate the error back and compute the gradients.

        Parameters
        ----------
        error : Tensor
            (directions * units, steps * batch); it is left as it is.
        alpha, beta : float
            The result is ``alpha * result + beta * deltas``.

        Returns
        -------
        Tensor or None
            Of the input's shape; None for the first layer of a model.
        """
        self.be.convert_data(error, False)
        self.error_buffer[:] = error.reshape(self.error_buffer.shape)
        for direction in range(self.directions):
            self.backward(direction)
            delta = self.first_errors[direction].all
            self.be.compound_dot(delta, self.x.T, self.dW_input[direction])
            self.db[direction][:] = self.be.sum(delta, axis=1)
        if self.deltas is None:
            return None
        if beta == 0:
            self.be.clean_data(self.deltas, True)
        else:
            self.be.convert_data(self.deltas, False)
        deltas = self.deltas.reshape(self.x.shape)
        for direction in range(self.directions):
            self.be.compound_dot(
                self.W_input[direction].T,
                self.first_errors[direction].all,
                deltas,
                alpha=alpha,
                beta=beta if direction == 0 else 1.0,
            )
        return self.deltas
