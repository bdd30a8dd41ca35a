"""Train: the one loop for both engines, from a fresh start or from a checkpoint."""

import contextlib
import copy
import math
import os
import signal
import sys
import threading
import time

from tqdm import tqdm

from neon_rnn import engines
from neon_rnn.runs import evaluation, records
from neon_rnn.runs.run_id import run_folder
from neon_rnn.support.errors import Diverged, NeonRnnError, UsageError
from neon_rnn.support.wording import counted, one_line
from neon_rnn.training import ranks
from neon_rnn.training.session import Session
from neon_rnn.weights import pretrained

#: Seconds between two looks at the cost: on a GPU each look waits for the device.
_LOOK = 0.5


def train(settings, out, source=None, argv=(), run_id=None, callback=None):
    """Train a network from the beginning and write the record of the run.

    Parameters
    ----------
    settings : Settings
    out : str
        The folder in which the run gets a folder of its own.
    source : pretrained.Pretrained, optional
        Weights to start from, in place of random ones.
    argv : sequence of str
        The command that asked for it, for the record; empty where a program did.
    run_id : str, optional
        The name of the run and its folder; default: a new one, see `records.new_run_id`.
    callback : callable, optional
        Is called in the first rank with a dict after each epoch, when that is recorded.
        `run_id`, `epoch` (from 1), `cost` (mean), `accuracy`, `seconds` and `images_per_second` are
        as in the record. `costs` lists the cost of each minibatch, `figures` is what
        `evaluation.summarise` returns for the test part, and `validation` the accuracy on the
        validation part. What was not evaluated is None. An exception ends the training, and the
        record says so.

    Returns
    -------
    records.Run
        The finished run.

    Raises
    ------
    UsageError
        The settings do not fit each other, the data or the machine, or there is a run of that name.
    NeonRnnError
        The training failed; the record says so.
    """
    print(_announcement(settings))
    with ranks.own_folder(out) as out:
        if run_id is not None:
            records.check_run_id(out, run_id)  # before the data are read and the engine starts
        session = Session(settings)
        if source is not None:
            print(pretrained.report(source, pretrained.apply(session.nn, session.model, source)))
        run = records.Run.create(out, dict(session.record_fields(), argv=list(argv)), run_id)
        with run.lock(), _recorded(run):
            session.save(run, 0)
            _train_epochs(session, run, 1, callback)
    return run


def resume(folder, epochs=None, data=None, engine=None, backend=None, callback=None):
    """Go on from the last checkpoint of a run, to the result it would have had without the break.

    Parameters
    ----------
    folder : str
        The run's folder, or its checkpoint.npz.
    epochs : int, optional
        Train to this many epochs instead of those first asked for.
    data : str, optional
        The data set folder, if it has moved; it must hold the same files.
    engine, backend : str, optional
        Those of the run, if the caller wants them checked: a run keeps its engine and backend.
    callback : callable, optional
        As `train` takes it.

    Returns
    -------
    records.Run

    Raises
    ------
    UsageError
        Nothing can be resumed, or the data, the engine or the backend are not those of the run.
    NeonRnnError
        The training failed; the record says so.
    """
    folder = run_folder(folder)
    if not os.path.isdir(folder):
        raise UsageError('{}: there is no such run folder.'.format(folder))
    with ranks.own_folder(folder, copy=True) as own:
        run = records.Run.open(own)
        with run.lock():
            _check_engine(folder, run.record, engine, backend)
            session, done = Session.of_run(run, epochs, data)
            fields = session.record_fields()
            with _recorded(run):
                run.rewind(done, session.device)
                run.update(hyperparameters=fields['hyperparameters'], protocol=fields['protocol'])
                _train_epochs(session, run, done + 1, callback)
    return run


def _announcement(settings):
    return (
        'training {0.model}: engine {0.engine}, backend {0.backend}, {0.precision}, data {0.data}, '
        '{epochs} of minibatches of {0.batch_size}, seed {0.seed}'.format(
            settings, epochs=counted(settings.epochs, 'epoch')
        )
    )


def _check_engine(folder, record, engine, backend):
    """Refuse another engine or backend than that of the run, and an engine that is not here."""
    trained_by = record['engine'], record['backend']
    if engine not in (None, trained_by[0]) or engines.recorded_backend(
        trained_by[0], backend
    ) not in (None, trained_by[1]):
        raise UsageError(
            '{}: was trained by engine {} on backend {}, and goes on with these only; name them or '
            'neither (with Compose: ENGINE, BACKEND).'.format(folder, *trained_by)
        )
    if not engines.installed(trained_by[0]):
        raise UsageError(
            '{0}: was trained by engine {1}, which is not installed in this Python. '
            "'./run.sh resume {0} --engine {1} -b {2}' goes on with it.".format(folder, *trained_by)
        )


#: Signals that end a training like Ctrl-C; SIGHUP: its terminal was closed.
_SIGNALS = (signal.SIGTERM, signal.SIGHUP)


