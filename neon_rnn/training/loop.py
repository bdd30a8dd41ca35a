"""The one training loop: both engines, from a fresh start or from a checkpoint."""

import contextlib
import math
import os
import signal
import sys
import time

from tqdm import tqdm

from neon_rnn import engines
from neon_rnn.data.minibatches import Minibatches, epoch_order
from neon_rnn.runs import checkpoint, evaluation, records, trained_run
from neon_rnn.support.errors import Diverged, NeonRnnError, UsageError, naming
from neon_rnn.support.wording import counted
from neon_rnn.training import ranks
from neon_rnn.training.session import prepare
from neon_rnn.training.settings import Settings
from neon_rnn.weights import pretrained

#: Seconds between two looks at the cost: on a GPU each look waits for the device.
_LOOK = 0.5


def train(settings, out, source=None, argv=()):
    """Train from a fresh start.

    Parameters
    ----------
    settings : preparation.Settings
    out : str
        The folder in which the run gets a folder of its own.
    source : pretrained.Pretrained, optional
        The weights to start from, instead of those drawn.
    argv : sequence of str
        The command that asked for it, for the record; empty where a program did.

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
        return _train(settings, out, source, argv)


def _train(settings, out, source, argv):
    prepared = prepare(settings)
    if source is not None:
        print(pretrained.report(source, pretrained.apply(prepared.nn, prepared.model, source)))
    run = records.Run.create(out, dict(prepared.record_fields(), argv=list(argv)))
    with run.lock():
        with _recorded(run):
            prepared.save(run, 0)
            _train_epochs(prepared, run, 1)
    return run


def resume(folder, epochs=None, data=None, engine=None, backend=None):
    """Go on from the last checkpoint of a run, to the result it would have had without the break.

    Parameters
    ----------
    folder : str
        The run's folder.
    epochs : int, optional
        Train to this many epochs instead of those first asked for.
    data : str, optional
        The data set folder, if it has moved; it must hold the same files.
    engine, backend : str, optional
        Those of the run, if the caller wants them checked: a run goes on with what it began with.

    Returns
    -------
    records.Run

    Raises
    ------
    UsageError
        There is nothing to resume, or the data, the engine or the backend are not those of the run.
    """
    if not os.path.isdir(folder):
        raise UsageError('{}: there is no such run folder.'.format(folder))
    with ranks.own_folder(folder, copy=True) as folder:
        return _resume(folder, epochs, data, engine, backend)


def _resume(folder, epochs, data, engine, backend):
    run = records.Run.open(folder)
    with run.lock():
        record = run.record
        _check_engine(folder, record, engine, backend)
        path = trained_run.kept_checkpoint(folder)
        saved = checkpoint.load(path)
        done = int(saved.meta['epoch'])
        settings = Settings.of_record(record, epochs, data)
        if done > settings.epochs or done == settings.epochs and record['status'] == 'finished':
            raise UsageError(
                '{}: is trained for {} already; -e N with a larger N trains on.'.format(
                    folder, counted(done, 'epoch')
                )
            )
        prepared = prepare(settings)
        if prepared.dataset.sha256() != record['dataset']['sha256']:
            raise UsageError(
                '{}: is not the data set that this run was trained on (the sha256 of its files differ).'.format(
                    settings.data
                )
            )
        with naming(path):
            prepared.restore(saved)
        fields = prepared.record_fields()
        with _recorded(run):
            run.rewind(done, prepared.device)
            run.update(hyperparameters=fields['hyperparameters'], protocol=fields['protocol'])
            _train_epochs(prepared, run, done + 1)
    return run


def _check_engine(folder, record, engine, backend):
    if engine not in (None, record['engine']) or engines.recorded_backend(
        record['engine'], backend
    ) not in (None, record['backend']):
        raise UsageError(
            '{}: was trained by engine {} on backend {}, and goes on with these only; name them or neither '
            '(with Compose: ENGINE, BACKEND).'.format(folder, record['engine'], record['backend'])
        )
    if not engines.installed(record['engine']):
        raise UsageError(
            "{0}: was trained by engine {1}, which is not installed in this Python. './run.sh train --resume "
            "{0} --engine {1} -b {2}' goes on with it.".format(
                folder, record['engine'], record['backend']
            )
        )


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
            sys.stderr.write(
                "\ninterrupted; 'neon_rnn train --resume {}' goes on from the last checkpoint.\n".format(
                    run.folder
                )
            )
        raise
    except Diverged as error:
        end(status='diverged', error=str(error))
        raise
    except Exception as error:
        with contextlib.suppress(
            NeonRnnError
        ):  # a full disk stops this too; the first error is the one to show
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
            row = {
                'epoch': epoch,
                'cost': sum(costs) / len(costs),
                'accuracy': final and final['accuracy'],
                'seconds': seconds,
                'images_per_second': prepared.dataset.train.count / seconds,
            }
            run.add_epoch(row)
            print(_epoch_line(row, settings.epochs))
            sys.stdout.flush()
            if last or epoch % settings.serialize == 0:
                prepared.save(run, epoch)
        if final is None:  # the run ended between its last checkpoint and its evaluation
            final = prepared.evaluate()
        prepared.keep_examples(run)
    finally:
        prepared.wait_for_checkpoint()
    run.update(status='finished', final=final, ended=records.now())


def _train_epoch(prepared, run, epoch):
    """Train one epoch; returns the minibatches' costs and the seconds it took."""
    settings, nn, part = prepared.settings, prepared.nn, prepared.dataset.train
    order = epoch_order(part.count, settings.seed, epoch, settings.shuffle)
    costs, looked = [], time.monotonic()
    started = time.monotonic()
    try:
        with tqdm(
            total=part.count,
            desc='epoch {}/{}'.format(epoch, settings.epochs),
            unit='img',
            leave=False,
            disable=None if ranks.first() else True,
        ) as bar:
            for inputs, labels, count in nn.feed(Minibatches(part, settings.batch_size, order)):
                costs.append(
                    nn.train_step(prepared.model, inputs, labels, prepared.optimizer, epoch - 1)
                )
                if time.monotonic() - looked > _LOOK:
                    looked = time.monotonic()
                    # not set_postfix: the container's tqdm is older than that
                    bar.set_description(
                        'epoch {}/{}, cost {:.4f}'.format(
                            epoch, settings.epochs, _finite(costs, len(costs) - 1, epoch)
                        )
                    )
                bar.update(count)
        costs = [_finite(costs, index, epoch) for index in range(len(costs))]
        return costs, time.monotonic() - started
    finally:
        finished = [float(cost) for cost in costs]
        run.add_minibatches(
            (epoch, index, cost) for index, cost in enumerate(finished, 1) if math.isfinite(cost)
        )


def _finite(costs, index, epoch):
    """A minibatch's cost as a number.

    Raises
    ------
    Diverged
        It is infinite or not a number.
    """
    cost = float(costs[index])
    if not math.isfinite(cost):
        raise Diverged(
            'the cost is {} at epoch {}, minibatch {}: the training has diverged and stops.'.format(
                cost, epoch, index + 1
            )
        )
    return cost


def _epoch_line(row, epochs):
    accuracy = (
        ''
        if row['accuracy'] is None
        else '  test accuracy {}'.format(evaluation.percent(row['accuracy']))
    )
    return 'epoch {epoch}/{epochs}  cost {cost:.4f}{test}  {seconds:.1f} s  {rate:.1f} images/s'.format(
        epoch=row['epoch'],
        epochs=epochs,
        cost=row['cost'],
        test=accuracy,
        seconds=row['seconds'],
        rate=row['images_per_second'],
    )
