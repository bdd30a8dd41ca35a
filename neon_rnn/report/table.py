"""The comparison table as JSON, CSV and Markdown: the eleven published rows, always, in order."""

import csv
import dataclasses
import io
import json
from collections.abc import Iterable, Sequence
from typing import Any
from urllib.parse import quote

from neon_rnn.published import Published
from neon_rnn.report.choose import OTHER_DATA, RULES, Choice, Configuration
from neon_rnn.support.wording import counted

#: Version of the layout of table.json.
SCHEMA = 1
NOT_RUN = 'not run'
#: So many further configurations and so many records left out are listed; table.json has all.
LISTED = 40
#: So many records of one configuration are linked; table.json has all.
LINKED = 10

INTRODUCTION = (
    'Published: lecture of 2018, Intel neon 2.6.0 on an NVIDIA Tesla K40s. Accuracies are in per '
    'cent of the test images; `±` is the standard deviation over seeds. Accuracies in parentheses '
    'come from synthetic data and cannot be compared with the published ones.'
)


@dataclasses.dataclass
class Row:
    """One row of the table; the fields are the columns of table.csv and the keys of table.json.

    Accuracies are in per cent, times in seconds. None: there is nothing to say.
    """

    name: str | None = None
    row: str | None = None
    published_accuracy: float | None = None
    published_seconds: float | None = None
    published_epochs: int | None = None
    kind: str | None = None
    topology: str | None = None
    state: str = NOT_RUN
    status: str = NOT_RUN
    detail: str = ''
    accuracy: float | None = None
    spread: float | None = None
    seeds: list[int] = dataclasses.field(default_factory=list)
    interval: list[float] | None = None
    test_images: int | None = None
    majority: float | None = None
    difference: float | None = None
    training_seconds: float | None = None
    training_seconds_spread: float | None = None
    seconds_per_epoch: float | None = None
    projected_seconds: float | None = None
    epochs: int | None = None
    planned_epochs: int | None = None
    engine: str | None = None
    backend: str | None = None
    threads: int | None = None
    precision: str | None = None
    dataset: str | None = None
    dataset_kind: str | None = None
    parameters: int | None = None
    runs: list[str] = dataclasses.field(default_factory=list)
    balanced_accuracy: float | None = None
    dataset_source: str | None = None
    image_size: str | None = None
    source_size: str | None = None
    enlarged: bool | None = None


def table_data(choice: Choice) -> dict[str, Any]:
    """Return all that the table says, as plain data: the content of table.json.

    Floats are rounded to six decimals, so that they are the same on every machine.
    """
    collection = choice.collection
    superseded = [
        (old.folder, f'seed {old.record["seed"]} of the same configuration was run again')
        for configuration in choice.shown + choice.others
        for old in configuration.superseded
    ]
    return {
        'schema': SCHEMA,
        'rows': [_row(row, configuration) for row, configuration in choice.rows],
        'beside': [_row(None, configuration) for configuration in choice.beside],
        'others': [_row(configuration.row, configuration) for configuration in choice.others],
        'rules': list(RULES),
        'left_out': [
            {'folder': folder, 'reason': reason}
            for folder, reason in collection.unreadable + collection.duplicates + sorted(superseded)
        ],
    }


def _row(published: Published | None, configuration: Configuration | None) -> dict[str, Any]:
    """Return one row as plain data."""
    row = Row()
    if published is not None:
        row.name, row.row, row.kind = published.name, published.row, published.kind
        row.published_accuracy = published.accuracy
        row.published_seconds = published.training_seconds
        row.published_epochs, row.topology = published.epochs, published.topology
    if configuration is not None:
        _fill(row, configuration)
    elif row.kind == 'transfer learning':
        row.detail = 'needs pretrained ImageNet weights'
        row.status = f'{NOT_RUN}; {row.detail}'
    return {key: _rounded(value) for key, value in dataclasses.asdict(row).items()}


def _fill(row: Row, configuration: Configuration) -> None:
    """Set what the runs of a configuration give."""
    record, figures = configuration.first, configuration.figures
    dataset = record['dataset']
    row.name, row.row = record['model'], configuration.name
    row.state, row.status = configuration.state, configuration.status
    row.detail = configuration.detail
    row.seeds = [run.record['seed'] for run in configuration.finished]
    row.runs = [run.folder for run in configuration.runs]
    for name in (
        'accuracy',
        'spread',
        'interval',
        'test_images',
        'majority',
        'balanced_accuracy',
        'training_seconds',
        'training_seconds_spread',
        'seconds_per_epoch',
        'epochs',
    ):
        setattr(row, name, getattr(figures, name))
    row.difference = configuration.difference
    row.projected_seconds = configuration.projected_seconds
    row.planned_epochs = record['hyperparameters']['epochs']
    row.engine, row.backend = record['engine'], record['backend']
    row.precision, row.parameters = record['precision'], record['parameters']
    if record['backend'] != 'gpu':
        row.threads = configuration.runs[0].record['device'].get('threads')
    row.dataset, row.dataset_kind = dataset['name'], dataset['kind']
    row.dataset_source = dataset['source']
    size, source = dataset['shape'][1:], source_size(dataset)
    row.image_size = _size_text(size)
    if source is not None:
        row.source_size, row.enlarged = _size_text(source), min(size) > min(source)


