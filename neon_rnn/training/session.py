"""What a training works with: its settings, and the engine, the data set and the model that are made from them."""

from concurrent import futures

import numpy as np

from neon_rnn import engines, models, published
from neon_rnn.data.dataset import open_dataset
from neon_rnn.data.minibatches import Minibatches, epoch_order
from neon_rnn.engines import parameters
from neon_rnn.runs import checkpoint, evaluation, example_predictions, trained_run
from neon_rnn.support import paths
from neon_rnn.support.errors import UsageError
from neon_rnn.training import ranks

#: The first so many test pictures are those that examples are taken from.
_EXAMPLES_FROM = 64


def prepare(settings):
    """Check the settings against each other, the data and the machine; load, open, build.

    Parameters
    ----------
    settings : Settings

    Returns
    -------
    Session

    Raises
    ------
    UsageError
        The settings do not fit each other, the data or the machine.
    """
    for name in ('batch_size', 'epochs', 'eval_freq', 'serialize', 'threads'):
        value = getattr(settings, name)
        if value is not None and value < 1:
            raise UsageError('{} is {}; it has to be at least 1.'.format(name, value))
    if not 0 <= settings.seed < 2**32:
        raise UsageError(
            'the seed is {}; it has to lie between 0 and 2**32 - 1.'.format(settings.seed)
        )
    models.builder(settings.model)
    dataset = open_dataset(settings.data)
    if dataset.nclass != 2:
        raise UsageError(
            '{}: has {} classes; the networks tell two apart.'.format(settings.data, dataset.nclass)
        )
    # refuses data too small for one minibatch, before anything is started
    Minibatches(dataset.train, settings.batch_size, epoch_order(dataset.train.count, 0, 0, False))
    nn = engines.load(settings.engine)
    device = nn.start(
        settings.backend,
        settings.batch_size,
        settings.seed,
        precision=settings.precision,
        threads=settings.threads,
        deterministic=settings.deterministic,
    )
    model, cost = models.build(settings.model, nn, dataset.shape, **settings.options)
    model.initialize(dataset.shape, cost)
    optimizer = nn.GradientDescentMomentum(
        published.LEARNING_RATE, momentum_coef=published.MOMENTUM_COEF, wdecay=published.WDECAY
    )
    return Session(settings, nn, dataset, device, model, optimizer)


class Session:
    """An engine that is started, a data set that is open, a model that is drawn; saved, restored and evaluated as one.

    Parameters
    ----------
    settings : Settings
    nn : module
        The engine.
    dataset : dataset.Dataset
    device : dict
        What the engine's `start` returned.
    model : Model
    optimizer : GradientDescentMomentum
    """

    def __init__(self, settings, nn, dataset, device, model, optimizer):
        self.settings, self.nn, self.dataset, self.device = settings, nn, dataset, device
        self.model, self.optimizer = model, optimizer
        self._writing = None

    def save(self, run, epoch):
        """Write the checkpoint of the end of an epoch (0: before the first), in a thread beside the next epoch.

        What is written are copies, made here. One rank's checkpoint is enough.

        Raises
        ------
        NeonRnnError
            The checkpoint before could not be written.
        """
        if not ranks.first():
            return
        self.wait_for_checkpoint()
        nn, writer = self.nn, futures.ThreadPoolExecutor(1)
        self._writing = writer.submit(
            checkpoint.save,
            trained_run.checkpoint_path(run.folder),
            nn.get_weights(self.model),
            nn.get_optimizer_state(self.model, self.optimizer),
            nn.get_random_state(),
            {'epoch': epoch, 'model': self.settings.model, 'run_id': run.record['run_id']},
        )
        writer.shutdown(wait=False)

    def wait_for_checkpoint(self):
        """Wait until the last checkpoint is written; raises what went wrong with it, once.

        A wait that is interrupted can be taken up again.
        """
        if self._writing is not None:
            futures.wait([self._writing])
            writing, self._writing = self._writing, None
            writing.result()

    def restore(self, saved):
        """Take everything that a checkpoint holds."""
        self.nn.set_weights(self.model, saved.weights)
        self.nn.set_optimizer_state(self.model, self.optimizer, saved.optimizer_state)
        self.nn.set_random_state(saved.random_state)

    def evaluate(self):
        """The test set's figures, as `evaluation.summarise` returns them."""
        test = self.dataset.test
        probabilities = trained_run.predict_part(
            self.nn, self.model, test, self.settings.batch_size
        )
        return evaluation.summarise(probabilities, test.labels, self.dataset.class_names)

    def keep_examples(self, run):
        """Keep some predictions on drawn test pictures for the report's page; photographs are never kept."""
        test, kind = self.dataset.test, self.dataset.description['kind']
        if kind != 'synthetic':
            return
        inputs = test.read(np.arange(min(_EXAMPLES_FROM, test.count)))
        labels = test.labels[: len(inputs)]
        example_predictions.write(
            run.folder,
            kind,
            inputs,
            test.shape,
            labels,
            self.nn.predict(self.model, inputs),
            self.dataset.class_names,
        )

    def record_fields(self):
        """What a new run's record starts with, but for the command (``argv``), which is not known here."""
        settings, dataset = self.settings, self.dataset
        row = published.rows().get(settings.model)
        description = dataset.description
        hyperparameters = {
            'batch_size': settings.batch_size,
            'epochs': settings.epochs,
            'learning_rate': published.LEARNING_RATE,
            'momentum_coef': published.MOMENTUM_COEF,
            'wdecay': published.WDECAY,
            'shuffle': settings.shuffle,
            'eval_freq': settings.eval_freq,
            'serialize': settings.serialize,
        }
        data = {
            'folder': paths.to_recorded(settings.data),
            'name': description['name'],
            'source': description['source'],
            'kind': description['kind'],
            'class_names': dataset.class_names,
            'shape': list(dataset.shape),
            'counts': description['counts'],
            'sha256': dataset.sha256(),
            'preprocessing': description.get('preprocessing'),
        }
        weights = self.nn.get_weights(self.model)
        return {
            'model': settings.model,
            'row': row.row if row else None,
            'options': settings.options,
            'engine': settings.engine,
            'backend': self.device['backend'],
            'device': self.device,
            'precision': settings.precision,
            'seed': settings.seed,
            'hyperparameters': hyperparameters,
            'protocol': published.protocol(settings.model, hyperparameters, data, settings.options),
            'dataset': data,
            'parameters': sum(
                int(array.size)
                for name, array in weights.items()
                if name.rpartition('.')[2] not in parameters.STATISTICS
            ),
        }
