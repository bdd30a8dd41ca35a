"""Tables of pairs of runs that differ in one thing: the precision, or the engine."""

import json
import math
from collections.abc import Iterator

from neon_rnn.report.choose import Choice
from neon_rnn.report.collect import Run
from neon_rnn.report.texts import cell, nothing_yet, number, signed
from neon_rnn.runs import identity
from neon_rnn.runs.evaluation import Z95


def precision_table(choice: Choice) -> list[str]:
    """Return the table of runs in float32 beside the same runs in bfloat16."""
    lines = []
    for runs in _alike(choice, 'precision'):
        first = {run.record['precision']: run for _, run in reversed(runs)}
        if 'float32' in first and 'bf16' in first:
            lines += _line(runs[0][0], first['float32'], first['bf16'])
    return nothing_yet(
        lines,
        '| network | data set | seed | epoch | float32 | bf16 | difference | its 95% interval |',
        '|---|---|--:|--:|--:|--:|--:|:-:|',
    )


def engine_table(choice: Choice) -> list[str]:
    """Return the table of runs of Intel neon beside the same runs of the torch engine."""
    lines = []
    for runs in _alike(choice, 'engine', 'backend', 'precision'):
        for name, one in runs:
            for _, other in runs:
                if one.record['engine'] == 'neon' and other.record['engine'] == 'torch':
                    lines += [
                        [*line[:4], _backend(one), line[4], _backend(other), *line[5:]]
                        for line in _line(name, one, other)
                    ]
    return nothing_yet(
        lines,
        '| network | data set | seed | epoch | neon on | neon | torch on | torch | difference '
        '| its 95% interval |',
        '|---|---|--:|--:|---|--:|---|--:|--:|:-:|',
    )


def _backend(run: Run) -> str:
    return cell(f'{run.record["backend"]}, {run.record["precision"]}')


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


def _line(name: str, one: Run, other: Run) -> list[list[str]]:
    """Return the line of a pair, or none if no epoch was evaluated in both.

    Both accuracies are those of the last epoch that both evaluated.
    """
    first, second = _curve(one), _curve(other)
    epochs = first.keys() & second.keys()
    if not epochs:
        return []
    epoch = max(epochs)
    a, b = first[epoch], second[epoch]
    count = one.record['final']['count']
    # Both networks saw the same test images, so this interval is wider than a paired one.
    half = 100 * Z95 * math.sqrt((a * (1 - a) + b * (1 - b)) / count)
    apart = 100 * (b - a)
    return [
        [
            cell(name),
            cell(one.record['dataset']['name']),
            str(one.record['seed']),
            str(epoch),
            number(100 * a),
            number(100 * b),
            signed(apart),
            f'{signed(apart - half)} to {signed(apart + half)}',
        ]
    ]


def _curve(run: Run) -> dict[int, float]:
    """Return epoch -> accuracy of the epochs that were evaluated."""
    rows = run.record['epochs']
    return {row['epoch']: row['accuracy'] for row in rows if row['accuracy'] is not None}
