"""What there is to do: one job a row and seed, read off the run records, with the time it will take."""

from __future__ import annotations

import dataclasses
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from neon_rnn import engines, published
from neon_rnn.data.dataset import Dataset, open_dataset
from neon_rnn.report.collect import Collection, collect
from neon_rnn.reproduce import estimate
from neon_rnn.runs.trained_run import checkpoint_path
from neon_rnn.support.errors import NeonRnnError, UsageError
from neon_rnn.support.wording import counted
from neon_rnn.weights import pretrained


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
    #: A Python that has the engine, to measure with; None if there is only a container.
    python: str | None = sys.executable

    @property
    def recorded_backend(self) -> str:
        """The backend as records name it."""
        return engines.recorded_backend(self.engine, self.backend)

    def epochs_of(self, row: str) -> int:
        """How many epochs a row is trained here."""
        if self.epochs is not None:
            return self.epochs
        return max(1, round(published.rows()[row].epochs * self.epochs_scale))

    def data_of(self, row: str) -> str:
        """The data set of a row: that of its image size, where there is one."""
        return (
            self.data_224
            if self.data_224 and published.rows()[row].input_side == 224
            else self.data
        )


@dataclasses.dataclass
class Job:
    """One row with one seed.

    Attributes
    ----------
    argv
        What ``python -m neon_rnn`` is told.
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

    @property
    def waiting(self) -> bool:
        """Whether there is something to train."""
        return self.state in ('new', 'resume')


def plan(settings: Settings, progress: Callable[[str], None] = lambda text: None) -> list[Job]:
    """What there is to do, row by row, with estimates.

    Parameters
    ----------
    settings
    progress
        Called with a line for every row that has to be measured, and why where that fails.

    Raises
    ------
    UsageError
        A row is unknown, a data set cannot be opened, or the pretrained weights are of another network.
    """
    unknown = [row for row in settings.rows if row not in published.rows()]
    if unknown:
        raise UsageError(
            'there is no row {}; the rows are {}.'.format(
                ', '.join(unknown), ', '.join(published.rows())
            )
        )
    datasets = {
        folder: open_dataset(folder)
        for folder in sorted({settings.data_of(row) for row in settings.rows})
    }
    past = collect(Path(settings.out)) if os.path.isdir(settings.out) else Collection()
    source = _pretrained_sha256(settings)
    jobs = []
    for row in settings.rows:
        dataset = datasets[settings.data_of(row)]
        ours = [
            _job(settings, row, seed, dataset, past, source if pretrained.takes(row) else None)
            for seed in range(settings.seeds)
        ]
        if any(job.waiting for job in ours):
            rate = _rate(settings, row, dataset, past, progress)
            for job in ours:
                job.seconds = None if rate is None else rate * dataset.train.count * job.epochs_left
        jobs += ours
    return jobs


def _pretrained_sha256(settings: Settings) -> str | None:
    """Read the pretrained weights once, so that what does not fit is refused before hours of training."""
    row = next((row for row in settings.rows if pretrained.takes(row)), None)
    if row is None or settings.pretrained is None:
        return None
    source = pretrained.for_training(row, settings.pretrained)
    return source.description['sha256'] if source else None


def _rate(
    settings: Settings,
    row: str,
    dataset: Dataset,
    past: Collection,
    progress: Callable[[str], None],
) -> float | None:
    """Seconds an image, recorded or else measured; None where neither can be had."""
    rate = estimate.recorded_rate(
        (run.record for run in past.runs),
        row,
        settings.engine,
        settings.recorded_backend,
        settings.precision,
        settings.batch_size,
        dataset.shape,
    )
    if rate is None and settings.python is not None:
        progress(f'measuring {row}')
        try:
            rate = estimate.measured_rate(
                row,
                settings.engine,
                settings.backend,
                settings.precision,
                settings.batch_size,
                dataset.shape,
                settings.python,
            )
        except NeonRnnError as error:
            progress(f'no estimate of {error}')
    return rate


def _job(
    settings: Settings, row: str, seed: int, dataset: Dataset, past: Collection, source: str | None
) -> Job:
    """What is left to do of a row with a seed; `source` is the sha256 of the pretrained weights, if any are read."""
    epochs = settings.epochs_of(row)
    argv = [
        'train',
        '--model',
        row,
        '--data',
        settings.data_of(row),
        '--engine',
        settings.engine,
        '-b',
        settings.backend,
        '-z',
        str(settings.batch_size),
        '-e',
        str(epochs),
        '-r',
        str(seed),
        '--precision',
        settings.precision,
        '--out',
        settings.out,
    ]
    if pretrained.takes(row):
        if settings.pretrained is None:
            return Job(
                row, seed, epochs, 'cannot', argv, reason='needs --pretrained FILE (or none)'
            )
        argv += ['--pretrained', settings.pretrained]
    job = Job(row, seed, epochs, 'new', argv, epochs_left=epochs)
    wanted = {
        'model': row,
        'engine': settings.engine,
        'backend': settings.recorded_backend,
        'precision': settings.precision,
        'seed': seed,
        'batch_size': settings.batch_size,
        'epochs': epochs,
        'shuffle': True,
        'data': dataset.sha256(),
        'pretrained': source,
        'variant': '',
    }
    for run in past.runs:
        record, folder = run.record, os.path.join(settings.out, run.folder)
        if _configuration(record) != wanted:
            continue
        if record['status'] in ('finished', 'diverged'):
            return dataclasses.replace(
                job, state='done', folder=folder, reason=record['status'], epochs_left=0
            )
        if os.path.isfile(checkpoint_path(folder)):
            # the backend is in the record; it stands here for docker/run-in-compose.sh, which picks the container by it
            job = dataclasses.replace(
                job,
                state='resume',
                folder=folder,
                epochs_left=epochs - len(record['epochs']),
                argv=[
                    'train',
                    '--resume',
                    folder,
                    '--data',
                    settings.data_of(row),
                    '-b',
                    settings.backend,
                ],
            )
    return job


def _configuration(record: dict[str, Any]) -> dict[str, Any]:
    """What makes two runs the same, of a record."""
    hyperparameters = record['hyperparameters']
    source = record['options'].get('pretrained') or {}
    return {
        **{name: record[name] for name in ('model', 'engine', 'backend', 'precision', 'seed')},
        **{name: hyperparameters[name] for name in ('batch_size', 'epochs', 'shuffle')},
        'data': record['dataset']['sha256'],
        'pretrained': source.get('sha256'),
        'variant': published.variant(record['options']),
    }


def summary(jobs: Sequence[Job]) -> str:
    """The plan as lines for a terminal."""
    words = {
        'new': 'to train',
        'resume': 'to resume',
        'done': 'done',
        'cannot': 'cannot be trained',
    }
    lines = [f'{"row":<12}{"seed":>5}{"epochs":>8}{"estimate":>12}  what']
    for job in jobs:
        time = (
            ''
            if not job.waiting
            else 'unknown'
            if job.seconds is None
            else estimate.duration(job.seconds)
        )
        shortened = (
            ''
            if job.state == 'cannot' or job.epochs == published.rows()[job.row].epochs
            else f' ({job.epochs} of {published.rows()[job.row].epochs} published epochs)'
        )
        went = f' after epoch {job.epochs - job.epochs_left}' if job.state == 'resume' else ''
        note = f': {job.reason}' if job.reason and job.reason != 'finished' else ''
        lines.append(
            f'{job.row:<12}{job.seed:>5}{job.epochs:>8}{time:>12}  {words[job.state]}{went}{note}{shortened}'
        )
    known = [job.seconds for job in jobs if job.seconds is not None]
    unknown = sum(1 for job in jobs if job.waiting and job.seconds is None)
    parts = [estimate.duration(sum(known))] if known or not unknown else []
    if unknown:
        parts.append(counted(unknown, 'run') + ' of unknown length')
    return '\n'.join([*lines, 'in all ' + ' and '.join(parts)])
