"""Tables of experiments: other data, filters and settings, and evaluations on other data sets."""

import os
from pathlib import Path
from typing import Any

from neon_rnn.report.choose import Choice, Configuration
from neon_rnn.report.rows import row_data
from neon_rnn.report.texts import (
    accuracy_text,
    backend_text,
    cell,
    interval_text,
    nothing_yet,
    number,
    place,
    signed,
)
from neon_rnn.runs.evaluation import wilson_interval
from neon_rnn.support.errors import NeonRnnError
from neon_rnn.support.files import read_json
from neon_rnn.support.wording import printable


def experiments_table(choice: Choice) -> list[str]:
    """Return the table of networks trained in several ways on the likely published data."""
    groups: dict[str, list[Configuration]] = {}
    for each in choice.finished_close:
        groups.setdefault(each.name, []).append(each)
    lines = []
    for configurations in groups.values():
        described = sorted((_way(each), each) for each in configurations)
        for way, each in described if len(described) > 1 else ():
            data = row_data(each.row, each)
            lines.append(
                [
                    *map(cell, (each.name, *way[:-1])),
                    accuracy_text(data),
                    interval_text(data['interval']),
                    number(data['majority']),
                    number(data['balanced_accuracy']),
                    signed(data['difference']),
                    place(data['published_accuracy'], data['interval']),
                ]
            )
    return nothing_yet(
        lines,
        '| network | data set | images | pre-processing | training images | epochs | engine '
        '| ours | 95% interval | majority | balanced | difference | published is |',
        '|---|---|---|---|--:|--:|---|--:|:-:|--:|--:|--:|---|',
    )


def _way(configuration: Configuration) -> tuple[str, ...]:
    """Return the columns that distinguish experiments, and the folder of the first run."""
    record, data = configuration.first, row_data(configuration.row, configuration)
    dataset = record['dataset']
    found = dataset.get('preprocessing') or {}
    parts = [f'{key} {found[key]}' for key in ('centre', 'fit') if key in found]
    return (
        dataset['name'],
        data['image_size'] + (f' from {data["source_size"]}' if data['enlarged'] else ''),
        printable(', '.join(parts)),
        str(sum(dataset['counts']['train'].values())),
        str(data['epochs']),
        f'{data["engine"]} {backend_text(data)}',
        configuration.runs[0].folder,
    )


def data_list(choice: Choice) -> list[str]:
    """Return a line on each likely published data set: its counts, split and filters."""
    found: dict[str, dict[str, Any]] = {}
    for each in choice.finished_close:
        found.setdefault(each.first['dataset']['name'], each.first['dataset'])
    return [_described(found[name]) for name in sorted(found)] or ['No such runs yet.']


def _described(dataset: dict[str, Any]) -> str:
    counts = [
        f'{part} ' + ', '.join(f'{count:,} {name}' for name, count in sorted(classes.items()))
        for part, classes in sorted(dataset['counts'].items())
    ]
    filters = [each for each in dataset.get('filters') or () if isinstance(each, dict)]
    dropped = [f'{each.get("reason")} {each["dropped"]:,}' for each in filters if _count(each)]
    parts = [
        f'{"x".join(map(str, dataset["shape"][1:]))} pixels',
        *counts,
        f'split: {dataset["split"]}' if dataset.get('split') else '',
        'dropped: ' + ', '.join(dropped) if dropped else '',
    ]
    text = '; '.join(part for part in parts if part)
    return f'- {cell(dataset["name"])}: {cell(printable(text, 1000))}.'


def _count(entry: dict[str, Any]) -> bool:
    """Return True for a filter that dropped photographs."""
    return type(entry.get('dropped')) is int and entry['dropped'] > 0


def cross_table(choice: Choice, folder: Path) -> list[str]:
    """Return the table of evaluations on data sets that the networks were not trained on.

    Parameters
    ----------
    choice
    folder
        Holds files of ``evaluate --json``, named ``*.json``; it may be missing.
    """
    records = {run.record['run_id']: run.record for run in choice.collection.runs}
    lines, notes = [], []
    for path in sorted(folder.glob('*.json')) if folder.is_dir() else ():
        try:
            lines.append(_cross(read_json(path), records))
        except NeonRnnError as error:
            notes.append(f'- left out: {cell(printable(str(error).replace(str(path), path.name)))}')
        except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
            notes.append(f'- left out: {cell(path.name)}: {cell(printable(repr(error)))}')
    table = nothing_yet(
        sorted(lines),
        '| network | trained on | tested on | images | ours | 95% interval | majority | balanced '
        '| on its own test images |',
        '|---|---|---|--:|--:|:-:|--:|--:|--:|',
    )
    return table + ([''] + notes if notes else [])


def _cross(found: dict[str, Any], records: dict[str, dict[str, Any]]) -> list[str]:
    """Return the line of one evaluation."""
    record = records.get(found['run_id'])
    correct, count = found['correct'], found['count']
    shares = [row[index] / sum(row) for index, row in enumerate(found['confusion']) if sum(row)]
    own = record['final'] if record else None
    return [
        cell(printable((record['row'] or record['model']) if record else found['run_id'])),
        cell(record['dataset']['name']) if record else 'record not here',
        cell(printable(os.path.basename(found['data']))),
        str(count),
        number(100 * correct / count),
        interval_text([100 * bound for bound in wilson_interval(correct, count)]),
        number(100 * found['majority']),
        number(100 * sum(shares) / len(shares)),
        number(100 * own['accuracy']) if own else '',
    ]
