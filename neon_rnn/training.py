"""The one training loop: both engines, from a fresh start or from a checkpoint."""
import collections
import contextlib
import math
import os
import signal
import sys
import time
from concurrent import futures

import numpy as np
from tqdm import tqdm

from neon_rnn import checkpoint, engines, evaluation, examples, inference, models, paths, pretrained, published, ranks, records
from neon_rnn.dataset import Minibatches, epoch_order, open_dataset
from neon_rnn.errors import NeonRnnError, UsageError

#: Seconds between two looks at the cost: on a GPU each look waits for the device.
_LOOK = 0.5
#: The first so many test pictures are those that examples are taken from.
_EXAMPLES_FROM = 64


class Settings(collections.namedtuple('Settings', [
        'model', 'options', 'data', 'engine', 'backend', 'batch_size', 'epochs', 'seed', 'shuffle', 'precision', 'threads',
        'deterministic', 'eval_freq', 'serialize'])):
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
    batch_size, epochs, seed : int
    shuffle : bool
        Draw a new order for every epoch, or keep the file's.
    threads : int or None
    deterministic : bool
    eval_freq : int
        Test accuracy every so many epochs, and after the last.
    serialize : int
        A checkpoint every so many epochs, and after the last.
    """

    __slots__ = ()


class Diverged(NeonRnnError):
    """A cost that is not a number."""


def train(settings, out, source=None):
    """Train from a fresh start.

    Parameters
    ----------
    settings : Settings
    out : str
        The folder in which the run gets a folder of its own.
    source : pretrained.Pretrained, optional
        The weights to start from, instead of those drawn.

    Returns
    -------
    records.Run
        The finished run.

    Raises
    ------
    UsageError
        The settings do not fit each other, the data or the machine.
    NeonRnnError
        The training failed; the record says so.
    """
    with ranks.own_folder(out) as out:
        return _train(settings, out, source)


def _train(settings, out, source):
    prepared = _prepare(settings)
    if source is not None:
        print(pretrained.report(source, pretrained.apply(prepared.nn, prepared.model, source)))
    run = records.Run.create(out, _record_fields(prepared))
    with run.lock():
        with _recorded(run):
            prepared.save(run, 0)
            _train_epochs(prepared, run, 1)
    return run


def resume(folder, epochs=None, data=None):
    """Go on from the last checkpoint of a run, to the result it would have had without the break.

    Parameters
    ----------
    folder : str
        The run's folder.
    epochs : int, optional
        Train to this many epochs instead of those first asked for.
    data : str, optional
        The data set folder, if it has moved; it must hold the same files.

    Returns
    -------
    records.Run

    Raises
    ------
    UsageError
        There is nothing to resume, or the data are not those of the run.
    """
    if not os.path.isdir(folder):
        raise UsageError('{}: there is no such run folder.'.format(folder))
    with ranks.own_folder(folder, copy=True) as folder:
        return _resume(folder, epochs, data)


def _resume(folder, epochs, data):
    run = records.Run.open(folder)
    with run.lock():
        record = run.record
        saved = checkpoint.load(inference.checkpoint_path(folder))
        done = int(saved.meta['epoch'])
        settings = _settings_of(record, epochs, data)
        if done >= settings.epochs:
            raise UsageError('{}: all of its {} epochs are trained; -e N with a larger N trains on.'.format(
                folder, settings.epochs))
        prepared = _prepare(settings)
        if prepared.dataset.sha256() != record['dataset']['sha256']:
            raise UsageError('{}: is not the data set that this run was trained on (the sha256 of its files differ).'
                             .format(settings.data))
        prepared.restore(saved)
        fields = _record_fields(prepared)
        with _recorded(run):
            run.rewind(done)
            run.update(hyperparameters=fields['hyperparameters'], protocol=fields['protocol'])
            _train_epochs(prepared, run, done + 1)
    return run


class _Prepared:
    """An engine that is started, a data set that is open, a model that is drawn."""

    def __init__(self, settings, nn, dataset, device, model, optimizer):
        self.settings, self.nn, self.dataset, self.device = settings, nn, dataset, device
        self.model, self.optimizer = model, optimizer
        self._writing = None

    def save(self, run, epoch):
        """Write the checkpoint of the end of an epoch (0: before the first), in a thread beside the next epoch.

        One rank's checkpoint is enough.
        """
        if not ranks.first():
            return
        self.wait_for_checkpoint()
        nn, writer = self.nn, futures.ThreadPoolExecutor(1)
        self._writing = writer.submit(
            checkpoint.save, inference.checkpoint_path(run.folder), nn.get_weights(self.model),
            nn.get_optimizer_state(self.model, self.optimizer), nn.get_random_state(),
            {'epoch': epoch, 'model': self.settings.model, 'run_id': run.record['run_id']})
        writer.shutdown(wait=False)

    def wait_for_checkpoint(self):
        """Wait until the last checkpoint is written; raises what went wrong with it."""
        writing, self._writing = self._writing, None
        if writing is not None:
            writing.result()

    def restore(self, saved):
        """Take everything that a checkpoint holds."""
        self.nn.set_weights(self.model, saved.weights)
        self.nn.set_optimizer_state(self.model, self.optimizer, saved.optimizer_state)
        self.nn.set_random_state(saved.random_state)

    def evaluate(self):
        """The test set's figures, as `evaluation.summarise` returns them."""
        test = self.dataset.test
        probabilities = inference.predict_part(self.nn, self.model, test, self.settings.batch_size)
        return evaluation.summarise(probabilities, test.labels, self.dataset.class_names)

    def keep_examples(self, run):
        """Keep some predictions on drawn test pictures for the report's page; photographs are never kept."""
        test, kind = self.dataset.test, self.dataset.description['kind']
        if kind != 'synthetic':
            return
        inputs = test.read(np.arange(min(_EXAMPLES_FROM, test.count)))
        labels = test.labels[:len(inputs)]
        examples.write(run.folder, kind, inputs, test.shape, labels, self.nn.predict(self.model, inputs),
                       self.dataset.class_names)


