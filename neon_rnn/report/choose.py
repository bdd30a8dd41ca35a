"""Choose the runs that each row of the table shows, by stated rules."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from neon_rnn import published
from neon_rnn.published import Published
from neon_rnn.report.collect import Collection, Run
from neon_rnn.report.figures import Figures, figures
from neon_rnn.runs import identity

#: The rules as the table and the page print them.
RULES = (
    'Runs that differ only in the seed form one configuration: the same network and options, '
    'engine, backend, precision, hyperparameters and data set. If a seed was run several times, '
    'the latest finished run counts, or the latest run if none has finished.',
    'A row shows one configuration. Finished ones come before unfinished ones. Then the data set '
    'decides: IMDB-WIKI, the likely source of the published data, then other photographs, then '
    'synthetic data. Then, in this order: the complete published protocol before any other; more '
    'epochs; more finished seeds; the data set on which more networks were trained; more '
    'test images; engine neon before torch; the latest start.',
    'Accuracy and time are means over the finished seeds, and the spread is the sample standard '
    'deviation. The 95% interval is the Wilson interval of the mean accuracy for the number of '
    'test images. It does not include the spread over seeds. Majority is the accuracy of always '
    'naming '
    'the most frequent class. Balanced is the mean of the accuracies of the classes.',
    'The difference to the published accuracy is given on photographs only. The published data set '
    'and split are not known, so even a complete protocol compares different test images.',
    'Time counts training without evaluation and checkpoints. Other work may have shared the '
    'machine (docs/performance.md measures speed). The time of an epoch is the median. The '
    'projection is that time multiplied by the published number of epochs, on the data set of the '
    'run. It is not an estimate for the published data set, whose size is not known.',
)

COMPLETE, SHORTENED, OTHER_DATA, UNFINISHED = 'complete', 'shortened', 'other data', 'unfinished'
_ORDER = (COMPLETE, SHORTENED, OTHER_DATA, UNFINISHED)
#: So many networks that were not published are shown.
BESIDE = 16
#: So many reasons are named of one configuration.
_REASONS = 12


@dataclass(frozen=True)
class Configuration:
    """The runs of one configuration.

    Attributes
    ----------
    runs
        One run a seed, in the order of the seeds.
    superseded
        Runs whose seed a later run repeated.
    row
        The published row of the network, if it has one.
    """

    runs: tuple[Run, ...]
    superseded: tuple[Run, ...]
    row: Published | None

    @cached_property
    def finished(self) -> tuple[Run, ...]:
        """The runs that ended with an evaluation."""
        return tuple(run for run in self.runs if _is_finished(run))

    @property
    def first(self) -> dict[str, Any]:
        """A record that stands for what all of them share."""
        return (self.finished or self.runs)[0].record

    @cached_property
    def variant(self) -> str:
        """How the options modify the published network; empty if they do not."""
        return published.variant(self.first['options'])

    @property
    def name(self) -> str:
        """Name of the row, or of the model; with the variant."""
        name = self.row.row if self.row else self.first['model']
        return f'{name} ({self.variant})' if self.variant else name

    @property
    def is_own(self) -> bool:
        """True if the user trained it, and it stands beside the runs of others."""
        return any(run.own for run in self.runs)

    @property
    def is_row(self) -> bool:
        """True if this is the network of one of the published rows."""
        return self.row is not None and not self.variant

    @property
    def is_close(self) -> bool:
        """True if the data come from the likely source of the published data."""
        return published.closeness(self.first['dataset']) == 0

    @cached_property
    def figures(self) -> Figures:
        """The results over the seeds."""
        return figures(self.finished, self.runs)

    @cached_property
    def reasons(self) -> tuple[str, ...]:
        """Differences from the published protocol.

        They are worked out again from the figures. Those that the record names are added.
        """
        reasons = [reason for run in self.finished or self.runs for reason in _reasons(run)]
        return _bounded(tuple(dict.fromkeys(reasons)))

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
        """Shortfalls: of the protocol, of what is known of the network, of runs without result."""
        parts = [', '.join(self.reasons)] if self.finished else []
        if self.state == COMPLETE:
            topology = self.row.topology if self.row else 'published'
            parts = [] if topology in ('published', 'standard') else [f'{topology} network']
        failed = [_unfinished(run) for run in self.runs if not _is_finished(run)]
        return '; '.join([*parts, *_bounded(failed)])

    @property
    def status(self) -> str:
        """The state in words, with the shortfalls."""
        word = {
            COMPLETE: 'complete protocol',
            OTHER_DATA: 'not comparable',
            SHORTENED: 'not the published protocol' if self.is_row else '',
        }.get(self.state, '')
        return ': '.join(part for part in (word, self.detail) if part)

    @property
    def difference(self) -> float | None:
        """Mean accuracy minus the published one, in percentage points; on photographs only."""
        accuracy = self.figures.accuracy
        if self.row is None or not self.is_row or accuracy is None or self.state == OTHER_DATA:
            return None
        return accuracy - self.row.accuracy

    @property
    def projected_seconds(self) -> float | None:
        """Time of the published number of epochs at this speed, on this data set."""
        seconds = self.figures.seconds_per_epoch
        if seconds is None or self.row is None or not self.is_row:
            return None
        return seconds * self.row.epochs


@dataclass(frozen=True)
class Choice:
    """The configurations that the report shows.

    Attributes
    ----------
    rows
        Each published row with its configuration, None if it has not been run.
    beside
        Networks that were not published, one configuration each; at most `BESIDE`.
    others
        Every configuration that is not shown above, the user's own first.
    collection
        The records, and those that could not be used.
    """

    rows: list[tuple[Published, Configuration | None]]
    beside: list[Configuration]
    others: list[Configuration]
    collection: Collection

    @property
    def shown(self) -> list[Configuration]:
        """The configurations in the table and beside it."""
        return [configuration for _, configuration in self.rows if configuration] + self.beside

    @property
    def everything(self) -> list[Configuration]:
        """All configurations: those that are shown, then the others."""
        return [*self.shown, *self.others]

    @property
    def finished_close(self) -> list[Configuration]:
        """The finished rows on the likely published data, in the order of `everything`."""
        return [each for each in self.everything if each.finished and each.is_row and each.is_close]

    @cached_property
    def closest(self) -> list[tuple[Published, Configuration | None]]:
        """Each published row with its configuration on the likely published data, if any."""
        found: dict[str, Configuration] = {}
        for each in self.everything:
            if each.row and each.is_row and each.is_close:
                found.setdefault(each.row.name, each)
        return [(row, found.get(row.name)) for row, _ in self.rows]

    @property
    def closest_finished(self) -> list[tuple[Published, Configuration]]:
        """Those of `closest` with a finished run."""
        return [(row, each) for row, each in self.closest if each and each.finished]


def choose(collection: Collection) -> Choice:
    """Choose the configuration of each row, by `RULES`."""
    table = published.rows()
    configurations = _sorted(_configurations(collection.runs, table))
    best: dict[tuple[bool, str], Configuration] = {}
    for each in configurations:
        best.setdefault((each.is_row, each.name), each)
    rows = [(row, best.pop((True, row.row), None)) for row in table.values()]
    beside = [best[key] for key in sorted(best)][:BESIDE]
    shown = {id(each) for _, each in rows} | {id(each) for each in beside}
    places = {name: place for place, name in enumerate(table)}
    others = sorted(
        (each for each in configurations if id(each) not in shown),
        key=lambda each: (
            not each.is_own,
            places.get(each.first['model'], len(places)),
            each.name,
        ),
    )
    return Choice(rows, beside, others, collection)


def _configurations(runs: Iterable[Run], table: dict[str, Published]) -> list[Configuration]:
    """Group the runs that differ only in the seed; one run a seed."""
    groups: dict[str, dict[int, list[Run]]] = {}
    for run in sorted(runs, key=lambda run: (_is_finished(run), run.record['started'], run.folder)):
        seeds = groups.setdefault(identity.configuration(run.record), {})
        seeds.setdefault(run.record['seed'], []).append(run)
    return [
        Configuration(
            runs=tuple(seeds[seed][-1] for seed in sorted(seeds)),
            superseded=tuple(run for seed in sorted(seeds) for run in seeds[seed][:-1]),
            row=table.get(next(iter(seeds.values()))[0].record['model']),
        )
        for seeds in groups.values()
    ]


def _sorted(configurations: list[Configuration]) -> list[Configuration]:
    """Sort by `RULES`, the configuration to show first."""
    trained: dict[str, set[str]] = {}
    for each in configurations:
        if each.finished:
            trained.setdefault(_data(each), set()).add(each.name)

    def preference(each: Configuration) -> tuple[Any, ...]:
        return (
            not each.finished,
            published.closeness(each.first['dataset']),
            _ORDER.index(each.state),
            -each.figures.epochs,
            -len(each.finished),
            -len(trained.get(_data(each), ())),
            -(each.figures.test_images or 0),
            each.first['engine'],
        )

    by_folder = sorted(configurations, key=lambda each: each.runs[0].folder)
    by_start = sorted(
        by_folder, key=lambda each: max(run.record['started'] for run in each.runs), reverse=True
    )
    return sorted(by_start, key=preference)


def _data(configuration: Configuration) -> str:
    """Return what identifies the data set."""
    dataset = configuration.first['dataset']
    return json.dumps(dataset['sha256'] or dataset['folder'], sort_keys=True)


def _is_finished(run: Run) -> bool:
    """Return True if the run ended with an evaluation."""
    return run.record['status'] == 'finished' and run.record['final'] is not None


def _reasons(run: Run) -> list[str]:
    """Return the differences of one run from the published protocol."""
    record = run.record
    recorded, planned = len(record['epochs']), record['hyperparameters']['epochs']
    said = record['protocol']['reasons']
    found = published.protocol(
        record['model'], record['hyperparameters'], record['dataset'], record['options']
    )['reasons']
    if _is_finished(run) and recorded != planned:
        found.append(f'{recorded} of {planned} epochs recorded')
    if not record['protocol']['complete'] and not said and not found:
        found.append('marked incomplete by the training')
    return found + said


def _unfinished(run: Run) -> str:
    """Describe a run that gives no result."""
    record = run.record
    done, planned = len(record['epochs']), record['hyperparameters']['epochs']
    if record['status'] == 'finished':
        return f'seed {record["seed"]} finished without an evaluation'
    word = 'not finished' if record['status'] == 'running' else record['status']
    text = f'seed {record["seed"]} {word} after {done} of {planned} epochs'
    known = [row['accuracy'] for row in record['epochs'] if row['accuracy'] is not None]
    if known and record['status'] in ('running', 'interrupted'):
        text += f' ({100 * known[-1]:.1f}% then)'
    return text + (f': {record["error"]}' if record['error'] else '')


def _bounded(parts: Sequence[str]) -> tuple[str, ...]:
    """Return the first parts, and the number of the rest."""
    rest = len(parts) - _REASONS
    return tuple(parts[:_REASONS]) + ((f'and {rest} more',) if rest > 0 else ())
