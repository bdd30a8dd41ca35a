"""Which runs make a row of the table, by stated rules; what they amount to over their seeds."""

import json
import math
import statistics
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from neon_rnn import published
from neon_rnn.published import Published
from neon_rnn.report.collect import Collection, Run
from neon_rnn.runs.evaluation import wilson_interval

#: The rules as the table and the page print them.
RULES = (
    'Runs that differ in nothing but the seed form one configuration: same network and options, engine, backend, '
    'precision, hyperparameters and data set. Of several runs with one seed the latest finished one counts, or the '
    'latest if none finished.',
    'A row shows one configuration, the first in this order: the complete published protocol on photographs; '
    'finished on photographs with a shortened or otherwise different protocol; finished on synthetic data; '
    'not finished. Within each: more epochs trained, more finished seeds, more test images, engine neon before torch, '
    'the latest start.',
    'Accuracy and time are means over the finished seeds, with the sample standard deviation as spread. The 95% '
    'interval is the Wilson interval of the mean accuracy for the number of test images; it does not include the '
    'spread over seeds.',
    'The difference to the published accuracy is given on photographs only. The published data set and split are '
    'not known, so even a complete protocol compares different test images.',
    'Time counts training without evaluation and checkpoints; other work may have shared the machine meanwhile '
    "(docs/performance.md measures speed). An epoch's time is the median. The projection is that on the data set at "
    "hand times the published number of epochs, not an estimate for the published (unknown) data set's size.",
)

COMPLETE, SHORTENED, OTHER_DATA, UNFINISHED = 'complete', 'shortened', 'other data', 'unfinished'
_ORDER = (COMPLETE, SHORTENED, OTHER_DATA, UNFINISHED)
#: How often a run is evaluated and saved: noted with its hyperparameters, without effect on its result.
_NO_SETTINGS = ('eval_freq', 'serialize')


