"""Train the rows of the published table: what there is to do, how long it takes, and doing it.

Every run is a process of its own (``python -m neon_rnn train ...``), so a row that fails or runs out of memory takes
nothing with it. What was done is read off the run records: runs of the same configuration that are finished are not
repeated, those that were interrupted go on from their last checkpoint.
"""
from __future__ import annotations

import dataclasses
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from tqdm import tqdm

from neon_rnn import environment, files, paths, pretrained, published, records
from neon_rnn.dataset import Dataset, open_dataset
from neon_rnn.errors import NeonRnnError, UsageError
from neon_rnn.inference import checkpoint_path
from neon_rnn.report.collect import Collection, collect

#: Images of the calibration's minibatches where those of the training would take long.
_CALIBRATION_BATCH = 16
_CALIBRATION_LIMIT = 600.0  # seconds


@dataclasses.dataclass(frozen=True)
class Settings:
    """What a reproduction is asked to do; the names are those of the command line."""

    rows: Sequence[str]
    seeds: int
    data: str
    data_224: str | None
    engine: str
    backend: str
    precision: str
    batch_size: int
    epochs: int | None
    epochs_scale: float
    pretrained: str | None
    out: str

    def epochs_of(self, row: str) -> int:
        """How many epochs a row is trained here."""
        if self.epochs is not None:
            return self.epochs
        return max(1, round(published.rows()[row].epochs * self.epochs_scale))

    def data_of(self, row: str) -> str:
        """The data set of a row: that of its image size, where there is one."""
        return self.data_224 if self.data_224 and published.rows()[row].input_side == 224 else self.data


@dataclasses.dataclass
class Job:
    """One row with one seed.

    Attributes
    ----------
    state
        ``'new'``, ``'resume'`` (`folder` goes on), ``'done'`` (`folder` is it) or ``'cannot'`` (`reason` says why).
    epochs_left
        Of `epochs`.
    seconds
        Estimated, of what is left; None where nothing is known.
    """

    row: str
    seed: int
    epochs: int
    state: str
    argv: list[str]
    folder: str | None = None
    reason: str = ''
    epochs_left: int = 0
    seconds: float | None = None

    @property
    def name(self) -> str:
        """For messages and the name of the log."""
        return f'{self.row}-s{self.seed}'


def plan(settings: Settings, progress: Callable[[str], None] = lambda text: None) -> list[Job]:
    """What there is to do, row by row, with estimates.

    Parameters
    ----------
    settings
    progress
        Called with a line for every row that has to be calibrated.

    Raises
    ------
    UsageError
        A row is unknown, a data set cannot be opened, or the pretrained weights are of another network.
    """
    unknown = [row for row in settings.rows if row not in published.rows()]
    if unknown:
        raise UsageError('there is no row {}; the rows are {}.'.format(', '.join(unknown), ', '.join(published.rows())))
    datasets = {folder: open_dataset(folder) for folder in sorted({settings.data_of(row) for row in settings.rows})}
    past = collect(Path(settings.out)) if os.path.isdir(settings.out) else Collection()
    source = _pretrained_sha256(settings)
    jobs = []
    for row in settings.rows:
        dataset = datasets[settings.data_of(row)]
        ours = [_job(settings, row, seed, dataset, past, source if pretrained.takes(row) else None)
                for seed in range(settings.seeds)]
        if any(job.epochs_left for job in ours):
            rate = recorded_rate(past, settings, row, dataset)
            if rate is None:
                progress(f'measuring {row}')
                rate = calibrate(settings, row, dataset)
            for job in ours:
                job.seconds = rate and rate * dataset.train.count * job.epochs_left
        jobs += ours
    return jobs


def _pretrained_sha256(settings: Settings) -> str | None:
    """Read the pretrained weights once, so that what does not fit is refused before hours of training."""
    row = next((row for row in settings.rows if pretrained.takes(row)), None)
    if row is None or settings.pretrained is None:
        return None
    source = pretrained.for_training(row, settings.pretrained)
    return source.description['sha256'] if source else None


