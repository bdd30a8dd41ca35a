"""Say what a training is asked to do, by the command line, by a program or by the record of an earlier run."""

import collections

from neon_rnn.support import machine, paths


class Settings(
    collections.namedtuple(
        'Settings',
        [
            'model',
            'options',
            'data',
            'engine',
            'backend',
            'batch_size',
            'epochs',
            'seed',
            'shuffle',
            'precision',
            'threads',
            'deterministic',
            'eval_freq',
            'serialize',
        ],
    )
):
    """What a training is asked to do.

    Parameters
    ----------
    model : str
        A name of `models.ROWS`.
    options : dict
        As in a run record: what the network's function takes beside the input shape, and where pretrained weights
        came from.
    data : str
        The data set folder.
    engine, backend, precision : str
        As the engine's `start` takes the last two.
    batch_size, epochs, seed : int
    shuffle : bool
        Draw a new order for every epoch, or keep the file's.
    threads : int or None
        Of the processor; None: what the engine takes by default.
    deterministic : bool
        Only kernels whose result does not change from run to run.
    eval_freq : int
        Test accuracy every so many epochs, and after the last.
    serialize : int
        A checkpoint every so many epochs, and after the last.
    """

    __slots__ = ()

    @classmethod
    def of_record(cls, record, epochs=None, data=None):
        """The settings of a recorded run, with another number of epochs or another place of the data if given."""
        hyperparameters, device = record['hyperparameters'], record['device']
        threads = device.get(
            'threads'
        )  # as many as before, so that sums are rounded alike; but no more than there are cores
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
            threads=None if threads is None else min(threads, machine.cores()),
            deterministic=device.get('deterministic', False),
            eval_freq=hyperparameters['eval_freq'],
            serialize=hyperparameters['serialize'],
        )