@dataclass(frozen=True)
class Configuration:
    """The runs of one configuration.

    Attributes
    ----------
    runs
        One a seed, in order of the seeds.
    superseded
        Those whose seed a later run repeated.
    row
        The published row of the network's name, if it has one.
    """

    runs: tuple[Run, ...]
    superseded: tuple[Run, ...]
    row: Published | None

    @property
    def first(self) -> dict[str, Any]:
        """A record that stands for what all of them share."""
        return (self.finished or self.runs)[0].record

    @cached_property
    def finished(self) -> tuple[Run, ...]:
        """The runs that ended with an evaluation."""
        return tuple(run for run in self.runs if _is_finished(run))

    @property
    def name(self) -> str:
        """The row's name, or the model's for a network without a row; with what changes the network."""
        variant = published.variant(self.first['options'])
        name = self.row.row if self.row else self.first['row'] or self.first['model']
        return f'{name} ({variant})' if variant else name

    @property
    def is_row(self) -> bool:
        """Whether this is the network of one of the published rows."""
        return self.row is not None and not published.variant(self.first['options'])

    @cached_property
    def reasons(self) -> tuple[str, ...]:
        """In what the training differs from the published protocol.

        Worked out again from the figures; what the records themselves say is added to it, never trusted instead.
        """
        reasons: list[str] = []
        for run in self.finished or self.runs:
            record = run.record
            found = published.protocol(
                record['model'], record['hyperparameters'], record['dataset'], record['options']
            )['reasons']
            if (
                run in self.finished
                and len(record['epochs']) != record['hyperparameters']['epochs']
            ):
                found.append(
                    f'{len(record["epochs"])} of {record["hyperparameters"]["epochs"]} epochs recorded'
                )
            said = record['protocol']['reasons']
            if not record['protocol']['complete'] and not said and not found:
                said = ['marked incomplete by the training']
            reasons += found + [str(reason) for reason in said]
        return tuple(dict.fromkeys(reasons))

    @cached_property
    def state(self) -> str:
        """``complete``, ``shortened``, ``other data`` or ``unfinished``."""
        if not self.finished:
            return UNFINISHED
        if self.first['dataset']['kind'] != 'photographs':
            return OTHER_DATA
        return SHORTENED if self.reasons else COMPLETE

    @property
    def detail(self) -> str:
        """Every shortfall: of the protocol, of what is known of the network, of runs without a result."""
        network = self.row.topology if self.row else 'published'
        if self.state == COMPLETE:
            parts = [] if network in ('published', 'standard') else [f'{network} network']
        else:
            parts = [', '.join(self.reasons)] if self.finished else []
        return '; '.join(
            parts + [_unfinished(run) for run in self.runs if run not in self.finished]
        )

    @property
    def status(self) -> str:
        """The state in words, with every shortfall named."""
        word = {
            COMPLETE: 'complete protocol',
            OTHER_DATA: 'not comparable',
            SHORTENED: 'not the published protocol' if self.is_row else '',
        }.get(self.state, '')
        return ': '.join(part for part in (word, self.detail) if part)

    @property
    def seeds(self) -> list[int]:
        """The seeds of the finished runs."""
        return [run.record['seed'] for run in self.finished]

    @property
    def accuracy(self) -> tuple[float, float | None] | None:
        """Mean and spread of the test accuracy, in per cent."""
        return _mean_and_spread([100 * run.record['final']['accuracy'] for run in self.finished])

    @property
    def interval(self) -> list[float] | None:
        """Wilson 95% interval of the mean accuracy, in per cent."""
        if not self.finished:
            return None
        count = self.test_images
        correct = (
            sum(run.record['final']['accuracy'] for run in self.finished)
            / len(self.finished)
            * count
        )
        return [100 * bound for bound in wilson_interval(min(correct, count), count)]

    @property
    def test_images(self) -> int:
        """The images of one evaluation."""
        return self.finished[0].record['final']['count'] if self.finished else 0

    @property
    def majority(self) -> float | None:
        """The majority baseline, in per cent."""
        return 100 * self.finished[0].record['final']['majority'] if self.finished else None

    @property
    def difference(self) -> float | None:
        """Mean accuracy minus the published one, in percentage points; only where photographs were used."""
        accuracy = self.accuracy
        if accuracy is None or not self.is_row or self.state not in (COMPLETE, SHORTENED):
            return None
        return accuracy[0] - self.row.accuracy  # type: ignore[union-attr]

    @property
    def training_seconds(self) -> tuple[float, float | None] | None:
        """Mean and spread of the training time."""
        return _mean_and_spread([run.record['training_seconds'] for run in self.finished])

    @property
    def seconds_per_epoch(self) -> float | None:
        """Median time of an epoch over all epochs of the finished runs; of the others, where none has finished."""
        epochs = [
            row['seconds'] for run in self.finished or self.runs for row in run.record['epochs']
        ]
        return statistics.median(epochs) if epochs else None

    @property
    def threads(self) -> int | None:
        """Processor threads of the first run, if it ran on a processor and says so."""
        record = self.runs[0].record
        return None if record['backend'] == 'gpu' else record['device'].get('threads')

    @property
    def projected_seconds(self) -> float | None:
        """Time of the published number of epochs at this speed, on this data set."""
        seconds = self.seconds_per_epoch
        return (
            None
            if seconds is None or self.row is None or not self.is_row
            else seconds * self.row.epochs
        )

    @property
    def epochs(self) -> int:
        """The epochs trained."""
        return max(len(run.record['epochs']) for run in self.finished or self.runs)

    @cached_property
    def confusion(self) -> list[list[int]] | None:
        """The confusion matrix, added up over the finished seeds."""
        matrices = [run.record['final']['confusion'] for run in self.finished]
        return [
            [sum(cells) for cells in zip(*rows, strict=True)]
            for rows in zip(*matrices, strict=True)
        ] or None

    def preference(self) -> tuple[Any, ...]:
        """Sorts the configuration to be shown first."""
        newest = max(run.record['started'] for run in self.runs)
        return (
            _ORDER.index(self.state),
            -self.epochs,
            -len(self.finished),
            -self.test_images,
            self.first['engine'],
            [-ord(letter) for letter in newest],
            self.runs[0].folder,
        )


