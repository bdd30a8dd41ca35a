"""One sweep of SpatialRNN: a recurrent layer of neon run along all lines of a map at once."""

import contextlib

from neon import NervanaObject
from neon.layers.container import DeltasTree
from neon.optimizers.optimizer import get_param_list

#: What neon's BiBNRNN trains, but neither serialises nor keeps when it is allocated after loading.
LEFT_OUT = ('beta', 'gamma')


class Sweep(NervanaObject):
    """One recurrent layer run along all lines (columns or rows) of a map at once.

    neon's recurrent layers slice their buffers by the backend's batch size. Here the batch is lines
    x images, so that size is set for as long as the layer's own code runs.

    Parameters
    ----------
    layer : Layer
        A recurrent layer of neon.

    Attributes
    ----------
    steps, lines, features : int
        Blocks along a line, lines swept at once, features that come out.
    inputs, errors : Tensor
        What `fprop` and `bprop` read: (features in, steps * lines * images), (features, steps *
        lines * images).
    """

    def __init__(self, layer):
        super(Sweep, self).__init__()
        self.layer = layer
        self.steps = self.lines = self.features = self.inputs = self.errors = None
        self._params_to_load, self._states_to_load = {}, None

    def __str__(self):
        return '{} {} -> {}, {} steps'.format(
            self.layer.classnm, self.layer.nin, self.features, self.steps
        )

    @contextlib.contextmanager
    def _lines_as_batch(self):
        images = self.be.bsz
        self.be.bsz = images * self.lines
        try:
            yield
        finally:
            self.be.bsz = images

    def configure(self, features_in, steps, lines):
        """Give the layer its shape."""
        self.steps, self.lines = steps, lines
        self.layer.configure((features_in, steps))
        # neon allocates deltas only for a layer that has one before it
        self.layer.prev_layer = True
        self.features = self.layer.out_shape[0]

    def allocate(self):
        """Allocate `inputs` and the layer's own buffers; its weights are drawn."""
        with self._lines_as_batch():
            self.inputs = self.be.iobuf(self.layer.in_shape)
            self.layer.allocate()
        self._load_rest()

    def set_deltas(self):
        """Allocate `errors` and what the layer needs to propagate them back."""
        with self._lines_as_batch():
            # the layer keeps views of the first error it is given and writes into it: always this
            # buffer
            self.errors = self.be.iobuf(self.layer.out_shape)
            tree = DeltasTree()
            self.layer.allocate_deltas(tree)
            tree.allocate_buffers()
            self.layer.set_deltas(tree)

    def fprop(self, inference):
        """(features, steps * lines * images), computed from `inputs`."""
        with self._lines_as_batch():
            return self.layer.fprop(self.inputs, inference)

    def bprop(self):
        """Compute and return the error of `inputs` from `errors`; alpha and beta stay at each
        layer's own defaults.

        BiRNN adds up its two directions only with its default beta of 1 and BiLSTM only with its
        default of 0.
        """
        with self._lines_as_batch():
            return self.layer.bprop(self.errors)

    def describe(self, keep_states):
        """Return what the layer serialises, ``params`` and perhaps ``states``, with what neon
        leaves out.

        ``states`` is a list of arrays as for any layer of neon with one parameter, a list of lists
        with several.
        """
        params = dict(self.layer.get_description(get_weights=True, keep_states=False)['params'])
        for name in LEFT_OUT:
            if getattr(self.layer, name, None) is not None:
                params[name] = getattr(self.layer, name).get()
        if not keep_states:
            return {'params': params}
        states = [[state.get() for state in each] for _, each in get_param_list([self.layer])]
        return {'params': params, 'states': states if len(states) > 1 else states[0]}

    def load_params(self, params):
        """Take the ``params`` of a description, before the layer is allocated or after."""
        self.layer.set_params(
            {'params': {name: params[name] for name in params if name not in LEFT_OUT}}
        )
        self._params_to_load = {name: params[name] for name in LEFT_OUT if name in params}
        self._load_rest()

    def load_states(self, states):
        """Take the ``states`` of a description; with None the optimiser starts afresh."""
        several = states and isinstance(states[0], (list, tuple))
        self._states_to_load = list(states) if several else [states or []]
        self._load_rest()

    def _load_rest(self):
        """Load what an allocation would overwrite, once that has happened."""
        if self.inputs is None:
            return
        for name in self._params_to_load:
            getattr(self.layer, name).set(self._params_to_load[name])
        self._params_to_load = {}
        if self._states_to_load is not None:
            # in place: BiBNRNN hands the optimiser the lists that it made when it was allocated
            for place, (_, states) in enumerate(get_param_list([self.layer])):
                loaded = self._states_to_load[place] if place < len(self._states_to_load) else []
                states[:] = [self.be.array(values) for values in loaded]
            self._states_to_load = None