def _job(settings: Settings, row: str, seed: int, dataset: Dataset, past: Collection, source: str | None) -> Job:
    """What is left to do of a row with a seed; `source` is the sha256 of the pretrained weights, if any are read."""
    epochs = settings.epochs_of(row)
    argv = ['train', '--model', row, '--data', settings.data_of(row), '--engine', settings.engine, '-b',
            settings.backend, '-z', str(settings.batch_size), '-e', str(epochs), '-r', str(seed), '--precision',
            settings.precision, '--out', settings.out]
    if pretrained.takes(row):
        if settings.pretrained is None:
            return Job(row, seed, epochs, 'cannot', argv, reason='needs --pretrained FILE (or none)')
        argv += ['--pretrained', settings.pretrained]
    job = Job(row, seed, epochs, 'new', argv, epochs_left=epochs)
    wanted = {'model': row, 'engine': settings.engine, 'backend': _recorded_backend(settings.engine, settings.backend),
              'precision': settings.precision, 'seed': seed, 'batch_size': settings.batch_size, 'epochs': epochs,
              'shuffle': True, 'data': dataset.sha256(), 'pretrained': source, 'variant': ''}
    for run in past.runs:
        record, folder = run.record, os.path.join(settings.out, run.folder)
        if _configuration(record) != wanted:
            continue
        left = epochs - len(record['epochs'])
        if record['status'] in ('finished', 'diverged'):
            return dataclasses.replace(job, state='done', folder=folder, reason=record['status'], epochs_left=0)
        if record['status'] in ('interrupted', 'running') and left and os.path.isfile(checkpoint_path(folder)):
            job = dataclasses.replace(job, state='resume', folder=folder, epochs_left=left,
                                      argv=['train', '--resume', folder, '--data', settings.data_of(row)])
    return job


def _configuration(record: dict[str, Any]) -> dict[str, Any]:
    """What makes two runs the same, of a record."""
    hyperparameters = record['hyperparameters']
    source = record['options'].get('pretrained') or {}
    return {**{name: record[name] for name in ('model', 'engine', 'backend', 'precision', 'seed')},
            **{name: hyperparameters[name] for name in ('batch_size', 'epochs', 'shuffle')},
            'data': record['dataset']['sha256'], 'pretrained': source.get('sha256'),
            'variant': published.variant(record['options'])}


def _recorded_backend(engine: str, backend: str) -> str:
    """The backend as records name it: mkl is the torch engine's cpu, cpu is the neon engine's mkl."""
    return {('torch', 'mkl'): 'cpu', ('neon', 'cpu'): 'mkl'}.get((engine, backend), backend)


def recorded_rate(past: Collection, settings: Settings, row: str, dataset: Dataset) -> float | None:
    """Seconds an image in earlier runs of a row on this machine, or None without any."""
    rates = [record['epochs'][-1]['seconds'] / sum(record['dataset']['counts']['train'].values())
             for record in (run.record for run in past.runs)
             if record['epochs'] and record['model'] == row and record['engine'] == settings.engine
             and record['backend'] == _recorded_backend(settings.engine, settings.backend)
             and record['precision'] == settings.precision and record['dataset']['shape'] == list(dataset.shape)
             and record['hyperparameters']['batch_size'] == settings.batch_size
             and record['machine']['cpu'] == environment.cpu_model()]
    return min(rates) if rates else None


def calibrate(settings: Settings, row: str, dataset: Dataset) -> float | None:
    """Seconds an image, from one minibatch after a first one, in a process of its own; None if that fails."""
    batch = min(settings.batch_size, _CALIBRATION_BATCH)
    specification = {'kind': 'engine', 'engine': settings.engine, 'backend': settings.backend, 'batch': batch,
                     'precision': settings.precision, 'threads': None, 'model': row, 'side': dataset.shape[1]}
    command = [sys.executable, '-m', 'neon_rnn.bench.worker', json.dumps(specification)]
    try:
        answer = subprocess.run(command, input='train\ntrain\ntrain\nquit\n', capture_output=True, text=True,
                                timeout=_CALIBRATION_LIMIT, env=_environment())
        seconds = [json.loads(line)['seconds'] for line in answer.stdout.splitlines() if 'seconds' in line]
    except subprocess.TimeoutExpired:
        return None
    return min(seconds[1:]) / batch if len(seconds) == 3 else None


def _environment() -> dict[str, str]:
    """The environment in which ``-m neon_rnn`` is found from any working directory."""
    found = [paths.ROOT] + [path for path in [os.environ.get('PYTHONPATH')] if path]
    return dict(os.environ, PYTHONPATH=os.pathsep.join(found))