def _prepare(settings):
    """Check the settings against each other, the data and the machine; load, open, build."""
    for name in ('batch_size', 'epochs', 'eval_freq', 'serialize'):
        if getattr(settings, name) < 1:
            raise UsageError('{} is {}; it has to be at least 1.'.format(name, getattr(settings, name)))
    models.builder(settings.model)
    dataset = open_dataset(settings.data)
    if dataset.nclass != 2:
        raise UsageError('{}: has {} classes; the networks tell two apart.'.format(settings.data, dataset.nclass))
    Minibatches(dataset.train, settings.batch_size, epoch_order(dataset.train.count, 0, 0, False))
    nn = engines.load(settings.engine)
    device = nn.start(settings.backend, settings.batch_size, settings.seed, precision=settings.precision,
                      threads=settings.threads, deterministic=settings.deterministic)
    model, cost = models.build(settings.model, nn, dataset.shape, **settings.options)
    model.initialize(dataset.shape, cost)
    optimizer = nn.GradientDescentMomentum(published.LEARNING_RATE, momentum_coef=published.MOMENTUM_COEF,
                                           wdecay=published.WDECAY)
    return _Prepared(settings, nn, dataset, device, model, optimizer)


def _record_fields(prepared):
    """What a new run's record starts with."""
    settings, dataset = prepared.settings, prepared.dataset
    row = published.rows().get(settings.model)
    description = dataset.description
    hyperparameters = {
        'batch_size': settings.batch_size, 'epochs': settings.epochs, 'learning_rate': published.LEARNING_RATE,
        'momentum_coef': published.MOMENTUM_COEF, 'wdecay': published.WDECAY, 'shuffle': settings.shuffle,
        'eval_freq': settings.eval_freq, 'serialize': settings.serialize}
    data = {'folder': paths.recorded(settings.data), 'name': description['name'], 'source': description['source'],
            'kind': description['kind'], 'class_names': dataset.class_names, 'shape': list(dataset.shape),
            'counts': description['counts'], 'sha256': dataset.sha256(),
            'preprocessing': description.get('preprocessing')}
    weights = prepared.nn.get_weights(prepared.model)
    return {
        'model': settings.model, 'row': row.row if row else None, 'options': settings.options,
        'engine': settings.engine, 'backend': prepared.device['backend'], 'device': prepared.device,
        'precision': settings.precision, 'seed': settings.seed, 'hyperparameters': hyperparameters,
        'protocol': published.protocol(settings.model, hyperparameters, data, settings.options), 'dataset': data,
        'argv': sys.argv[1:],
        'parameters': sum(int(array.size) for name, array in weights.items() if not name.endswith(('gmean', 'gvar')))}


