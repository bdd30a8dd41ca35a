"""Plan a reproduction: one job for each row and seed, read off the run records."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from neon_rnn import engines, published
from neon_rnn.data.dataset import Dataset, open_dataset
from neon_rnn.models.rnn import check_cell
from neon_rnn.report.collect import Collection, collect
from neon_rnn.reproduce import estimate
from neon_rnn.runs.identity import configuration
from neon_rnn.runs.run_id import unused_run_id
from neon_rnn.runs.trained_run import checkpoint_path
from neon_rnn.support.errors import UsageError
from neon_rnn.support.wording import counted
from neon_rnn.training import Settings as TrainingSettings
from neon_rnn.weights import pretrained


@dataclasses.dataclass(frozen=True)
class Settings:
    """The settings of a reproduction, by the names of the command line."""

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
    #: Cells of the row rnn, one training each; none: the published ones alone.
    rnn: Sequence[str] = ()

    @property
    def recorded_backend(self) -> str:
        """The backend as records name it."""
        return engines.recorded_backend(self.engine, self.backend)

    def epochs_of(self, row: str) -> int:
        """Return how many epochs a row is trained here."""
        if self.epochs is not None:
            return self.epochs
        return max(1, round(published.rows()[row].epochs * self.epochs_scale))

    def cells_of(self, row: str) -> Sequence[str | None]:
        """Return the cells with which a row is trained; None stands for the row as published."""
        return self.rnn if row == 'rnn' and self.rnn else (None,)

    def data_of(self, row: str) -> str:
        """Return the data set of a row: that of its image size, if there is one."""
        large = published.rows()[row].input_side == 224
        return self.data_224 if self.data_224 and large else self.data


@dataclasses.dataclass
class Job:
    """One row with one seed, and perhaps with other recurrent cells.

    Attributes
    ----------
    argv
        The arguments of ``python -m neon_rnn``.
    state
        ``'new'``, ``'resume'`` (the run in `folder` goes on), ``'done'`` (the run in `folder` is
        it) or ``'cannot'`` (`reason` says why).
    folder
        The run's folder, of a new job too.
    epochs_left
        Of `epochs`.
    seconds
        The estimate for the epochs left; None if nothing is known.
    """

    row: str
    seed: int
    epochs: int
    state: str
    argv: list[str]
    folder: str
    rnn: str | None = None
    reason: str = ''
    epochs_left: int = 0
    seconds: float | None = None

    @property
    def name(self) -> str:
        """A name for messages and the log."""
        return f'{self.network}-s{self.seed}'

    @property
    def network(self) -> str:
        """The row, and its cells if they were named."""
        return f'{self.row}-{self.rnn}' if self.rnn else self.row

    @property
    def waiting(self) -> bool:
        """Whether there is something to train."""
        return self.state in ('new', 'resume')


def plan(settings: Settings) -> list[Job]:
    """Return the jobs, row by row, with estimates.

    Raises
    ------
    UsageError
        A row or a cell is unknown, a data set cannot be opened, or the pretrained weights are of
        another network.
    """
    unknown = [row for row in settings.rows if row not in published.rows()]
    if unknown:
        raise UsageError(
            'there is no row {}; the rows are {}.'.format(
                ', '.join(unknown), ', '.join(published.rows())
            )
        )
    for name in settings.rnn:
        check_cell(name)
    if settings.rnn and 'rnn' not in settings.rows:
        raise UsageError('--rnn chooses the cells of the row rnn, which --rows leaves out.')
    folders = sorted({settings.data_of(row) for row in settings.rows})
    datasets = {folder: open_dataset(folder) for folder in folders}
    past = collect(Path(settings.out)) if os.path.isdir(settings.out) else Collection()
    source = _pretrained_sha256(settings)
    jobs = []
    networks = [(row, cell) for row in settings.rows for cell in settings.cells_of(row)]
    for row, cell in networks:
        dataset = datasets[settings.data_of(row)]
        rate = estimate.recorded_rate(
            (run.record for run in past.runs),
            {
                'model': row,
                'variant': published.variant({'rnn': cell}),
                'engine': settings.engine,
                'backend': settings.recorded_backend,
                'precision': settings.precision,
                'batch_size': settings.batch_size,
                'shape': dataset.shape,
            },
        )
        for seed in range(settings.seeds):
            job = _job(settings, row, cell, seed, dataset, past, source)
            if job.waiting and rate is not None:
                job.seconds = rate * dataset.train.count * job.epochs_left
            jobs.append(job)
    return jobs


def _pretrained_sha256(settings: Settings) -> str | None:
    """Read the pretrained weights once: a wrong file is refused before hours of training."""
    row = next((row for row in settings.rows if pretrained.takes(row)), None)
    if row is None or settings.pretrained is None:
        return None
    source = pretrained.for_training(row, settings.pretrained)
    return source.description['sha256'] if source else None


def _job(
    settings: Settings,
    row: str,
    rnn: str | None,
    seed: int,
    dataset: Dataset,
    past: Collection,
    source: str | None,
) -> Job:
    """Return the job of a row with a seed; `source` is the sha256 of the pretrained weights."""
    epochs = settings.epochs_of(row)
    takes_weights = pretrained.takes(row)
    options: dict[str, Any] = {'rnn': rnn} if rnn else {}
    if takes_weights and source:
        options['pretrained'] = {'sha256': source}
    wanted = _configuration(settings, row, epochs, dataset, options)
    job = Job(row, seed, epochs, 'new', [], '', rnn, '', epochs)
    run_id = unused_run_id(
        settings.out, job.network, settings.engine, settings.recorded_backend, seed
    )
    job.folder = os.path.join(settings.out, run_id)
    job.argv = _training_command(settings, job)
    if takes_weights and settings.pretrained is None:
        job.state, job.reason = 'cannot', 'needs --pretrained FILE (or none)'
        return job
    for run in past.runs:
        record, folder = run.record, os.path.join(settings.out, run.folder)
        if record['seed'] != seed or configuration(record) != wanted:
            continue
        if record['status'] in ('finished', 'diverged'):
            job.state, job.folder, job.reason, job.epochs_left = 'done', folder, record['status'], 0
            return job
        if os.path.isfile(checkpoint_path(folder)):
            job.state, job.folder = 'resume', folder
            job.epochs_left = epochs - len(record['epochs'])
            # The record holds the backend; docker/run-in-compose.sh chooses the container by it.
            job.argv = ['resume', folder, '--data', settings.data_of(row), '-b', settings.backend]
    return job


def _training_command(settings: Settings, job: Job) -> list[str]:
    """Return the arguments that train a row anew, into the folder of the job."""
    options = {
        '--model': job.row,
        '--data': settings.data_of(job.row),
        '--engine': settings.engine,
        '-b': settings.backend,
        '-z': settings.batch_size,
        '-e': job.epochs,
        '-r': job.seed,
        '--precision': settings.precision,
        '--out': settings.out,
        '--run_id': os.path.basename(job.folder),
    }
    if job.rnn:
        options['--rnn'] = job.rnn
    if pretrained.takes(job.row) and settings.pretrained is not None:
        options['--pretrained'] = settings.pretrained
    return ['train', *(str(word) for pair in options.items() for word in pair)]


def _configuration(
    settings: Settings, row: str, epochs: int, dataset: Dataset, options: dict[str, Any]
) -> str:
    """Return the configuration that the record of a row's run will have."""
    training = TrainingSettings.of(
        model=row,
        options=options,
        data=settings.data_of(row),
        engine=settings.engine,
        backend=settings.recorded_backend,
        batch_size=settings.batch_size,
        epochs=epochs,
        seed=0,
        precision=settings.precision,
    )
    fields = ('model', 'options', 'engine', 'backend', 'precision')
    return configuration(
        {
            **{name: getattr(training, name) for name in fields},
            'hyperparameters': training.hyperparameters(),
            'dataset': {'kind': dataset.description['kind'], 'sha256': dataset.sha256()},
        }
    )


def summary(jobs: Sequence[Job]) -> str:
    """Return the plan as lines for a terminal."""
    words = {
        'new': 'to train',
        'resume': 'to resume',
        'done': 'done',
        'cannot': 'cannot be trained',
    }
    wide = max([12, *(len(job.network) + 1 for job in jobs)])
    lines = [f'{"row":<{wide}}{"seed":>5}{"epochs":>8}{"estimate":>12}  what']
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
            f'{job.network:<{wide}}{job.seed:>5}{job.epochs:>8}{time:>12}  '
            f'{words[job.state]}{went}{note}{shortened}'
        )
    known = [job.seconds for job in jobs if job.seconds is not None]
    unknown = sum(1 for job in jobs if job.waiting and job.seconds is None)
    parts = [estimate.duration(sum(known))] if known or not unknown else []
    if unknown:
        parts.append(counted(unknown, 'run') + ' of unknown length')
    return '\n'.join([*lines, 'in all ' + ' and '.join(parts)])