@dataclasses.dataclass(frozen=True)
class Outcome:
    """How a job ended: `text` for people, `failed` if it did."""

    job: Job
    failed: bool
    text: str


def execute(jobs: Iterable[Job], settings: Settings) -> list[Outcome]:
    """Run what there is to do, one process after another; a failure does not stop the rest.

    Raises
    ------
    KeyboardInterrupt
        Ctrl-C or SIGTERM: the training in progress has kept its checkpoint, and the same command goes on from it.
    """
    outcomes = []
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    waiting = [job for job in jobs if job.state in ('new', 'resume')]
    logs = Path(files.make_folder(Path(settings.out).absolute().parent / 'logs'))
    try:
        with tqdm(waiting, desc='rows', unit='run', disable=None) as bar:
            for job in bar:
                bar.set_postfix_str(job.name)
                outcome = _run(job, logs / (job.name + '.log'))
                tqdm.write(f'{job.name}: {outcome.text}')
                outcomes.append(outcome)
    finally:
        signal.signal(signal.SIGTERM, before)
    return outcomes


def _run(job: Job, log: Path) -> Outcome:
    """One training, its output in a log."""
    started = time.time()
    try:
        with log.open('a', encoding='utf-8') as output:
            process = subprocess.Popen([sys.executable, '-m', 'neon_rnn', *job.argv], stdout=output,
                                       stderr=subprocess.STDOUT, env=_environment(), start_new_session=True)
            try:
                status = process.wait()
            except KeyboardInterrupt:
                # The terminal's Ctrl-C did not reach it, it has a session of its own; SIGTERM means the same to it, and
                # works in the background too, where shells make programs deaf to SIGINT.
                process.send_signal(signal.SIGTERM)
                process.wait()
                raise
    except OSError as error:
        raise files.write_error(str(log), error)
    if status == 130:
        raise KeyboardInterrupt
    seconds = time.time() - started
    if status:
        signalled = f'killed by signal {-status}' if status < 0 else f'status {status}'
        return Outcome(job, True, f'failed after {duration(seconds)} ({signalled}): {last_line(log)} (log: {log})')
    return Outcome(job, False, f'{_accuracy(log)} after {duration(seconds)}')


def last_line(log: Path) -> str:
    """The last line of a log that says something; of a progress bar, what it showed last."""
    lines = log.read_text(encoding='utf-8', errors='replace').replace('\r', '\n').split('\n')
    return next((line.strip() for line in reversed(lines) if line.strip()), 'no output')


def _accuracy(log: Path) -> str:
    """The accuracy in the record that the last line of a log names."""
    folder = last_line(log).rpartition(': ')[2]
    try:
        final = records.read_record(folder)['final']
    except NeonRnnError:
        return 'trained'
    return 'accuracy {:.1%}'.format(final['accuracy']) if final else 'trained'


def duration(seconds: float) -> str:
    """Seconds as people say them: ``'42 s'``, ``'13 min'``, ``'5.2 h'``, ``'3.1 days'``."""
    if seconds < 100:
        return f'{seconds:.0f} s'
    if seconds < 100 * 60:
        return f'{seconds / 60:.0f} min'
    return f'{seconds / 3600:.1f} h' if seconds < 72 * 3600 else f'{seconds / 86400:.1f} days'


def summary(jobs: Sequence[Job]) -> str:
    """The plan as lines for a terminal."""
    words = {'new': 'to train', 'resume': 'to resume', 'done': 'done', 'cannot': 'cannot be trained'}
    lines = [f'{"row":<12}{"seed":>5}{"epochs":>8}{"estimate":>12}  what']
    for job in jobs:
        estimate = '' if not job.epochs_left else 'unknown' if job.seconds is None else duration(job.seconds)
        shortened = '' if job.epochs == published.rows()[job.row].epochs else \
            f' (of {published.rows()[job.row].epochs} published epochs)'
        note = f': {job.reason}' if job.reason and job.reason != 'finished' else ''
        lines.append(f'{job.row:<12}{job.seed:>5}{job.epochs:>8}{estimate:>12}  {words[job.state]}{note}{shortened}')
    total = sum(job.seconds or 0 for job in jobs)
    unknown = sum(1 for job in jobs if job.epochs_left and job.seconds is None)
    lines.append(f'in all {duration(total)}' + (f' and {unknown} runs of unknown length' if unknown else ''))
    return '\n'.join(lines)
