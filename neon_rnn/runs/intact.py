"""Check that the tables of a run are as the training wrote them, before it is resumed."""

import math
import os

from neon_rnn.runs.schema import EPOCH_FIELDS
from neon_rnn.support.errors import NeonRnnError

EPOCHS, MINIBATCHES = 'epochs.csv', 'minibatches.csv'
_CHANGED = '{}: {}; it was changed after the training wrote it, and the run cannot be resumed.'


def check_tables(folder, record, epochs, minibatches, last):
    """Check that the tables hold every epoch and minibatch once, as they were written.

    Parameters
    ----------
    folder : str
        The run's folder, for messages.
    record : dict
        The run's record.
    epochs, minibatches : list of tuple
        Rows of the two tables, up to the epoch `last`.
    last : int

    Raises
    ------
    NeonRnnError
        A row is missing, doubled, not finite, or differs from the record; names the table.
    """
    if [row[0] for row in epochs] != list(range(1, last + 1)):
        raise NeonRnnError(
            _CHANGED.format(os.path.join(folder, EPOCHS), 'epochs are missing or doubled')
        )
    known = min(last, len(record['epochs']))
    if epoch_rows(epochs)[:known] != record['epochs'][:known]:
        raise NeonRnnError(
            _CHANGED.format(os.path.join(folder, EPOCHS), 'differs from record.json')
        )
    each = sum(1 for row in minibatches if row[0] == 1)
    expected = [(epoch, index) for epoch in range(1, last + 1) for index in range(1, each + 1)]
    if [row[:2] for row in minibatches] != expected:
        raise NeonRnnError(
            _CHANGED.format(os.path.join(folder, MINIBATCHES), 'minibatches are missing or doubled')
        )
    if not all(math.isfinite(row[2]) for row in minibatches):
        raise NeonRnnError(
            _CHANGED.format(os.path.join(folder, MINIBATCHES), 'a cost is not a finite number')
        )


def epoch_rows(rows):
    """Return rows of epochs.csv as records hold them."""
    names = [name for name, _ in EPOCH_FIELDS]
    return [dict(zip(names, row)) for row in rows]
