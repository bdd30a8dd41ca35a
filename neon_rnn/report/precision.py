"""The table of bfloat16 against float32: accuracies after the same number of epochs."""

import json
import math

from neon_rnn.report.choose import Choice, Configuration
from neon_rnn.report.collect import Run
from neon_rnn.report.texts import cell, nothing_yet, number, signed
from neon_rnn.runs import identity
from neon_rnn.runs.evaluation import Z95


def precision_table(choice: Choice) -> list[str]:
    """Return the table of runs in float32 beside the same runs in bfloat16.

    Two runs are compared if they differ in the precision and the number of epochs only. Both
    accuracies are those of the last epoch that both evaluated.
    """
    pairs: dict[str, dict[str, tuple[Configuration, Run]]] = {}
    for each in choice.finished_close:
        for run in each.finished:
            pair = pairs.setdefault(_without_precision(run), {})
            pair.setdefault(run.record['precision'], (each, run))
    lines = []
    for pair in pairs.values():
        if 'float32' in pair and 'bf16' in pair:
            lines += _line(*pair['float32'], pair['bf16'][1])
    return nothing_yet(
        lines,
        '| network | data set | seed | epoch | float32 | bf16 | difference | its 95% interval |',
        '|---|---|--:|--:|--:|--:|--:|:-:|',
    )


def _without_precision(run: Run) -> str:
    """Return the configuration and the seed of a run, without precision and number of epochs."""
    record = run.record
    settings = dict(record['hyperparameters'], epochs=None)
    same = dict(record, precision=None, hyperparameters=settings)
    return json.dumps([identity.configuration(same), record['seed']])


def _line(configuration: Configuration, one: Run, other: Run) -> list[list[str]]:
    """Return the line of a pair, or none if no epoch was evaluated in both."""
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
            cell(configuration.name),
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
