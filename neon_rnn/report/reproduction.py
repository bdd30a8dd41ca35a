"""The tables within the pages of `build.PAGES`, computed from the records.

A page holds a table between the lines ``<!-- table: NAME -->`` and ``<!-- end -->``. `filled`
replaces what is between them. The tables are about data sets from the likely published source
(`published.CLOSEST_SOURCES`), but for two: ``results`` shows the rows as the comparison table does,
``cells`` other recurrent cells on any photographs.
"""

import math
import re
import statistics
from collections.abc import Callable
from pathlib import Path
from typing import Any

from neon_rnn.report.cells import cells_table
from neon_rnn.report.choose import Choice, Configuration
from neon_rnn.report.experiments import cross_table, data_list, experiments_table
from neon_rnn.report.order import distance_table, order_table
from neon_rnn.report.pairs import engine_table, precision_table
from neon_rnn.report.rows import row_data
from neon_rnn.report.texts import (
    accuracy_text,
    cell,
    data_text,
    epochs_text,
    interval_text,
    markdown_table,
    nothing_yet,
    number,
    place,
    seconds,
    signed,
)
from neon_rnn.runs.evaluation import Z95
from neon_rnn.support.errors import NeonRnnError
from neon_rnn.support.wording import counted

#: The epoch of the column between the best and the last.
EARLY = 15
_BLOCK = re.compile(r'(<!-- table: (\S+) -->\n)(.*?)(<!-- end -->)', re.DOTALL)


def filled(text: str, path: str, choice: Choice, cross: Path) -> str:
    """Return a page with its tables replaced.

    Parameters
    ----------
    text
        The page.
    path
        Its file, named in errors.
    choice
        What `choose.choose` chose.
    cross
        The folder of evaluations on other data sets, see `experiments.cross_table`.

    Raises
    ------
    NeonRnnError
        A table has a name that is not one of `TABLES`, or no end.
    """
    if text.count('<!-- table: ') != len(_BLOCK.findall(text)):
        raise NeonRnnError(f'{path}: a table has no line <!-- end -->.')

    def lines(match: re.Match[str]) -> str:
        if match[2] == 'cross':
            return match[1] + '\n'.join([*cross_table(choice, cross), match[4]])
        if match[2] not in TABLES:
            names = ', '.join([*TABLES, 'cross'])
            raise NeonRnnError(f'{path}: there is no table {match[2]}; the tables are {names}.')
        return match[1] + '\n'.join([*TABLES[match[2]](choice), match[4]])

    return _BLOCK.sub(lines, text)


def _results(choice: Choice) -> list[str]:
    """Return the rows of the comparison table in short."""
    return markdown_table(
        '| network | published, % | ours, % | 95% interval | published time | our time | backend '
        '| trained on | epochs |',
        '|---|--:|--:|:-:|--:|--:|---|---|--:|',
        (
            [
                cell(row['row']),
                number(row['published_accuracy']),
                accuracy_text(row) or cell(row['status']),
                interval_text(row['interval']),
                seconds(row['published_seconds']),
                seconds(row['training_seconds'], row['training_seconds_spread']),
                cell(row['backend'] or ''),
                cell(data_text(row)),
                epochs_text(row),
            ]
            for row in (row_data(*pair) for pair in choice.rows)
        ),
    )


def _rows(choice: Choice) -> list[str]:
    """Return the table of published against ours."""
    lines = []
    for row, configuration in choice.closest:
        data = row_data(row, configuration)
        finished = data['accuracy'] is not None
        lines.append(
            [
                row.row,
                number(row.accuracy),
                accuracy_text(data),
                interval_text(data['interval']),
                signed(data['difference']),
                place(row.accuracy, data['interval']) if finished else '',
                str(len(data['seeds']) or ''),
                epochs_text(data) if configuration else '',
                cell(_trained_on(data)) if configuration else '',
                row.topology,
                cell(data['detail'] or ('' if finished else data['status'])),
            ]
        )
    return markdown_table(
        '| network | published | ours | 95% interval | difference | published is | seeds | epochs '
        '| data | topology | note |',
        '|---|--:|--:|:-:|--:|---|--:|--:|---|---|---|',
        lines,
    )


def _trained_on(data: dict[str, Any]) -> str:
    """Return data set, size of the images, and a precision other than float32."""
    enlarged = f' ({data["source_size"]} enlarged)' if data['enlarged'] else ''
    precision = '' if data['precision'] == 'float32' else f', {data["precision"]}'
    return f'{data["dataset"]}, {data["image_size"]}{enlarged}{precision}'


