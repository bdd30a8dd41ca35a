"""A training session: an engine, a data set and a model, opened from settings or from a run."""

import os
import sys

import numpy as np

from neon_rnn import engines, models, published
from neon_rnn.data.dataset import open_dataset
from neon_rnn.data.minibatches import Minibatches, epoch_order
from neon_rnn.engines import parameters
from neon_rnn.runs import checkpoint, evaluation, example_predictions, trained_run
from neon_rnn.support import machine, paths
from neon_rnn.support.errors import NeonRnnError, UsageError, naming
from neon_rnn.support.wording import counted
from neon_rnn.training import ranks
from neon_rnn.training.settings import SCHEDULE_CHANGE, Settings

#: Examples for the page are chosen among the first so many test pictures.
_EXAMPLES_FROM = 64


class Session:
    """A started engine, an open data set and an initialised model, with one optimiser.

    Parameters
    ----------
    settings : Settings

    Attributes
    ----------
    nn : module
        The engine.
    dataset : data.dataset.Dataset
    device : dict
        The description that the engine's `start` returned.
    model : Model
    optimizer : GradientDescentMomentum

    Raises
    ------
    UsageError
        The settings do not fit each other, the data or the machine.
    """

    def __init__(self, settings):
        settings.check()
        models.builder(settings.model)
        self.settings = settings
        self.dataset = open_dataset(settings.data)
        if self.dataset.nclass != 2:
            raise UsageError(
                '{}: has {} classes; the networks distinguish two.'.format(
                    settings.data, self.dataset.nclass
                )
            )
        if settings.keep_best and self.dataset.val is None:
            raise UsageError(
                '{}: has no validation part (val.h5), by which the best epoch is chosen. '
                "'neon_rnn data folder --val-fraction 0.1 ...' makes one; so does 'data "
                "folder --val DIR'.".format(settings.data)
            )
        # Refuse data too small for one minibatch before the engine starts.
        count = self.dataset.train.count
        Minibatches(self.dataset.train, settings.batch_size, epoch_order(count, 0, 0, False))
        self.nn = engines.load(settings.engine)
        self.device = self.nn.start(
            settings.backend,
            settings.batch_size,
            settings.seed,
            precision=settings.precision,
            threads=settings.threads,
            deterministic=settings.deterministic,
        )
        if self.device.get('cores_left_to_others'):
            sys.stderr.write(
                'note: other programs keep {} of {} busy, so training takes {}; --threads {} takes '
                'all.\n'.format(
                    self.device['cores_left_to_others'],
                    counted(machine.cores(), 'core'),
                    counted(self.device['threads'], 'thread'),
                    machine.cores(),
                )
            )
        shape = self.dataset.shape
        self.model, cost = models.build(settings.model, self.nn, shape, **settings.options)
        self.model.initialize(shape, cost)
        if settings.class_weights:
            cost.weigh(self._class_weights())
        optional = {}
        if settings.schedule:  # neon takes no None in place of its default
            optional['schedule'] = self.nn.Schedule(list(settings.schedule), SCHEDULE_CHANGE)
        self.optimizer = self.nn.GradientDescentMomentum(
            settings.learning_rate,
            momentum_coef=settings.momentum_coef,
            wdecay=settings.wdecay,
            **optional,
        )

    def _class_weights(self):
        """Return the weights by which each class counts the same: images / (classes * its own).

        Raises
        ------
        UsageError
            A class has no training images.
        """
        counts = np.bincount(self.dataset.train.labels, minlength=self.dataset.nclass)
        if not counts.all():
            raise UsageError(
                '{}: has no image of class {!r}; class_weights needs every class.'.format(
                    self.dataset.train.path, self.dataset.class_names[int(counts.argmin())]
                )
            )
        return [float(counts.sum()) / (len(counts) * count) for count in counts]

    def feed(self, epoch):
        """Iterate over the minibatches of an epoch, counted from 1, as the engine takes them."""
        settings, part = self.settings, self.dataset.train
        order = epoch_order(part.count, settings.seed, epoch, settings.shuffle)
        batches = self.nn.feed(Minibatches(part, settings.batch_size, order))
        if settings.augment:
            return self.nn.augmented(batches, settings.augment, part.shape, settings.seed, epoch)
        return batches

    @classmethod
    def of_run(cls, run, epochs=None, data=None):
        """Open a session at the last checkpoint of a run.

        Parameters
        ----------
        run : runs.records.Run
        epochs, data
            Replace those of the run, see `Settings.of_record`.

        Returns
        -------
        session : Session
        done : int
            Epochs that the checkpoint has behind it.

        Raises
        ------
        UsageError
            There is no checkpoint, nothing is left to train, the engine is missing, or the data or
            the checkpoint are not those of the run.
        NeonRnnError
            The checkpoint cannot be read, is incomplete, or belongs to another model.
        """
        record = run.record
        path = trained_run.kept_checkpoint(run.folder)
        saved = checkpoint.load(path)
        done = _checked_epoch(path, saved)
        settings = Settings.of_record(record, epochs, data)
        if settings.threads != record['device'].get('threads'):
            sys.stderr.write(
                'note: the run began with {}, this machine has {}: its sums are rounded otherwise '
                'from here on, and the record says so.\n'.format(
                    counted(record['device']['threads'], 'thread'),
                    counted(settings.threads, 'core'),
                )
            )
        if done > settings.epochs or done == settings.epochs and record['status'] == 'finished':
            raise UsageError(
                '{}: is trained for {} already; -e N with a larger N trains on.'.format(
                    run.folder, counted(done, 'epoch')
                )
            )
        session = cls(settings)
        if session.dataset.sha256() != record['dataset']['sha256']:
            raise UsageError(
                '{}: is not the data set that this run was trained on (the sha256 of its files '
                'differ).'.format(settings.data)
            )
        with naming(path):
            session.nn.set_weights(session.model, saved.weights)
            session.nn.set_optimizer_state(session.model, session.optimizer, saved.optimizer_state)
            session.nn.set_random_state(saved.random_state)
        if saved.meta.get('run_id', record['run_id']) != record['run_id']:
            raise UsageError(
                '{}: is the checkpoint of run {}, not of {}; put the right one there.'.format(
                    path, saved.meta['run_id'], record['run_id']
                )
            )
        return session, done

    def save(self, run, epoch):
        """Write the checkpoint of the end of an epoch (0: before the first); the first rank does.

        Raises
        ------
        NeonRnnError
            The file cannot be written.
        """
        if ranks.first():
            checkpoint.save(
                trained_run.checkpoint_path(run.folder),
                self.nn.get_weights(self.model),
                self.nn.get_optimizer_state(self.model, self.optimizer),
                self.nn.get_random_state(),
                self._checkpoint_meta(run, epoch),
            )

    def _checkpoint_meta(self, run, epoch):
        return {'epoch': epoch, 'model': self.settings.model, 'run_id': run.record['run_id']}

    def save_best(self, run, epoch):
        """Write the weights of the best epoch so far; every rank does, into its own folder."""
        checkpoint.save(
            trained_run.best_path(run.folder),
            self.nn.get_weights(self.model),
            meta=self._checkpoint_meta(run, epoch),
        )

    def load_best(self, run):
        """Put the weights of the best epoch into the model."""
        self.nn.set_weights(self.model, trained_run.load_best(run).weights)

    def check_checkpoint(self, run):
        """Write the last checkpoint again, if somebody has removed it."""
        if ranks.first() and not os.path.isfile(trained_run.checkpoint_path(run.folder)):
            self.save(run, self.settings.epochs)

    def evaluate(self, part='test'):
        """Return the figures of a part, see `evaluation.summarise`."""
        images = self.dataset.parts[part]
        probabilities = trained_run.predict_part(
            self.nn, self.model, images, self.settings.batch_size
        )
        return evaluation.summarise(probabilities, images.labels, self.dataset.class_names)

    def keep_examples(self, run):
        """Keep predictions on some synthetic test pictures for the page; never on photographs."""
        test, kind = self.dataset.test, self.dataset.description['kind']
        if kind != 'synthetic':
            return
        inputs = test.read(np.arange(min(_EXAMPLES_FROM, test.count)))
        labels = test.labels[: len(inputs)]
        probabilities = self.nn.predict(self.model, inputs)
        names = self.dataset.class_names
        example_predictions.write(
            run.folder, kind, inputs, test.shape, labels, probabilities, names
        )

    def record_fields(self):
        """Return the fields of a new run's record that the session knows: all but ``argv``."""
        settings, device = self.settings, self.device
        row = published.rows().get(settings.model)
        hyperparameters = settings.hyperparameters()
        data = self._dataset_fields()
        return {
            'model': settings.model,
            'row': row.row if row else None,
            'options': settings.options,
            'engine': settings.engine,
            'backend': device['backend'],
            'device': device,
            'precision': settings.precision,
            'seed': settings.seed,
            'hyperparameters': hyperparameters,
            'protocol': published.protocol(settings.model, hyperparameters, data, settings.options),
            'dataset': data,
            'parameters': parameters.trained_values(self.nn.get_weights(self.model)),
        }

    def _dataset_fields(self):
        """Return the part ``dataset`` of the record."""
        description = self.dataset.description
        fields = {name: description[name] for name in ('name', 'source', 'kind', 'counts')}
        fields.update(
            folder=paths.to_recorded(self.settings.data),
            class_names=self.dataset.class_names,
            shape=list(self.dataset.shape),
            sha256=self.dataset.sha256(),
            preprocessing=description.get('preprocessing'),
        )
        for name in ('split', 'source_size', 'filters'):  # older data sets lack some of them
            if description.get(name) is not None:
                fields[name] = description[name]
        return fields


def _checked_epoch(path, saved):
    """Return the epoch of a checkpoint, if it is one that a training can go on from.

    Raises
    ------
    NeonRnnError
        It lacks the epoch or the optimiser state.
    """
    epoch = saved.meta.get('epoch')
    if not isinstance(epoch, int) or epoch < 0:
        raise NeonRnnError('{}: does not say after which epoch it was written.'.format(path))
    if epoch and not saved.optimizer_state:
        raise NeonRnnError(
            '{}: holds no optimiser state, so training cannot go on from it; it can predict '
            'only.'.format(path)
        )
    return epoch
