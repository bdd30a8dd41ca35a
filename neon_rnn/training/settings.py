"""Settings of a training, made by the command line, by a program or from the record of a run."""

import collections
import math

from neon_rnn import published
from neon_rnn.support import machine, paths
from neon_rnn.support.errors import UsageError

#: The values of fields that `Settings.of` does not get.
DEFAULTS = {
    'shuffle': True,
    'precision': 'float32',
    'threads': None,
    'deterministic': False,
    'eval_freq': 1,
    'serialize': 1,
    'learning_rate': published.LEARNING_RATE,
    'momentum_coef': published.MOMENTUM_COEF,
    'wdecay': published.WDECAY,
    'schedule': (),
    'augment': (),
    'class_weights': None,
    'keep_best': False,
    'patience': None,
}


#: The fields that no published row has; a record holds those that are not at their default.
UNPUBLISHED = ('schedule', 'augment', 'class_weights', 'keep_best', 'patience')
#: The random changes of training images that `augment` may name.
AUGMENTATIONS = ('flip', 'crop')
#: What the learning rate is multiplied by at each step of the schedule.
SCHEDULE_CHANGE = 0.1


class Settings(
    collections.namedtuple(
        'Settings',
        'model options data engine backend batch_size epochs seed shuffle precision threads '
        'deterministic eval_freq serialize learning_rate momentum_coef wdecay schedule augment '
        'class_weights keep_best patience',
    )
):
    """Everything that decides the result of a training.

    Parameters
    ----------
    model : str
        A name of `models.ROWS`.
    options : dict
        Arguments of the network's function beside the input shape, and the source of pretrained
        weights, as a run record holds them.
    data : str
        The data set folder.
    engine, backend, precision : str
        The engine's name, and two arguments of its `start`.
    batch_size, epochs, seed : int
    shuffle : bool
        Shuffle the images anew for every epoch. If false, keep the order of the file.
    threads : int or None
        Processor threads. None leaves the number to the engine.
    deterministic : bool
        Use only kernels whose result does not change from run to run.
    eval_freq : int
        Evaluate on the test part every so many epochs, and after the last.
    serialize : int
        Write a checkpoint every so many epochs, and after the last.
    learning_rate, momentum_coef, wdecay : float
        Of gradient descent with momentum.
    schedule : tuple of int
        The learning rate is multiplied by 0.1 after each of these numbers of epochs.
    augment : tuple of str
        Random changes of the training images, some of `AUGMENTATIONS`; torch engine.
    class_weights : str or None
        ``'balanced'``: each class counts the same, however many images it has; torch engine.
    keep_best : bool
        Evaluate on the validation part after each epoch. The result of the run is that of the epoch
        with the highest accuracy there, the first of equal ones. The test part has no say.
    patience : int or None
        Stop after so many epochs without a higher accuracy on the validation part; needs
        `keep_best`.
    """

    __slots__ = ()

    @classmethod
    def of(cls, **fields):
        """Return settings; a field that is not given takes its value of `DEFAULTS`."""
        return cls(**dict(DEFAULTS, **fields))

    @classmethod
    def of_record(cls, record, epochs=None, data=None):
        """Return the settings of a recorded run.

        The number of threads stays, since it decides how sums are rounded; only a machine with
        fewer cores than the run began with takes no more threads than it has cores.

        Parameters
        ----------
        record : dict
        epochs : int, optional
            Replaces the recorded number of epochs.
        data : str, optional
            Replaces the recorded folder of the data set.
        """
        hyperparameters, device = record['hyperparameters'], record['device']
        threads = device.get('threads')
        if threads is not None and machine.cores() < record['machine']['cores']:
            threads = min(threads, machine.cores())
        return cls(
            model=record['model'],
            options=record['options'],
            data=data or paths.from_recorded(record['dataset']['folder']),
            engine=record['engine'],
            backend=record['backend'],
            batch_size=hyperparameters['batch_size'],
            epochs=hyperparameters['epochs'] if epochs is None else epochs,
            seed=record['seed'],
            shuffle=hyperparameters['shuffle'],
            precision=record['precision'],
            threads=threads,
            deterministic=device.get('deterministic', False),
            eval_freq=hyperparameters['eval_freq'],
            serialize=hyperparameters['serialize'],
            learning_rate=hyperparameters['learning_rate'],
            momentum_coef=hyperparameters['momentum_coef'],
            wdecay=hyperparameters['wdecay'],
            **{name: _recorded(hyperparameters, name) for name in UNPUBLISHED},
        )

    def hyperparameters(self):
        """Return the hyperparameters as a run record holds them.

        Those that no published row has are there only where they are used.
        """
        used = {name: getattr(self, name) for name in UNPUBLISHED}
        used = {name: value for name, value in used.items() if value != DEFAULTS[name]}
        for name in {'schedule', 'augment'} & set(used):
            used[name] = list(used[name])
        return {
            'batch_size': self.batch_size,
            'epochs': self.epochs,
            'learning_rate': self.learning_rate,
            'momentum_coef': self.momentum_coef,
            'wdecay': self.wdecay,
            'shuffle': self.shuffle,
            'eval_freq': self.eval_freq,
            'serialize': self.serialize,
            **used,
        }

    def check(self):
        """Check the ranges of the numbers.

        Raises
        ------
        UsageError
            A number is out of its range; names it.
        """
        for name in ('batch_size', 'epochs', 'eval_freq', 'serialize', 'threads', 'patience'):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise UsageError('{} is {}; it has to be at least 1.'.format(name, value))
        for name, least in (('learning_rate', None), ('momentum_coef', 0), ('wdecay', 0)):
            value = getattr(self, name)
            if not math.isfinite(value) or value <= 0 and least is None or value < 0:
                raise UsageError(
                    '{} is {}; it has to be {}.'.format(
                        name, value, 'above 0' if least is None else '0 or more'
                    )
                )
        if list(self.schedule) != sorted(set(self.schedule)) or min(self.schedule or (1,)) < 1:
            raise UsageError(
                'schedule is {}; it has to name numbers of epochs, from 1 on and rising.'.format(
                    ' '.join(map(str, self.schedule))
                )
            )
        for kind in self.augment:
            if kind not in AUGMENTATIONS:
                raise UsageError(
                    'augment: there is no {!r}; choose from {}.'.format(
                        kind, ', '.join(AUGMENTATIONS)
                    )
                )
        if self.class_weights not in (None, 'balanced'):
            raise UsageError(
                "class_weights is {!r}; it has to be 'balanced'.".format(self.class_weights)
            )
        if self.engine != 'torch' and (self.augment or self.class_weights):
            raise UsageError(
                'augment and class_weights are for the torch engine; --engine torch takes them.'
            )
        if self.patience is not None and not self.keep_best:
            raise UsageError('patience needs keep_best: both look at the validation part.')
        if not 0 <= self.seed < 2**32:
            raise UsageError(
                'the seed is {}; it has to lie between 0 and 2**32 - 1.'.format(self.seed)
            )


def epochs_of(model, epochs):
    """Return the number of epochs asked for; if that is None, the published one of the network.

    Raises
    ------
    UsageError
        Neither is there.
    """
    if epochs is not None:
        return epochs
    row = published.rows().get(model)
    if row is None:
        raise UsageError(
            '{} is not a published row; say how many epochs to train (-e).'.format(model)
        )
    return row.epochs


def _recorded(hyperparameters, name):
    value = hyperparameters.get(name, DEFAULTS[name])
    return tuple(value) if isinstance(value, list) else value