@dataclass(frozen=True)
class Choice:
    """What the report shows.

    Attributes
    ----------
    rows
        Each published row with its configuration, None where there is no run.
    beside
        Networks that are no published row, one configuration each.
    others
        Every configuration that is not shown above.
    collection
        Where all this comes from, with what could not be used.
    """

    rows: list[tuple[Published, Configuration | None]]
    beside: list[Configuration]
    others: list[Configuration]
    collection: Collection

    @property
    def shown(self) -> list[Configuration]:
        """The configurations in the table and beside it."""
        return [configuration for _, configuration in self.rows if configuration] + self.beside


def choose(collection: Collection) -> Choice:
    """Pick what each row shows, by `RULES`."""
    table = published.rows()
    configurations = sorted(_configurations(collection.runs, table), key=Configuration.preference)
    rows: list[tuple[Published, Configuration | None]] = []
    beside: list[Configuration] = []
    for row in table.values():
        candidates = [each for each in configurations if each.is_row and each.row is row]
        rows.append((row, candidates[0] if candidates else None))
    for each in sorted(
        (each for each in configurations if not each.is_row), key=lambda each: each.name
    ):
        if each.name not in {other.name for other in beside}:
            beside.append(each)
    shown = {id(each) for _, each in rows} | {id(each) for each in beside}
    others = sorted(
        (each for each in configurations if id(each) not in shown),
        key=lambda each: (
            list(table).index(each.first['model']) if each.row else len(table),
            each.name,
        ),
    )
    return Choice(rows, beside, others, collection)


def _configurations(runs: Iterable[Run], table: dict[str, Published]) -> list[Configuration]:
    """Runs that differ in nothing but the seed, together; one run a seed."""
    groups: dict[str, dict[int, list[Run]]] = {}
    for run in sorted(runs, key=lambda run: (_is_finished(run), run.record['started'], run.folder)):
        groups.setdefault(_key(run.record), {}).setdefault(run.record['seed'], []).append(run)
    configurations = []
    for seeds in groups.values():
        latest = tuple(seeds[seed][-1] for seed in sorted(seeds))
        superseded = tuple(run for seed in sorted(seeds) for run in seeds[seed][:-1])
        configurations.append(
            Configuration(latest, superseded, table.get(latest[0].record['model']))
        )
    return configurations


def _is_finished(run: Run) -> bool:
    """Whether the run ended with an evaluation."""
    return run.record['status'] == 'finished' and run.record['final'] is not None


def _key(record: dict[str, Any]) -> str:
    """What the runs of one configuration share."""
    dataset = record['dataset']
    settings = {
        name: value for name, value in record['hyperparameters'].items() if name not in _NO_SETTINGS
    }
    return json.dumps(
        [
            record['model'],
            record['options'],
            record['engine'],
            record['backend'],
            record['precision'],
            settings,
            dataset['kind'],
            dataset['sha256'] or dataset['folder'],
        ],
        sort_keys=True,
    )


def _unfinished(run: Run) -> str:
    """What became of a run that gives no result."""
    record = run.record
    done, planned = len(record['epochs']), record['hyperparameters']['epochs']
    if record['status'] == 'finished':
        return f'seed {record["seed"]} finished without an evaluation'
    word = {'running': 'not finished'}.get(record['status'], record['status'])
    text = f'seed {record["seed"]} {word} after {done} of {planned} epochs'
    known = [row['accuracy'] for row in record['epochs'] if row['accuracy'] is not None]
    if known and record['status'] in ('running', 'interrupted'):
        text += f' ({100 * known[-1]:.1f}% then)'
    return text + (f': {record["error"]}' if record['error'] else '')


def _mean_and_spread(values: list[float]) -> tuple[float, float | None] | None:
    """Mean and sample standard deviation; no spread of a single value."""
    if not values:
        return None
    mean = math.fsum(values) / len(values)
    if len(values) == 1:
        return mean, None
    return mean, math.sqrt(math.fsum((value - mean) ** 2 for value in values) / (len(values) - 1))