def _settings_of(record, epochs, data):
    """The settings of a recorded run."""
    hyperparameters, device = record['hyperparameters'], record['device']
    return Settings(
        model=record['model'], options=record['options'], data=data or paths.found(record['dataset']['folder']),
        engine=record['engine'], backend=record['backend'], batch_size=hyperparameters['batch_size'],
        epochs=epochs or hyperparameters['epochs'], seed=record['seed'], shuffle=hyperparameters['shuffle'],
        precision=record['precision'], threads=device.get('threads'),
        deterministic=device.get('deterministic', False), eval_freq=hyperparameters['eval_freq'],
        serialize=hyperparameters['serialize'])


@contextlib.contextmanager
def _recorded(run):
    """Whatever ends the training ends up in its record; SIGTERM counts as Ctrl-C."""
    def interrupt(number, frame):
        raise KeyboardInterrupt

    def end(**fields):
        # torchrun sends SIGTERM to the ranks that outlive another: it must not cut off the record of how this one ended.
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        run.update(ended=records.now(), **fields)
    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    except KeyboardInterrupt:
        end(status='interrupted')
        if ranks.first():
            sys.stderr.write("\ninterrupted; 'neon_rnn train --resume {}' goes on from the last checkpoint.\n".format(
                run.folder))
        raise
    except Diverged as error:
        end(status='diverged', error=str(error))
        raise
    except Exception as error:
        with contextlib.suppress(NeonRnnError):  # a full disk stops this too; the first error is the one to show
            end(status='failed', error='{}: {}'.format(type(error).__name__, error))
        raise
    finally:
        signal.signal(signal.SIGTERM, before)


def _train_epochs(prepared, run, first):
    """Train from epoch `first` (counted from 1) to the last."""
    settings = prepared.settings
    final = None
    try:
        for epoch in range(first, settings.epochs + 1):
            last = epoch == settings.epochs
            costs, seconds = _train_epoch(prepared, run, epoch)
            final = prepared.evaluate() if last or epoch % settings.eval_freq == 0 else None
            row = {'epoch': epoch, 'cost': sum(costs) / len(costs), 'accuracy': final and final['accuracy'],
                   'seconds': seconds, 'images_per_second': prepared.dataset.train.count / seconds}
            run.add_epoch(row)
            print(_epoch_line(row, settings.epochs))
            sys.stdout.flush()
            if last or epoch % settings.serialize == 0:
                prepared.save(run, epoch)
        prepared.keep_examples(run)
    finally:
        prepared.wait_for_checkpoint()
    run.update(status='finished', final=final, ended=records.now())


def _train_epoch(prepared, run, epoch):
    """Train one epoch; returns the minibatches' costs and the seconds it took."""
    settings, nn, part = prepared.settings, prepared.nn, prepared.dataset.train
    order = epoch_order(part.count, settings.seed, epoch, settings.shuffle)
    costs, looked = [], time.time()
    started = time.time()
    try:
        with tqdm(total=part.count, desc='epoch {}/{}'.format(epoch, settings.epochs), unit='img', leave=False,
                  disable=None if ranks.first() else True) as bar:
            for inputs, labels, count in nn.feed(Minibatches(part, settings.batch_size, order)):
                costs.append(nn.train_step(prepared.model, inputs, labels, prepared.optimizer, epoch - 1))
                if time.time() - looked > _LOOK:
                    looked = time.time()
                    # not set_postfix: the container's tqdm is older than that
                    bar.set_description('epoch {}/{}, cost {:.4f}'.format(
                        epoch, settings.epochs, _finite(costs, len(costs) - 1, epoch)))
                bar.update(count)
        costs = [_finite(costs, index, epoch) for index in range(len(costs))]
        return costs, time.time() - started
    finally:
        finished = [float(cost) for cost in costs]
        run.add_minibatches((epoch, index, cost) for index, cost in enumerate(finished, 1) if math.isfinite(cost))


def _finite(costs, index, epoch):
    """A minibatch's cost as a number.

    Raises
    ------
    Diverged
        It is infinite or not a number.
    """
    cost = float(costs[index])
    if not math.isfinite(cost):
        raise Diverged('the cost is {} at epoch {}, minibatch {}: the training has diverged and stops.'.format(
            cost, epoch, index + 1))
    return cost


def _epoch_line(row, epochs):
    accuracy = '' if row['accuracy'] is None else '  test accuracy {}'.format(evaluation.percent(row['accuracy']))
    return 'epoch {epoch}/{epochs}  cost {cost:.4f}{test}  {seconds:.1f} s  {rate:.1f} images/s'.format(
        epoch=row['epoch'], epochs=epochs, cost=row['cost'], test=accuracy, seconds=row['seconds'],
        rate=row['images_per_second'])