def source_size(dataset: dict[str, Any]) -> list[int] | None:
    """Return height and width of a data set's photographs before they were resized, if known."""
    found = dataset.get('source_size')
    if isinstance(found, str):
        found = [int(part) if part.isdecimal() else None for part in found.split('x')]
    if isinstance(found, dict):
        found = [found.get('height'), found.get('width')]
    if isinstance(found, list) and len(found) == 2 and all(type(each) is int for each in found):
        return found
    return None


def _size_text(size: Sequence[int]) -> str:
    return f'{size[0]}x{size[1]}'


def _rounded(value: Any) -> Any:
    if isinstance(value, float):
        return round(value, 6)
    return [_rounded(each) for each in value] if isinstance(value, list) else value


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
        lines += _table('| folder | why |', '|---|---|', _left_out(data['left_out'][:LISTED]))
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
    return _table(
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
    return _table(
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


def _table(head: str, rule: str, rows: Iterable[Sequence[str]]) -> list[str]:
    return [head, rule, *('| ' + ' | '.join(cells) + ' |' for cells in rows)]


def accuracy_text(row: dict[str, Any]) -> str:
    """Return mean and spread; in parentheses if the data forbid a comparison."""
    if row['accuracy'] is None:
        return ''
    spread = '' if row['spread'] is None else f' ± {row["spread"]:.1f}'
    text = number(row['accuracy']) + spread
    return f'({text})' if row['state'] == OTHER_DATA else text


def interval_text(interval: Sequence[float] | None) -> str:
    """Return such as ``79.0 to 84.1``."""
    return f'{interval[0]:.1f} to {interval[1]:.1f}' if interval else ''


def epochs_text(row: dict[str, Any]) -> str:
    """Return the epochs trained, of those that were published."""
    return f'{row["epochs"] or 0} of {row["published_epochs"] or row["planned_epochs"]}'


def projection(row: dict[str, Any]) -> float | None:
    """Return the projected time; None if all published epochs were trained."""
    return None if row['epochs'] == row['published_epochs'] else row['projected_seconds']


def engine_text(row: dict[str, Any]) -> str:
    """Return engine, backend, a precision other than float32, and the threads of a processor."""
    if row['engine'] is None:
        return ''
    precision = '' if row['precision'] == 'float32' else f', {row["precision"]}'
    threads = '' if row['threads'] is None else f', {counted(row["threads"], "thread")}'
    return f'{row["engine"]} {row["backend"]}{precision}{threads}'


def data_text(row: dict[str, Any]) -> str:
    """Return the data set, its kind and the size of its images."""
    if row['dataset'] is None:
        return ''
    enlarged = f' ({row["source_size"]} originals enlarged)' if row['enlarged'] else ''
    return f'{row["dataset"]} ({row["dataset_kind"]}), {row["image_size"]}{enlarged}'


def number(value: float | None) -> str:
    """Return a number with one decimal."""
    return '' if value is None else f'{value:.1f}'


def signed(value: float | None) -> str:
    """Return a number with one decimal and its sign, a true minus."""
    return '' if value is None else f'{value:+.1f}'.replace('-', '−')


def seconds(value: float | None, spread: float | None = None) -> str:
    """Return seconds with three significant digits below a hundred, whole ones above."""
    if value is None:
        return ''
    text = f'{value:,.0f}' if value >= 100 else f'{value:.3g}'
    return text + (f' ± {spread:,.0f}' if spread is not None and spread >= 1 else '') + ' s'


def cell(text: str | None) -> str:
    """Return text that stays within its cell of a Markdown table and is read as text."""
    escaped = text or ''
    for letter in '\\|<>`*_[]':
        escaped = escaped.replace(letter, '\\' + letter)
    return ' '.join(escaped.split())


def record_link(runs: str, folder: str, name: str = 'record.json') -> str:
    """Return the link from the page or the table to a file of a run."""
    return quote('/'.join(part for part in (runs, folder, name) if part), safe='/.-_~')


def _links(row: dict[str, Any], runs: str) -> str:
    """Return a numbered link to each record of a row."""
    linked = row['runs'][:LINKED]
    rest = len(row['runs']) - len(linked)
    links = [f'[{place}]({record_link(runs, name)})' for place, name in enumerate(linked, 1)]
    return ' '.join(links + ([f'and {rest} more'] if rest else []))
