"""The comparison table as JSON, CSV and Markdown: the eleven published rows, always and in their order."""

import csv
import io
import json
from typing import Any

from neon_rnn.published import Published
from neon_rnn.report.choose import OTHER_DATA, RULES, Choice, Configuration
from neon_rnn.report.provenance import record_link
from neon_rnn.support.wording import counted

#: Version of the layout of table.json.
SCHEMA = 1
NOT_RUN = 'not run'
#: So many further configurations are listed in TABLE.md; table.json has all of them.
LISTED = 40


def table_data(choice: Choice) -> dict[str, Any]:
    """Everything the table says, as plain data: what becomes table.json.

    Accuracies are in per cent, times in seconds, both rounded to six digits after the point; None where there is
    nothing to say.
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


def _row(row: Published | None, configuration: Configuration | None) -> dict[str, Any]:
    """One row of the table."""
    found = {
        'name': row.name if row else None,
        'row': row.row if row else None,
        'published_accuracy': row.accuracy if row else None,
        'published_seconds': row.training_seconds if row else None,
        'published_epochs': row.epochs if row else None,
        'kind': row.kind if row else None,
        'topology': row.topology if row else None,
    }
    if configuration is None:
        needs = (
            'needs pretrained ImageNet weights' if row and row.kind == 'transfer learning' else ''
        )
        status = f'{NOT_RUN}; {needs}' if needs else NOT_RUN
        return (
            found
            | dict.fromkeys(_OURS)
            | {'state': NOT_RUN, 'status': status, 'detail': needs, 'seeds': [], 'runs': []}
        )
    record = configuration.first
    accuracy, spread = configuration.accuracy or (None, None)
    seconds, seconds_spread = configuration.training_seconds or (None, None)
    ours = (
        configuration.state,
        configuration.status,
        configuration.detail,
        accuracy,
        spread,
        configuration.seeds,
        configuration.interval,
        configuration.test_images or None,
        configuration.majority,
        configuration.difference,
        seconds,
        seconds_spread,
        configuration.seconds_per_epoch,
        configuration.projected_seconds,
        configuration.epochs,
        record['hyperparameters']['epochs'],
        record['engine'],
        record['backend'],
        configuration.threads,
        record['precision'],
        record['dataset']['name'],
        record['dataset']['kind'],
        record['parameters'],
        [run.folder for run in configuration.runs],
    )
    found |= {'name': record['model'], 'row': configuration.name}
    return found | {key: _rounded(value) for key, value in zip(_OURS, ours, strict=True)}


_OURS = (
    'state',
    'status',
    'detail',
    'accuracy',
    'spread',
    'seeds',
    'interval',
    'test_images',
    'majority',
    'difference',
    'training_seconds',
    'training_seconds_spread',
    'seconds_per_epoch',
    'projected_seconds',
    'epochs',
    'planned_epochs',
    'engine',
    'backend',
    'threads',
    'precision',
    'dataset',
    'dataset_kind',
    'parameters',
    'runs',
)


def _rounded(value: Any) -> Any:
    """Floats with six digits after the point: far below any meaning, and the same on every machine."""
    if isinstance(value, float):
        return round(value, 6)
    return [_rounded(each) for each in value] if isinstance(value, list) else value


def to_json(data: dict[str, Any]) -> str:
    """table.json."""
    return json.dumps(data, indent=1, sort_keys=True, ensure_ascii=False, allow_nan=False) + '\n'


def to_csv(data: dict[str, Any]) -> str:
    """table.csv: the eleven rows, then those beside them, with the columns of table.json."""
    text = io.StringIO()
    columns = [key for key in data['rows'][0] if key != 'detail']  # part of the status
    writer = csv.DictWriter(text, columns, lineterminator='\n')
    writer.writeheader()
    for row in data['rows'] + data['beside']:
        writer.writerow(
            {
                key: ' '.join(map(str, value)) if isinstance(value, list) else value
                for key, value in row.items()
                if key in columns
            }
        )
    return text.getvalue()


def to_markdown(data: dict[str, Any], runs: str) -> str:
    """TABLE.md.

    Parameters
    ----------
    data
        What `table_data` returns.
    runs
        The way from TABLE.md to the folder of runs, for the links.
    """
    rows, beside = data['rows'], data['beside']
    lines = [
        '# Published and reproduced',
        '',
        'Generated from the run records by `./run.sh table`; do not edit. Published: lecture of 2018, Intel neon '
        '2.6.0 on an NVIDIA Tesla K40s. Accuracies are on test images, in per cent; `±` is the standard '
        'deviation over seeds. Accuracies in parentheses come from synthetic data and say nothing about the '
        'published ones.',
        '',
        '## Accuracy',
        '',
    ]
    lines += _accuracy_table(rows, runs)
    lines += ['', '## Time and provenance', '']
    lines += _time_table(rows, runs)
    if beside:
        lines += ['', '## Beside the eleven', '', 'Networks that were not published.', '']
        lines += _accuracy_table(beside, runs) + [''] + _time_table(beside, runs)
    if data['others']:
        lines += [
            '',
            '## Further configurations',
            '',
            'Trained, but not shown above by the rules below.',
            '',
        ]
        lines += (
            _accuracy_table(data['others'][:LISTED], runs)
            + ['']
            + _time_table(data['others'][:LISTED], runs)
        )
        if len(data['others']) > LISTED:
            lines += ['', f'{len(data["others"]) - LISTED} more are in table.json.']
    if data['left_out']:
        lines += ['', '## Records left out', '', '| folder | why |', '|---|---|']
        lines += [
            f'| {_cell(each["folder"])} | {_cell(each["reason"])} |' for each in data['left_out']
        ]
    lines += ['', '## How a row is chosen', '']
    lines += [f'{number}. {rule}' for number, rule in enumerate(data['rules'], 1)]
    return '\n'.join(lines) + '\n'


def _accuracy_table(rows: list[dict[str, Any]], runs: str) -> list[str]:
    lines = [
        '| row | published | ours | seeds | test images | 95% interval | majority | difference | status | records |',
        '|---|--:|--:|--:|--:|:-:|--:|--:|---|---|',
    ]
    for row in rows:
        cells = [
            row['row'],
            number(row['published_accuracy']),
            accuracy_text(row),
            len(row['seeds']) or '',
            row['test_images'] or '',
            interval_text(row['interval']),
            number(row['majority']),
            signed(row['difference']),
            row['status'],
        ]
        lines.append(
            '| ' + ' | '.join([_cell(cell) for cell in cells] + [_links(row, runs)]) + ' |'
        )
    return lines


def _time_table(rows: list[dict[str, Any]], runs: str) -> list[str]:
    lines = [
        '| row | published | ours | an epoch | projected | epochs | engine | data | records |',
        '|---|--:|--:|--:|--:|--:|---|---|---|',
    ]
    for row in rows:
        cells = [
            row['row'],
            seconds(row['published_seconds']),
            seconds(row['training_seconds'], row['training_seconds_spread']),
            seconds(row['seconds_per_epoch']),
            seconds(projection(row)),
            epochs_text(row),
            engine_text(row),
            data_text(row),
        ]
        lines.append(
            '| ' + ' | '.join([_cell(cell) for cell in cells] + [_links(row, runs)]) + ' |'
        )
    return lines


def accuracy_text(row: dict[str, Any]) -> str:
    """Mean and spread; in parentheses where the data forbid a comparison."""
    if row['accuracy'] is None:
        return ''
    text = number(row['accuracy']) + (
        f' ± {row["spread"]:.1f}' if row['spread'] is not None else ''
    )
    return f'({text})' if row['state'] == OTHER_DATA else text


def interval_text(interval: list[float] | None) -> str:
    """Such as ``79.0 to 84.1``."""
    return f'{interval[0]:.1f} to {interval[1]:.1f}' if interval else ''


def epochs_text(row: dict[str, Any]) -> str:
    """The epochs trained, of those that were published."""
    if row['epochs'] is None:
        return f'0 of {row["published_epochs"]}'
    return f'{row["epochs"]} of {row["published_epochs"] or row["planned_epochs"]}'


def projection(row: dict[str, Any]) -> float | None:
    """The projected time; None where nothing has to be projected, since all published epochs are trained."""
    return None if row['epochs'] == row['published_epochs'] else row['projected_seconds']


def engine_text(row: dict[str, Any]) -> str:
    """Engine, backend, an unusual precision and the threads of a processor."""
    if row['engine'] is None:
        return ''
    precision = '' if row['precision'] == 'float32' else f', {row["precision"]}'
    threads = '' if row['threads'] is None else f', {counted(row["threads"], "thread")}'
    return f'{row["engine"]} {row["backend"]}{precision}{threads}'


def data_text(row: dict[str, Any]) -> str:
    """The data set and its kind."""
    return '' if row['dataset'] is None else f'{row["dataset"]} ({row["dataset_kind"]})'


def number(value: float | None) -> str:
    """One decimal."""
    return '' if value is None else f'{value:.1f}'


def signed(value: float | None) -> str:
    """One decimal with its sign, a true minus."""
    return '' if value is None else f'{value:+.1f}'.replace('-', '−')


def seconds(value: float | None, spread: float | None = None) -> str:
    """Seconds with three significant digits below a hundred, whole ones above."""
    if value is None:
        return ''
    text = f'{value:,.0f}' if value >= 100 else f'{value:.3g}'
    return text + (f' ± {spread:,.0f}' if spread is not None and spread >= 1 else '') + ' s'


def _cell(value: Any) -> str:
    """Text that stays within its cell and is read as text."""
    text = '' if value is None else str(value)
    for letter in '\\|<>`*_[]':
        text = text.replace(letter, '\\' + letter)
    return ' '.join(text.split())


def _links(row: dict[str, Any], runs: str) -> str:
    """A numbered link to the record of each run of a row."""
    return ' '.join(
        f'[{number}]({record_link(runs, folder)})' for number, folder in enumerate(row['runs'], 1)
    )