def _findings(choice: Choice) -> list[str]:
    """Return what the intervals and the majority baseline allow to say, in sentences."""
    finished = choice.closest_finished
    if not finished:
        return ['- No network has a finished run on this data yet.']
    places: dict[str, list[str]] = {'below': [], 'within': [], 'above': []}
    minority = []
    for row, each in finished:
        places[place(row.accuracy, each.figures.interval or [0, 100])].append(row.row)
        if row.accuracy < (each.figures.majority or 0):
            minority.append(row.row)
    missing = [row.row for row, each in choice.closest if not each or not each.finished]
    lines = [f'- {counted(len(finished), "network")} of eleven finished on this data.']
    lines += [f'- Not finished: {", ".join(missing)}.'] if missing else []
    lines += [
        f'- The published accuracy lies {place} our 95% interval: {", ".join(names)}.'
        for place, names in places.items()
        if names
    ]
    for name, values in (
        ('accuracy', [each.figures.accuracy for _, each in finished]),
        ('balanced accuracy', [each.figures.balanced_accuracy for _, each in finished]),
    ):
        apart = [
            abs((value or 0) - row.accuracy)
            for value, (row, _) in zip(values, finished, strict=True)
        ]
        lines.append(
            f'- Mean distance of our {name} from the published accuracy: '
            f'{number(statistics.fmean(apart))} points.'
        )
    majority = finished[0][1].figures.majority
    if minority:
        lines.append(
            f'- Published below the majority baseline of our test images ({number(majority)}%): '
            f'{", ".join(minority)}.'
        )
    return lines


def _curves(choice: Choice) -> list[str]:
    """Return the table of the accuracy by epoch: best, early, last."""
    lines = []
    for row, configuration in choice.closest_finished:
        curve = _mean_curve(configuration, 'accuracy')
        cost = _mean_curve(configuration, 'cost')
        best = max(curve, key=lambda epoch: (curve[epoch], -epoch))
        last = max(curve)
        lines.append(
            [
                row.row,
                f'{100 * curve[best]:.1f} (epoch {best})',
                f'{100 * curve[EARLY]:.1f}' if EARLY in curve else '',
                f'{100 * curve[last]:.1f} (epoch {last})',
                signed(100 * (curve[last] - curve[best])),
                f'{cost[EARLY]:.3f}' if EARLY in cost else '',
                f'{cost[max(cost)]:.3f}',
            ]
        )
    return nothing_yet(
        lines,
        f'| network | best | epoch {EARLY} | last | last − best | training cost, epoch {EARLY} '
        '| last |',
        '|---|--:|--:|--:|--:|--:|--:|',
    )


def _mean_curve(configuration: Configuration, key: str) -> dict[int, float]:
    """Return epoch -> mean over the seeds, of the epochs for which every seed has the figure."""
    runs = [
        {row['epoch']: row[key] for row in run.record['epochs'] if row[key] is not None}
        for run in configuration.finished
    ]
    epochs = set(runs[0]).intersection(*runs[1:])
    return {epoch: math.fsum(run[epoch] for run in runs) / len(runs) for epoch in sorted(epochs)}


def _classes(choice: Choice) -> list[str]:
    """Return the table of the accuracy of each class and the balanced accuracy."""
    lines = []
    for row, configuration in choice.closest_finished:
        figures = configuration.figures
        classes = [f'{cell(name)} {number(value)}' for name, value in figures.per_class.items()]
        balanced, half = figures.balanced_accuracy, _balanced_half_width(configuration)
        lines.append(
            [
                row.row,
                number(row.accuracy),
                number(figures.accuracy),
                number(figures.majority),
                ', '.join(classes),
                '' if balanced is None else f'{balanced:.1f} ± {half:.1f}',
            ]
        )
    return nothing_yet(
        lines,
        '| network | published | ours | majority | accuracy of each class | balanced accuracy |',
        '|---|--:|--:|--:|---|--:|',
    )


def _balanced_half_width(configuration: Configuration) -> float:
    """Return half of the 95% interval of the balanced accuracy (normal approximation)."""
    matrix = configuration.figures.confusion or []
    seeds = len(configuration.finished)
    shares = [(row[index] / sum(row), sum(row)) for index, row in enumerate(matrix) if sum(row)]
    variance = sum(share * (1 - share) / (total / seeds) for share, total in shares)
    return 100 * Z95 * math.sqrt(variance) / max(len(shares), 1)


TABLES: dict[str, Callable[[Choice], list[str]]] = {
    'results': _results,
    'data': data_list,
    'rows': _rows,
    'findings': _findings,
    'order': order_table,
    'curves': _curves,
    'classes': _classes,
    'experiments': experiments_table,
    'distance': distance_table,
    'engines': engine_table,
    'precision': precision_table,
    'cells': cells_table,
}