@contextlib.contextmanager
def _recorded(run):
    """Write how the training ends into its record.

    SIGTERM and SIGHUP count as Ctrl-C, except where the caller ignores them (nohup). In a program's
    other threads they stay as they are, since Python changes them in the main one only.
    """
    main = threading.current_thread() is threading.main_thread()
    signals = _SIGNALS if main else ()

    def interrupt(number, frame):
        raise KeyboardInterrupt

    def end(**fields):
        # torchrun sends SIGTERM to the ranks that outlive another; this record must be written.
        for number in signals:
            signal.signal(number, signal.SIG_IGN)
        run.update(ended=records.now(), **fields)

    before = {number: signal.getsignal(number) for number in signals}
    for number, handler in before.items():
        if handler is not signal.SIG_IGN:
            signal.signal(number, interrupt)
    try:
        yield
    except KeyboardInterrupt:
        end(status='interrupted')
        if ranks.first():
            sys.stderr.write(
                "\ninterrupted; 'neon_rnn resume {}' goes on from the last checkpoint.\n".format(
                    run.folder
                )
            )
        raise
    except Diverged as error:
        end(status='diverged', error=str(error))
        raise
    except Exception as error:
        # A full disk stops this too; the first error is the one to show.
        with contextlib.suppress(NeonRnnError):
            end(
                status='failed',
                error='{}: {}'.format(type(error).__name__, one_line(error)),
            )
        raise
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _train_epochs(session, run, first, callback=None):
    """Train from epoch `first` (counted from 1) to the last, and finish the run."""
    settings = session.settings
    final = None
    if settings.keep_best and first > 1 and records.best_epoch(run.record) == first - 1:
        session.save_best(run, first - 1)  # the run may have ended just before it was written
    for epoch in range(first, settings.epochs + 1):
        if _is_stopped(settings, run.record):
            break
        last = epoch == settings.epochs
        costs, seconds = _train_epoch(session, run, epoch)
        session.dataset.check_unchanged()
        run.check_files()
        final = session.evaluate() if last or epoch % settings.eval_freq == 0 else None
        row = {
            'epoch': epoch,
            'cost': sum(costs) / len(costs),
            'accuracy': final and final['accuracy'],
            'seconds': seconds,
            'images_per_second': session.dataset.train.count / seconds,
        }
        validation = session.evaluate('val')['accuracy'] if settings.keep_best else None
        run.add_epoch(row, validation)
        print(_epoch_line(row, settings.epochs, validation))
        sys.stdout.flush()
        best = settings.keep_best and records.best_epoch(run.record) == epoch
        if last or best or epoch % settings.serialize == 0 or _is_stopped(settings, run.record):
            session.save(run, epoch)
        if best:
            session.save_best(run, epoch)
        if callback is not None and ranks.first():
            told = dict(row, run_id=run.record['run_id'], costs=costs, validation=validation)
            callback(dict(told, figures=copy.deepcopy(final)))
    if settings.keep_best:
        session.load_best(run)
        final = dict(session.evaluate(), epoch=records.best_epoch(run.record))
        print(_best_line(run.record, final))
    elif final is None:  # the run had ended between its last checkpoint and its evaluation
        final = session.evaluate()
    session.keep_examples(run)
    session.dataset.check_unchanged()
    if not settings.keep_best:  # else the model holds the best epoch, not the last
        session.check_checkpoint(run)
    run.update(status='finished', final=final, ended=records.now())


def _train_epoch(session, run, epoch):
    """Train one epoch; return the costs of its minibatches and its seconds."""
    settings, nn, part = session.settings, session.nn, session.dataset.train
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
            for inputs, labels, count in session.feed(epoch):
                costs.append(
                    nn.train_step(session.model, inputs, labels, session.optimizer, epoch - 1)
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
    """Return the cost of a minibatch as a number.

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


def _is_stopped(settings, record):
    """Tell whether the validation part has not improved for `patience` epochs."""
    if settings.patience is None or not record.get('validation'):
        return False
    return len(record['epochs']) - records.best_epoch(record) >= settings.patience


def _best_line(record, final):
    return 'epoch {} of {} is the best by the validation part: test accuracy {}'.format(
        final['epoch'], len(record['epochs']), evaluation.percent(final['accuracy'])
    )


def _epoch_line(row, epochs, validation=None):
    accuracy = (
        ''
        if row['accuracy'] is None
        else '  test accuracy {}'.format(evaluation.percent(row['accuracy']))
    )
    if validation is not None:
        accuracy += '  validation {}'.format(evaluation.percent(validation))
    return (
        'epoch {epoch}/{epochs}  cost {cost:.4f}{test}  {seconds:.1f} s  {rate:.1f} images/s'
    ).format(
        epoch=row['epoch'],
        epochs=epochs,
        cost=row['cost'],
        test=accuracy,
        seconds=row['seconds'],
        rate=row['images_per_second'],
    )
