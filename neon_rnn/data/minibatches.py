"""The order of an epoch and its minibatches: both engines see the same images in the same order."""

import collections

import numpy as np

from neon_rnn.support.errors import UsageError

#: ``inputs`` uint8 (batch, C*H*W); ``labels`` int64 (batch,); ``count``: all but the filling.
Minibatch = collections.namedtuple('Minibatch', 'inputs labels count')


def epoch_order(count, seed, epoch, shuffle=True):
    """Return the order in which an epoch shows the images: it depends on seed and epoch alone.

    Returns
    -------
    numpy.ndarray
        int64 (count,): a permutation from ``RandomState([seed, epoch])``, or 0, 1, 2, ... without
        `shuffle`.
    """
    if not shuffle:
        return np.arange(count, dtype=np.int64)
    return np.random.RandomState([seed, epoch]).permutation(count).astype(np.int64)


def filled(order, batch_size):
    """Cut an order into minibatches of equal size; the last one is filled up from its start.

    Parameters
    ----------
    order : numpy.ndarray
        int (n,), n >= `batch_size`.
    batch_size : int

    Yields
    ------
    numpy.ndarray
        int (batch_size,).
    int
        How many of them are not filling.
    """
    for start in range(0, len(order), batch_size):
        indices = order[start : start + batch_size]
        count = len(indices)
        yield np.concatenate([indices, order[: batch_size - count]]), count


class Minibatches:
    """The minibatches of one epoch, all of the same size.

    The last one is filled up as `filled` does it.

    Parameters
    ----------
    part : Part
    batch_size : int
    order : array-like of int
        (n,), indices into the part.

    Raises
    ------
    UsageError
        `order` is shorter than one minibatch.
    """

    def __init__(self, part, batch_size, order):
        if batch_size < 1:
            raise UsageError('the batch size is {}; it has to be at least 1.'.format(batch_size))
        if len(order) < batch_size:
            raise UsageError(
                '{}: {} images do not fill one minibatch of {}; choose -z {} or less, or more '
                'data.'.format(part.path, len(order), batch_size, len(order))
            )
        self.part, self.batch_size, self.order = part, batch_size, np.asarray(order, dtype=np.int64)

    def __len__(self):
        return -(-len(self.order) // self.batch_size)

    def __iter__(self):
        for indices, count in filled(self.order, self.batch_size):
            yield Minibatch(self.part.read(indices), self.part.labels[indices], count)
