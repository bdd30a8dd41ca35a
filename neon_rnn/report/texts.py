"""Rows of the table as text: cells for the page, TABLE.md and the other pages."""

from collections.abc import Iterable, Sequence
from typing import Any
from urllib.parse import quote

from neon_rnn.report.choose import OTHER_DATA
from neon_rnn.support.wording import counted


def markdown_table(head: str, rule: str, rows: Iterable[Sequence[str]]) -> list[str]:
    """Return the lines of a Markdown table; the cells are escaped already."""
    return [head, rule, *('| ' + ' | '.join(cells) + ' |' for cells in rows)]


def nothing_yet(rows: Sequence[Sequence[str]], head: str, rule: str) -> list[str]:
    """Return the lines of a table, or one that says that it has no rows."""
    return markdown_table(head, rule, rows) if rows else ['No such runs yet.']


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


def place(accuracy: float, interval: Sequence[float]) -> str:
    """Say where the published accuracy lies: ``below``, ``within`` or ``above`` our interval."""
    if accuracy < interval[0]:
        return 'below'
    return 'above' if accuracy > interval[1] else 'within'


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


def backend_text(record: dict[str, Any]) -> str:
    """Return backend and precision, of a record or a row."""
    return f'{record["backend"]}, {record["precision"]}'


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
