"""Tables of pairs of runs that differ in one thing: the precision, or the engine."""

import itertools
import json
import math
from collections.abc import Iterator
from typing import NamedTuple

from neon_rnn.report.choose import Choice
from neon_rnn.report.collect import Run
from neon_rnn.report.texts import backend_text, cell, nothing_yet, number, signed
from neon_rnn.runs import identity
from neon_rnn.runs.evaluation import Z95


def precision_table(choice: Choice) -> list[str]:
    """Return the table of runs in float32 beside the same runs in bfloat16."""
    lines = []
    for runs in _alike(choice, 'precision'):
        first = {run.record['precision']: run for _, run in reversed(runs)}
        if 'float32' in first and 'bf16' in first:
            found = _compared(runs[0][0], first['float32'], first['bf16'])
            if found:
                lines.append([*found.runs, found.one, found.other, *found.difference])
    return nothing_yet(
        lines,
        '| network | data set | seed | epoch | float32 | bf16 | difference | its 95% interval |',
        '|---|---|--:|--:|--:|--:|--:|:-:|',
    )


def engine_table(choice: Choice) -> list[str]:
    """Return the table of runs of Intel neon beside the same runs of the torch engine."""
    lines = []
    for runs in _alike(choice, 'engine', 'backend', 'precision'):
        of_neon, of_torch = (
            [(name, run) for name, run in runs if run.record['engine'] == engine]
            for engine in ('neon', 'torch')
        )
        for (name, one), (_, other) in itertools.product(of_neon, of_torch):
            found = _compared(name, one, other)
            if found:
                first, second = (cell(backend_text(run.record)) for run in (one, other))
                lines.append(
                    [*found.runs, first, found.one, second, found.other, *found.difference]
                )
    return nothing_yet(
        lines,
        '| network | data set | seed | epoch | neon on | neon | torch on | torch | difference '
        '| its 95% interval |',
        '|---|---|--:|--:|---|--:|---|--:|--:|:-:|',
    )


def _alike(choice: Choice, *fields: str) -> Iterator[list[tuple[str, Run]]]:
    """Iterate over the groups of finished runs that differ in these fields and epochs only.

    A run comes with the name of its network.
    """
    groups: dict[str, list[tuple[str, Run]]] = {}
    for each in choice.finished_close:
        for run in each.finished:
            record = run.record
            settings = dict(record['hyperparameters'], epochs=None)
            same = dict(record, hyperparameters=settings, **dict.fromkeys(fields))
            key = json.dumps([identity.configuration(same), record['seed']])
            groups.setdefault(key, []).append((each.name, run))
    yield from groups.values()


class _Compared(NamedTuple):
    """Cells of a pair: what both are and their epoch; each accuracy; difference and interval."""

    runs: list[str]
    one: str
    other: str
    difference: list[str]


def _compared(name: str, one: Run, other: Run) -> _Compared | None:
    """Compare two runs at the last epoch that both evaluated; None if there is none."""
    first, second = _curve(one), _curve(other)
    epochs = first.keys() & second.keys()
    if not epochs:
        return None
    epoch = max(epochs)
    a, b = first[epoch], second[epoch]
    count = one.record['final']['count']
    # Both networks saw the same test images, so this interval is wider than a paired one.
    half = 100 * Z95 * math.sqrt((a * (1 - a) + b * (1 - b)) / count)
    apart = 100 * (b - a)
    return _Compared(
        [cell(name), cell(one.record['dataset']['name']), str(one.record['seed']), str(epoch)],
        number(100 * a),
        number(100 * b),
        [signed(apart), f'{signed(apart - half)} to {signed(apart + half)}'],
    )


def _curve(run: Run) -> dict[int, float]:
    """Return epoch -> accuracy of the epochs that were evaluated."""
    rows = run.record['epochs']
    return {row['epoch']: row['accuracy'] for row in rows if row['accuracy'] is not None}
