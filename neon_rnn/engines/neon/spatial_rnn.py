"""SpatialRNN, a custom layer of Intel neon: two recurrent sweeps over the blocks of a feature map.

After the recurrent layer of ReSeg (Visin et al., arXiv 1511.07053). Everything here uses public
calls of neon's backends and tensors only, so that the gpu, mkl and cpu backends run the same code.
"""

import collections

from neon import NervanaObject
from neon.layers.container import DeltasTree
from neon.layers.layer import Layer
from neon.layers.recurrent import BiRNN, Recurrent
from neon.optimizers.optimizer import get_param_list
from neon.util.persist import load_class

from neon_rnn.engines.neon.recurrent.base import RecurrentLayer
from neon_rnn.engines.neon.sweep import Sweep
from neon_rnn.support.errors import UsageError

DIRECTIONS = ('vertical', 'horizontal')
#: What the RNN of a SpatialRNN is: a layer of neon, or one of this engine.
CELLS = (BiRNN, Recurrent, RecurrentLayer)


class SpatialRNN(Layer):
    """Sweep the columns of a map of blocks with one recurrent layer, then the rows of its output
    with another.

    The (C, H, W) map is cut into blocks of (C, I, J). The vertical layer reads each column of
    blocks as a sequence of H/I steps, every column with the same weights: the columns are folded
    into the batch. The horizontal layer reads the rows of its output, W/J steps. With a
    bidirectional RNN of U units the output is (2U, H/I, W/J), with a one-directional one (U, H/I,
    W/J).

    Tensors are neon's, (features, batch) with the batch fastest. Block features are ordered (C, row
    in the block, column in the block); the columns of a sequence are ordered (step, line, image).

    Parameters
    ----------
    input_shape : tuple of int
        (C, H, W), what the layer before hands over.
    block_shape : tuple of int
        (C, I, J); I divides H, J divides W.
    RNN : type
        A recurrent layer of neon, BiRNN, BiLSTM, BiBNRNN, Recurrent, LSTM or GRU, or of this
        engine (`neon_rnn.engines.neon.recurrent`): BiGRU, Jordan, BiDeepOutput ...
    RNN_params : dict
        What `RNN` is called with, for the vertical and the horizontal layer alike. ``reset_cells``
        is True unless given: neon's own default, False, would start an image from the last state of
        the minibatch before. Asking for False is refused.
    name : str, optional

    Attributes
    ----------
    vertical, horizontal : Layer
        The two recurrent layers; the vertical one's weights are drawn first.

    Raises
    ------
    UsageError
        The blocks do not divide the map, `RNN` is not recurrent, or ``reset_cells`` is False.
    """

    def __init__(self, input_shape, block_shape, RNN, RNN_params, name=None):
        super(SpatialRNN, self).__init__(name)
        self.input_shape = tuple(int(size) for size in input_shape)
        self.block_shape = tuple(int(size) for size in block_shape)
        _check_blocks(self.input_shape, self.block_shape)
        if not (isinstance(RNN, type) and issubclass(RNN, CELLS)):
            raise UsageError(
                "SpatialRNN: RNN has to be one of neon's recurrent layers (BiRNN, BiLSTM, BiBNRNN, "
                "Recurrent, LSTM, GRU) or of this engine's (BiGRU, BiJordan ...), not {!r}.".format(
                    RNN
                )
            )
        self.RNN = RNN
        self.RNN_params = dict(RNN_params)
        arguments = dict(self.RNN_params)
        if not arguments.setdefault('reset_cells', True):
            raise UsageError(
                'SpatialRNN: reset_cells=False would carry the state of one minibatch into the '
                'next, so '
                "that an image's result depends on other images. Leave it out or give True."
            )
        self.has_params = True
        self.owns_delta = True
        self._sweeps = [Sweep(RNN(**arguments)) for _ in DIRECTIONS]
        self.vertical, self.horizontal = (sweep.layer for sweep in self._sweeps)

    def __str__(self):
        channels, height, width = self.input_shape
        sizes = tuple(self.block_shape[1:])
        if not hasattr(self, 'out_shape'):
            return (
                "SpatialRNN Layer '{}': {} x ({}x{}) inputs, {}x{} blocks, not configured".format(
                    self.name, channels, height, width, *sizes
                )
            )
        sweeps = ', '.join(
            '{} {}'.format(direction, sweep) for direction, sweep in zip(DIRECTIONS, self._sweeps)
        )
        text = "SpatialRNN Layer '{}': {} x ({}x{}) inputs, {} x ({}x{}) outputs, {}x{} blocks; {}"
        return text.format(
            self.name, channels, height, width, *(self.out_shape + sizes + (sweeps,))
        )

    def configure(self, in_obj):
        """Take the shape of the layer before and work out the shapes of the sweeps.

        Raises
        ------
        UsageError
            The layer before hands over another shape than `input_shape`.
        """
        super(SpatialRNN, self).configure(in_obj)
        shape = self.in_shape  # type: ignore[has-type]
        found = tuple(shape) if isinstance(shape, (tuple, list)) else (shape,)
        if found != self.input_shape:
            raise UsageError(
                'SpatialRNN: input_shape is {}, but the layer before hands over {}.'.format(
                    self.input_shape, found
                )
            )
        self.in_shape = found
        channels, height, width = self.input_shape
        _, block_height, block_width = self.block_shape
        rows, columns = height // block_height, width // block_width
        vertical, horizontal = self._sweeps
        for sweep in self._sweeps:
            if self.parallelism != 'Unknown':
                sweep.layer.parallelism = self.parallelism
        vertical.configure(channels * block_height * block_width, steps=rows, lines=columns)
        horizontal.configure(vertical.features, steps=columns, lines=rows)
        self.out_shape = (horizontal.features, rows, columns)
        return self

    def allocate(self, shared_outputs=None):
        """Allocate the output and, the first time, the weights: the vertical ones first."""
        if self.outputs:
            return
        super(SpatialRNN, self).allocate(shared_outputs)
        self._images = self.be.bsz
        for sweep in self._sweeps:
            sweep.allocate()

    def set_deltas(self, delta_buffers):
        """Take the shared buffer for the error of the layer before; allocate the sweeps' own."""
        shared = delta_buffers.buffers[0]
        channels, height, width = self.input_shape
        if shared is not None and shared.size < channels * height * width * self.be.bsz:
            # neon sizes these buffers without looking into a Sequential inside a Sequential
            delta_buffers = DeltasTree()
        super(SpatialRNN, self).set_deltas(delta_buffers)
        for sweep in self._sweeps:
            sweep.set_deltas()

    def fprop(self, inputs, inference=False, beta=0.0):
        """Sweep the map.

        Parameters
        ----------
        inputs : Tensor
            (C*H*W, batch).
        inference : bool
            Handed on to the recurrent layers.
        beta : float
            Scale of what the output held before, which is added; neon's merge containers use it.

        Returns
        -------
        Tensor
            (features*(H/I)*(W/J), batch).
        """
        # a container converts mkl layouts for a layer whose is_mklop is False; a direct caller may
        # not have
        self.be.convert_data(inputs, False)
        vertical, horizontal = self._sweeps
        # (C, row, I, column, J, image) -> (C, I, J, row, column, image)
        self.be.copy_transpose(
            inputs.reshape(self._map_view()),
            vertical.inputs.reshape(self._block_view()),  # type: ignore[union-attr]
            (0, 2, 4, 1, 3, 5),
        )
        swept = vertical.fprop(inference)
        self._swap(swept, vertical, horizontal.inputs)
        swept = horizontal.fprop(inference)
        if beta == 0:
            self.be.clean_data(self.outputs, True)
            self._swap(swept, horizontal, self.outputs)
        else:
            self.be.convert_data(self.outputs, False)
            scratch = self.be.empty_like(self.outputs)
            self._swap(swept, horizontal, scratch)
            self.outputs[:] = beta * self.outputs + scratch
        return self.outputs

    def bprop(self, error, alpha=1.0, beta=0.0):
        """Propagate the error back and leave the gradients in the recurrent layers.

        Parameters
        ----------
        error : Tensor
            (features*(H/I)*(W/J), batch); it is left as it is.
        alpha, beta : float
            The result is ``alpha * result + beta * deltas``.

        Returns
        -------
        Tensor or None
            (C*H*W, batch); None for the first layer of a model.
        """
        self.be.convert_data(error, False)
        vertical, horizontal = self._sweeps
        self._unswap(error, horizontal)
        self._unswap(horizontal.bprop(), vertical)
        swept = vertical.bprop()
        if self.deltas is None:
            return None
        deltas = self.deltas
        accumulate = alpha != 1.0 or beta != 0.0
        if accumulate:
            self.be.convert_data(deltas, False)
            deltas = self.be.empty_like(deltas)
        else:
            self.be.clean_data(deltas, True)
        # (C, I, J, row, column, image) -> (C, row, I, column, J, image)
        self.be.copy_transpose(
            swept.reshape(self._block_view()), deltas.reshape(self._map_view()), (0, 3, 1, 4, 2, 5)
        )
        if accumulate:
            self.deltas[:] = alpha * deltas + beta * self.deltas
        return self.deltas

    def _map_view(self):
        """Return the input's shape as (C, row, I, column, J, image)."""
        channels, block_height, block_width = self.block_shape
        _, rows, columns = self.out_shape
        return (channels, rows, block_height, columns, block_width, self._images)

    def _block_view(self):
        """Return the vertical sequences' shape as (C, I, J, row, column, image)."""
        channels, block_height, block_width = self.block_shape
        _, rows, columns = self.out_shape
        return (channels, block_height, block_width, rows, columns, self._images)

    def _swap(self, swept, sweep, out):
        """(features, step, line, image) of a sweep -> (features, line, step, image)."""
        self.be.copy_transpose(
            swept.reshape((sweep.features, sweep.steps, sweep.lines, self._images)),
            out.reshape((sweep.features, sweep.lines, sweep.steps, self._images)),
            (0, 2, 1, 3),
        )

    def _unswap(self, error, sweep):
        """(features, line, step, image) -> the error of a sweep, (features, step, line, image)."""
        self.be.copy_transpose(
            error.reshape((sweep.features, sweep.lines, sweep.steps, self._images)),
            sweep.errors.reshape((sweep.features, sweep.steps, sweep.lines, self._images)),
            (0, 2, 1, 3),
        )

    def parts(self):
        """Return direction -> recurrent layer, the vertical one first."""
        return collections.OrderedDict(
            (direction, getattr(self, direction)) for direction in DIRECTIONS
        )

    def get_params(self):
        """Return the parameters, gradients and states of both layers, as neon's optimisers take
        them.
        """
        return get_param_list([self.vertical, self.horizontal])

    def get_params_serialize(self, keep_states=True):
        """Return `get_description` with the weights."""
        return self.get_description(get_weights=True, keep_states=keep_states)

    def get_description(self, get_weights=False, keep_states=True):
        """Return what `Model.serialize` writes: plain types and arrays, ``params`` and ``states``
        by direction.
        """
        parameters = {
            key: value.get_description() if isinstance(value, NervanaObject) else value
            for key, value in self.RNN_params.items()
        }
        config = {
            'input_shape': self.input_shape,
            'block_shape': self.block_shape,
            'RNN_params': parameters,
            'RNN': '{}.{}'.format(self.RNN.__module__, self.RNN.__name__),
            'name': self.name,
        }
        description = {'type': self.modulenm, 'config': config}
        if get_weights:
            inner = {
                direction: sweep.describe(keep_states)
                for direction, sweep in zip(DIRECTIONS, self._sweeps)
            }
            description['params'] = {
                direction: inner[direction]['params'] for direction in DIRECTIONS
            }
            if keep_states:
                description['states'] = {
                    direction: inner[direction]['states'] for direction in DIRECTIONS
                }
        return description

    @classmethod
    def gen_class(cls, pdict):
        """Make the layer from the ``config`` of a description."""
        config = dict(pdict, RNN=load_class(pdict['RNN']), RNN_params=dict(pdict['RNN_params']))
        for key in config['RNN_params']:
            cls.recursive_gen(config['RNN_params'], key)
        return cls(**config)

    def set_params(self, pdict):
        """Load the weights of a description.

        Raises
        ------
        UsageError
            A weight has another shape than the layer's.
        """
        for direction, sweep in zip(DIRECTIONS, self._sweeps):
            layer, params = sweep.layer, pdict['params'][direction]
            if layer.W is not None and tuple(layer.W.shape) != tuple(params['W'].shape):
                raise UsageError(
                    'SpatialRNN {}: the {} W has the shape {} here and {} in the file.'.format(
                        self.name, direction, tuple(layer.W.shape), tuple(params['W'].shape)
                    )
                )
            sweep.load_params(params)

    def set_states(self, pdict):
        """Load the optimiser's states of a description; without any, it starts afresh."""
        states = pdict.get('states') or {}
        for direction, sweep in zip(DIRECTIONS, self._sweeps):
            sweep.load_states(states.get(direction))


def _check_blocks(input_shape, block_shape):
    """Refuse blocks that do not tile the map, naming the numbers."""
    if len(input_shape) != 3 or len(block_shape) != 3:
        raise UsageError(
            'SpatialRNN: input_shape and block_shape have three sizes (channels, height, width), '
            'not '
            '{} and {}.'.format(input_shape, block_shape)
        )
    if min(input_shape + block_shape) < 1:
        raise UsageError(
            'SpatialRNN: sizes have to be positive, not {} and {}.'.format(input_shape, block_shape)
        )
    if block_shape[0] != input_shape[0]:
        raise UsageError(
            'SpatialRNN: a block takes all channels: block_shape {} has {} of the {} of '
            'input_shape '
            '{}.'.format(block_shape, block_shape[0], input_shape[0], input_shape)
        )
    for axis, size, block in zip(('height', 'width'), input_shape[1:], block_shape[1:]):
        if size % block:
            raise UsageError(
                'SpatialRNN: the block {} {} does not divide the map {} {} (block_shape {}, '
                'input_shape {}).'.format(axis, block, axis, size, block_shape, input_shape)
            )
