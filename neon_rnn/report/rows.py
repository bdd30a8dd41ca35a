"""A row of the comparison table as plain data."""

import dataclasses
from collections.abc import Sequence
from typing import Any

from neon_rnn.published import Published
from neon_rnn.report.choose import Configuration

NOT_RUN = 'not run'


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


def row_data(published: Published | None, configuration: Configuration | None) -> dict[str, Any]:
    """Return a row of the table, see `Row`, as plain data."""
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
    threads = configuration.runs[0].record['device'].get('threads')
    if record['backend'] != 'gpu' and type(threads) is int:
        row.threads = threads
    row.dataset, row.dataset_kind = dataset['name'], dataset['kind']
    row.dataset_source = dataset['source']
    size, source = dataset['shape'][1:], source_size(dataset)
    row.image_size = _size_text(size)
    if source is not None:
        centre = (dataset.get('preprocessing') or {}).get('centre', 1)
        kept = min(source) * (centre if isinstance(centre, float) else 1)
        row.source_size, row.enlarged = _size_text(source), min(size) > kept


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
