"""The cell with gates that neon lacks: the gated recurrent unit in two directions.

LSTM, BiLSTM and GRU are neon's own.
"""

from neon_rnn.engines.neon.recurrent.base import RecurrentLayer, visits
from neon_rnn.support.errors import UsageError


class BiGRU(RecurrentLayer):
    """Two gated recurrent units (Cho et al., arXiv 1406.1078), one for each direction.

    Gates in neon's order: reset r, update z, candidate, as in neon's GRU.
    h_t = (1 - z) h_t-1 + z f(U x_t + W (r * h_t-1) + b).

    Parameters
    ----------
    activation, gate_activation : Transform
        Both are required. The other parameters are those of `RecurrentLayer`.

    Raises
    ------
    UsageError
        One of them is missing, or ``reset_cells`` is not True.
    """

    directions = 2
    gates = 3

    def __init__(
        self,
        output_size,
        init,
        init_inner=None,
        activation=None,
        gate_activation=None,
        reset_cells=False,
        name=None,
    ):
        super(BiGRU, self).__init__(output_size, init, init_inner, activation, reset_cells, name)
        if gate_activation is None:
            raise UsageError('{} needs a gate_activation.'.format(self.classnm))
        self.gate_activation = gate_activation

    def make_buffers(self):
        """Allocate the gates, r * h_t-1, and the errors of all of them."""
        self.hidden = self.sequences(self.outputs)
        self.first = self.new_sequences(self.gates * self.output_size)
        self.reset_hidden = self.new_sequences()
        self.error_buffer = self.be.iobuf(self.out_shape)
        self.errors = self.sequences(self.error_buffer)
        self.first_errors = self.new_sequences(self.gates * self.output_size)
        self.scratch = self.be.iobuf(self.output_size)

    def _gates(self, values):
        """Return the rows of r, of z, of both and of the candidate, each (rows, batch)."""
        units = self.output_size
        return (
            values[:units],
            values[units : 2 * units],
            values[: 2 * units],
            values[2 * units :],
        )

    def forward(self, direction):
        """Compute the hidden states of one direction."""
        be, f, g = self.be, self.activation, self.gate_activation
        _, _, weight_of_gates, weight = self._gates(self.W_recur[direction])
        _, _, bias_of_gates, bias = self._gates(self.b[direction])
        before = None
        for step in visits(self.nsteps, direction):
            reset, update, both, candidate = self._gates(self.first[direction].at[step])
            reset_hidden = self.reset_hidden[direction].at[step]
            hidden = self.hidden[direction].at[step]
            if before is not None:
                be.compound_dot(weight_of_gates, before, both, beta=1.0)
            both[:] = g(both + bias_of_gates)
            if before is None:
                candidate[:] = f(candidate + bias)
                hidden[:] = update * candidate
            else:
                reset_hidden[:] = reset * before
                be.compound_dot(weight, reset_hidden, candidate, beta=1.0)
                candidate[:] = f(candidate + bias)
                hidden[:] = (1 - update) * before + update * candidate
            before = hidden

    def backward(self, direction):
        """Compute the errors before the gates' activations, and the recurrent gradients."""
        be, f, g = self.be, self.activation, self.gate_activation
        _, _, weight_of_gates, weight = self._gates(self.W_recur[direction])
        order = list(visits(self.nsteps, direction))
        errors, first_errors = self.errors[direction], self.first_errors[direction]
        for position in reversed(range(self.nsteps)):
            step = order[position]
            error = errors.at[step]
            reset, update, _, candidate = self._gates(self.first[direction].at[step])
            of_reset, of_update, of_both, of_candidate = self._gates(first_errors.at[step])
            of_candidate[:] = f.bprop(candidate) * error * update
            if position == 0:
                of_update[:] = g.bprop(update) * error * candidate
                of_reset[:] = 0
                continue
            before = self.hidden[direction].at[order[position - 1]]
            error_before = errors.at[order[position - 1]]
            of_update[:] = g.bprop(update) * error * (candidate - before)
            be.compound_dot(weight.T, of_candidate, self.scratch)
            of_reset[:] = g.bprop(reset) * self.scratch * before
            error_before[:] = error_before + error * (1 - update) + reset * self.scratch
            be.compound_dot(weight_of_gates.T, of_both, error_before, beta=1.0)
        of_gates, of_weight = self._gates(self.dW_recur[direction])[2:]
        if self.nsteps == 1:
            self.dW_recur[direction][:] = 0
            return
        _, _, of_both, of_candidate = self._gates(first_errors.later)
        be.compound_dot(of_both, self.hidden[direction].earlier.T, of_gates)
        be.compound_dot(of_candidate, self.reset_hidden[direction].later.T, of_weight)
