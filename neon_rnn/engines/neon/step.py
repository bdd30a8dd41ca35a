"""What the training loop calls: feed, train step, predict."""

import numpy as np

from neon_rnn.engines.neon.backend import active
from neon_rnn.engines.neon.merge_sum import refuse_other_pathways
from neon_rnn.support.errors import UsageError


def feed(minibatches):
    """Iterate ``(inputs, labels, count)`` over `data.minibatches.Minibatches`."""
    for minibatch in minibatches:
        yield minibatch.inputs, minibatch.labels, minibatch.count


def _input_buffer(model):
    """Return the model's one input tensor, (C*H*W, batch): neon's layers keep views of the tensor
    they saw first.

    Made on first use, with the one of the targets, (classes, batch); a model that mkl trains
    wrongly is refused then.
    """
    if getattr(model, 'input_buffer', None) is None:
        if active().is_mkl():
            refuse_other_pathways(model.layers)
        model.input_buffer = active().iobuf(tuple(model.layers.in_shape))
        model.target_buffer = active().iobuf(int(np.prod(model.layers.out_shape)))
    return model.input_buffer


def _load(model, inputs):
    """Put images, uint8 (batch, C*H*W), into the input tensor."""
    be, buffer = active(), _input_buffer(model)
    if inputs.shape != buffer.shape[::-1]:
        raise UsageError(
            'a minibatch of shape {} does not fit the model, which takes {} (images, values); the '
            'batch '
            'size is fixed when the backend is started.'.format(inputs.shape, buffer.shape[::-1])
        )
    be.clean_data(buffer, True)
    buffer.set(np.ascontiguousarray(inputs.T, dtype=buffer.dtype))
    return buffer


def train_step(model, inputs, labels, optimizer, epoch):
    """Train on one minibatch.

    Parameters
    ----------
    model : Model
        Initialised, with its cost.
    inputs : numpy.ndarray
        uint8 (batch, C*H*W).
    labels : numpy.ndarray
        int (batch,).
    optimizer : GradientDescentMomentum
    epoch : int
        Counted from 0.

    Returns
    -------
    float
        The cost.
    """
    x = _load(model, np.asarray(inputs))
    targets = model.target_buffer
    one_hot = np.zeros(targets.shape, dtype=targets.dtype)
    one_hot[np.asarray(labels, dtype=np.int64), np.arange(one_hot.shape[1])] = 1
    targets.set(one_hot)
    y = model.fprop(x)
    cost = float(model.cost.get_cost(y, targets)[0, 0])
    model.bprop(model.cost.get_errors(y, targets))
    optimizer.optimize(model.layers_to_optimize, epoch=epoch)
    return cost


def predict(model, inputs):
    """Probabilities of any number of images, in inference mode.

    neon computes whole minibatches only: the last one is filled up with black images, whose results
    are cut off.

    Parameters
    ----------
    inputs : numpy.ndarray
        uint8 (n, C*H*W).

    Returns
    -------
    numpy.ndarray
        float32 (n, classes).
    """
    be = active()
    inputs = np.asarray(inputs)
    _input_buffer(model)
    probabilities = np.zeros((len(inputs), model.target_buffer.shape[0]), dtype=np.float32)
    for first in range(0, len(inputs), be.bsz):
        part = inputs[first : first + be.bsz]
        padded = np.zeros((be.bsz, inputs.shape[1]), dtype=inputs.dtype)
        padded[: len(part)] = part
        y = model.fprop(_load(model, padded), inference=True)
        probabilities[first : first + len(part)] = y.get().T[: len(part)]
    return probabilities
