"""The comparison table as JSON, CSV and Markdown: the eleven published rows, always, in order."""

import csv
import dataclasses
import io
import json
from collections.abc import Iterable, Sequence
from typing import Any

from neon_rnn.report.choose import RULES, Choice
from neon_rnn.report.rows import Row, row_data
from neon_rnn.report.texts import (
    accuracy_text,
    cell,
    data_text,
    engine_text,
    epochs_text,
    interval_text,
    markdown_table,
    number,
    projection,
    record_link,
    seconds,
    signed,
)

#: Version of the layout of table.json.
SCHEMA = 1
#: So many further configurations and so many records left out are listed; table.json has all.
LISTED = 40
#: So many records of one configuration are linked; table.json has all.
LINKED = 10

INTRODUCTION = (
    'Published: lecture of 2018, Intel neon 2.6.0 on an NVIDIA Tesla K40s. Accuracies are in per '
    'cent of the test images; `±` is the standard deviation over seeds. Accuracies in parentheses '
    'come from synthetic data and cannot be compared with the published ones.'
)


def table_data(choice: Choice) -> dict[str, Any]:
    """Return all that the table says, as plain data: the content of table.json.

    Floats are rounded to six decimals, so that they are the same on every machine.
    """
    collection = choice.collection
    superseded = [
        (old.folder, f'seed {old.record["seed"]} of the same configuration was run again')
        for configuration in choice.everything
        for old in configuration.superseded
    ]
    return {
        'schema': SCHEMA,
        'rows': [row_data(row, configuration) for row, configuration in choice.rows],
        'beside': [row_data(None, configuration) for configuration in choice.beside],
        'others': [row_data(configuration.row, configuration) for configuration in choice.others],
        'rules': list(RULES),
        'left_out': [
            {'folder': folder, 'reason': reason}
            for folder, reason in collection.unreadable + collection.duplicates + sorted(superseded)
        ],
    }


def to_json(data: dict[str, Any]) -> str:
    """Return table.json."""
    return json.dumps(data, indent=1, sort_keys=True, ensure_ascii=False, allow_nan=False) + '\n'


def to_csv(data: dict[str, Any]) -> str:
    """Return table.csv: the eleven rows, then those beside them, with the columns of table.json."""
    text = io.StringIO()
    columns = [field.name for field in dataclasses.fields(Row) if field.name != 'detail']
    writer = csv.DictWriter(text, columns, extrasaction='ignore', lineterminator='\n')
    writer.writeheader()
    for row in data['rows'] + data['beside']:
        writer.writerow(
            {
                key: ' '.join(map(str, value)) if isinstance(value, list) else value
                for key, value in row.items()
            }
        )
    return text.getvalue()


def to_markdown(data: dict[str, Any], runs: str) -> str:
    """Return TABLE.md.

    Parameters
    ----------
    data
        What `table_data` returns.
    runs
        The path from TABLE.md to the folder of runs, for the links.
    """
    lines = [
        '# Published and reproduced',
        '',
        f'`./run.sh table` makes this page from the run records; do not edit it. {INTRODUCTION}',
        '',
        '## Accuracy',
        '',
        *_accuracy_table(data['rows'], runs),
        '',
        '## Time and origin',
        '',
        *_time_table(data['rows'], runs),
    ]
    for title, text, rows in (
        ('Beside the eleven', 'Networks that were not published.', data['beside']),
        (
            'Further configurations',
            'Trained, but not shown above by the rules below.',
            data['others'],
        ),
    ):
        if rows:
            listed = rows[:LISTED]
            lines += ['', f'## {title}', '', text, '', *_accuracy_table(listed, runs)]
            lines += ['', *_time_table(listed, runs), *_rest(rows)]
    if data['left_out']:
        lines += ['', '## Records left out', '']
        lines += markdown_table(
            '| folder | why |', '|---|---|', _left_out(data['left_out'][:LISTED])
        )
        lines += _rest(data['left_out'])
    lines += ['', '## How a row is chosen', '']
    lines += [f'{number}. {rule}' for number, rule in enumerate(data['rules'], 1)]
    return '\n'.join(lines) + '\n'


def _left_out(found: Sequence[dict[str, str]]) -> Iterable[list[str]]:
    return ([cell(each['folder']), cell(each['reason'])] for each in found)


def _rest(rows: Sequence[Any]) -> list[str]:
    """Return the lines that say how many rows are not listed."""
    return ['', f'{len(rows) - LISTED} more are in table.json.'] if len(rows) > LISTED else []


def _accuracy_table(rows: Sequence[dict[str, Any]], runs: str) -> list[str]:
    return markdown_table(
        '| row | published | ours | seeds | test images | 95% interval | majority | balanced '
        '| difference | status | records |',
        '|---|--:|--:|--:|--:|:-:|--:|--:|--:|---|---|',
        (
            [
                cell(row['row']),
                number(row['published_accuracy']),
                accuracy_text(row),
                str(len(row['seeds']) or ''),
                str(row['test_images'] or ''),
                interval_text(row['interval']),
                number(row['majority']),
                number(row['balanced_accuracy']),
                signed(row['difference']),
                cell(row['status']),
                _links(row, runs),
            ]
            for row in rows
        ),
    )


def _time_table(rows: Sequence[dict[str, Any]], runs: str) -> list[str]:
    return markdown_table(
        '| row | published | ours | an epoch | projected | epochs | engine | data | records |',
        '|---|--:|--:|--:|--:|--:|---|---|---|',
        (
            [
                cell(row['row']),
                seconds(row['published_seconds']),
                seconds(row['training_seconds'], row['training_seconds_spread']),
                seconds(row['seconds_per_epoch']),
                seconds(projection(row)),
                epochs_text(row),
                cell(engine_text(row)),
                cell(data_text(row)),
                _links(row, runs),
            ]
            for row in rows
        ),
    )


def _links(row: dict[str, Any], runs: str) -> str:
    """Return a numbered link to each record of a row."""
    linked = row['runs'][:LINKED]
    rest = len(row['runs']) - len(linked)
    links = [f'[{place}]({record_link(runs, name)})' for place, name in enumerate(linked, 1)]
    return ' '.join(links + ([f'and {rest} more'] if rest else []))
