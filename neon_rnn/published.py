"""The results published in 2018: the eleven rows of the table and the settings of the training."""

import collections
import csv
import os

from neon_rnn.support import paths
from neon_rnn.support.errors import NeonRnnError

#: The settings of every published row; the number of epochs is a column of the table.
BATCH_SIZE = 128
LEARNING_RATE = 0.01
MOMENTUM_COEF = 0.9
WDECAY = 0.0005

#: The file of the published rows, part of the package.
PATH = os.path.join(paths.PACKAGE, 'published.csv')

#: The importers of the likely published data. The published set is not named; the task, the time
#: and the number of photographs point at IMDB-WIKI.
CLOSEST_SOURCES = ('imdb-wiki',)

_TYPES = (str, str, float, float, int, int, int, str, str)


class Published(
    collections.namedtuple(
        'Published',
        [
            'name',
            'row',
            'accuracy',
            'training_seconds',
            'epochs',
            'batch_size',
            'input_side',
            'kind',
            'topology',
        ],
    )
):
    """One published row.

    Attributes
    ----------
    name, row : str
        The name on the command line and the name in the table.
    accuracy : float
        Test accuracy in per cent.
    training_seconds : float
        On an NVIDIA Tesla K40s.
    epochs, batch_size, input_side : int
        Minibatches are images of `input_side` x `input_side` pixels.
    kind : str
        The family of networks.
    topology : str
        How much of the network is known: ``published``, ``standard``, ``inferred`` or
        ``reconstructed``.
    """

    __slots__ = ()

    @property
    def seconds_per_epoch(self):
        """Seconds of training for one epoch, on the published machine."""
        return self.training_seconds / self.epochs


def rows(path=PATH):
    """Read the published rows, in the order of the table.

    Returns
    -------
    collections.OrderedDict
        Name -> `Published`.

    Raises
    ------
    NeonRnnError
        The file is missing or a line cannot be read; names the file and the line.
    """
    found = collections.OrderedDict()
    try:
        with open(str(path), encoding='utf-8', newline='') as file:
            for number, line in enumerate(csv.DictReader(file), 2):
                try:
                    row = Published(
                        *[kind(line[column]) for column, kind in zip(Published._fields, _TYPES)]
                    )
                except (KeyError, TypeError, ValueError) as error:
                    raise NeonRnnError(
                        '{}, line {}: not a published row ({!r}); restore the file from the '
                        'repository.'.format(path, number, error)
                    )
                found[row.name] = row
    except OSError as error:
        raise NeonRnnError(
            '{}: the published rows cannot be read ({}); install neon_rnn again.'.format(
                path, error.strerror
            )
        )
    return found


def closeness(dataset):
    """Rank a data set by how close it is to the published one.

    Parameters
    ----------
    dataset : dict
        As in a run record: `kind` and `source` are read.

    Returns
    -------
    int
        0 for photographs from one of `CLOSEST_SOURCES`, 1 for other photographs, 2 for all else.
    """
    if dataset['kind'] != 'photographs':
        return 2
    return 0 if dataset['source'] in CLOSEST_SOURCES else 1


def variant(options):
    """Describe how the options of a run modify the published network.

    Parameters
    ----------
    options : dict
        As in a run record. Pretrained weights and the layout of the ResNet-50 that they come from
        do not count. Nor does an option at its default: None, or for the recurrent network
        ``birnn`` as its cells and 2 as their depth.

    Returns
    -------
    str
        Such as ``'bilstm cells'``; empty for the network of the row itself.
    """
    changed = {
        key: value
        for key, value in options.items()
        if key not in ('pretrained', 'layout')
        and value is not None
        and (key, value) not in (('rnn', 'birnn'), ('rnn_depth', 2))
    }
    words = {'rnn': '{} cells', 'rnn_depth': 'depth {}'}
    return ', '.join(
        words.get(key, key + ' {}').format(value) for key, value in sorted(changed.items())
    )


def unpublished(hyperparameters):
    """Describe the settings of a training that no published row has.

    Parameters
    ----------
    hyperparameters : dict
        As in a run record.

    Returns
    -------
    list of str
        One text a setting; empty for a training without any.
    """
    found = []
    if hyperparameters.get('schedule'):
        found.append(
            'learning rate x0.1 after epoch {}'.format(
                ', '.join(map(str, hyperparameters['schedule']))
            )
        )
    if hyperparameters.get('augment'):
        found.append('augmented by {}'.format(', '.join(hyperparameters['augment'])))
    if hyperparameters.get('class_weights'):
        found.append('{} class weights'.format(hyperparameters['class_weights']))
    if hyperparameters.get('keep_best'):
        found.append('best epoch by the validation part')
    if hyperparameters.get('patience'):
        found.append(
            'early stopping after {} epochs without a better one'.format(
                hyperparameters['patience']
            )
        )
    return found


def protocol(name, hyperparameters, dataset, options):
    """Compare a training with the published protocol of its row.

    Parameters
    ----------
    name : str
        Name of the network. One without a published row is never complete.
    hyperparameters : dict
        As in a run record: batch_size, epochs, learning_rate, momentum_coef, wdecay, shuffle.
    dataset : dict
        As in a run record: `kind` and `shape` are read.
    options : dict
        As in a run record.

    Returns
    -------
    dict
        For a record's `protocol`: `complete`, `published_epochs` (None without a published row) and
        `reasons`, the differences.
    """
    row = rows().get(name)
    reasons = []
    if row is None:
        reasons.append('not a published row')
    elif hyperparameters['epochs'] != row.epochs:
        reasons.append('{} of {} epochs'.format(hyperparameters['epochs'], row.epochs))
    expected = (
        ('batch_size', 'batch size', BATCH_SIZE),
        ('learning_rate', 'learning rate', LEARNING_RATE),
        ('momentum_coef', 'momentum', MOMENTUM_COEF),
        ('wdecay', 'weight decay', WDECAY),
    )
    for key, text, value in expected:
        if hyperparameters[key] != value:
            reasons.append('{} {} instead of {}'.format(text, hyperparameters[key], value))
    reasons += unpublished(hyperparameters)
    if dataset['kind'] != 'photographs':
        reasons.append('{} data'.format(dataset['kind']))
    sides = tuple(dataset['shape'][1:])
    if row is not None and sides != (row.input_side, row.input_side):
        reasons.append(
            '{}x{} pixels instead of {}x{}'.format(
                sides[0], sides[1], row.input_side, row.input_side
            )
        )
    if row is not None and row.kind == 'transfer learning' and not options.get('pretrained'):
        reasons.append('without pretrained weights')
    if variant(options):
        reasons.append(variant(options))
    return {
        'complete': not reasons,
        'published_epochs': row.epochs if row else None,
        'reasons': reasons,
    }
