"""The page: one self-contained HTML file with the table, the plots and the origin of every number.

The layout is in ``page.html.j2``; here the values are prepared for it.
"""

import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote

import jinja2
from markupsafe import Markup

from neon_rnn.report import dots, drawing, matrices, plots, texts
from neon_rnn.report.choose import (
    COMPLETE,
    OTHER_DATA,
    SHORTENED,
    UNFINISHED,
    Choice,
    Configuration,
)
from neon_rnn.report.rows import NOT_RUN, source_size
from neon_rnn.report.table import LINKED, LISTED
from neon_rnn.report.texts import record_link
from neon_rnn.runs import example_predictions
from neon_rnn.support.errors import NeonRnnError
from neon_rnn.support.wording import counted, printable

#: Style and text of each state of a row.
_STATES = {
    COMPLETE: ('complete', 'complete protocol'),
    SHORTENED: ('shortened', 'protocol differs'),
    OTHER_DATA: ('other', 'synthetic data'),
    UNFINISHED: ('unfinished', 'not finished'),
    NOT_RUN: ('none', 'not run'),
}
_COLUMNS = (
    'Network',
    'Accuracy',
    'Published, %',
    'Ours, %',
    'Difference',
    'Published time',
    'Our time',
    'Run',
    'State',
)
#: Accuracies at the ends of the scale in the cells of the table.
_SCALE = (40, 100)


class Part(NamedTuple):
    """A piece of text, with the link it carries."""

    text: str
    link: str = ''
    title: str = ''


class Line(NamedTuple):
    """A line of a cell, in small print or not."""

    parts: Sequence[Part]
    small: bool = True


def page(choice: Choice, data: dict[str, Any], runs: str, folder: Path) -> str:
    """Return the page as HTML.

    Parameters
    ----------
    choice
        What `choose.choose` chose.
    data
        What `table.table_data` made of it.
    runs
        The path from the page to the folder of runs, for links.
    folder
        The folder of runs, for the examples.
    """
    here = Path(__file__).parent
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(here),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters.update(
        command=_command,
        counted=counted,
        counts=_counts,
        elsewhere=_elsewhere,
        hashes=lambda found: _listed({name: value[:12] for name, value in found.items()}),
        link=lambda folder, name: record_link(runs, folder, name),
        listed=_listed,
        originals=source_size,
        records=lambda found: _records([run.folder for run in found], runs),
    )
    states = [row['state'] for row in data['rows']]
    examples, problems = _examples(choice, runs, folder)
    return environment.get_template('page.html.j2').render(
        style=Markup((here / 'page.css').read_text(encoding='utf-8')),
        columns=_COLUMNS,
        scale=_SCALE,
        listed=LISTED,
        tiles=[
            (states.count(state), style, text)
            for state, (style, text) in _STATES.items()
            if state in states
        ],
        rows=[_row(row, runs) for row in data['rows']],
        beside=[_row(row, runs) for row in data['beside']],
        curves=_curves(choice.shown, runs),
        confusions=[each for each in choice.shown if matrices.has_matrix(each)],
        examples=examples,
        problems=problems,
        configurations=choice.shown,
        others=[_other(row, runs) for row in data['others']],
        left_out=data['left_out'],
        rules=data['rules'],
        dots=_dots(choice),
    )


def _records(folders: Sequence[str], runs: str) -> Line:
    """Return links to the records of these runs, numbered if there are several."""
    parts = [
        Part(
            f'record\xa0{number}' if len(folders) > 1 else 'record',
            record_link(runs, folder),
            folder,
        )
        for number, folder in enumerate(folders[:LINKED], 1)
    ]
    rest = len(folders) - LINKED
    return Line([*parts, *([Part(f'and {rest} more')] if rest > 0 else [])])


def _lines(*texts: str, link: str = '') -> list[Line]:
    """Return the lines that are not empty, all but the first in small print."""
    return [Line([Part(text, link)], bool(place)) for place, text in enumerate(texts) if text]


def _row(row: dict[str, Any], runs: str) -> dict[str, Any]:
    """Return what the template shows of a row of `table.table_data`."""
    style, state = _STATES[row['state']]
    source = ''
    if row['runs']:
        anchor = '#run-' + quote(row['runs'][0], safe='.-_~')
        source = anchor if len(row['runs']) > 1 else record_link(runs, row['runs'][0])
    accuracy = epoch = projected = run = []
    if row['accuracy'] is not None:
        accuracy = [
            texts.accuracy_text(row),
            f'95%: {texts.interval_text(row["interval"])}',
            f'baseline {texts.number(row["majority"])}',
            f'balanced {texts.number(row["balanced_accuracy"])}',
        ]
    if row['seconds_per_epoch'] is not None:
        epoch = [f'{texts.seconds(row["seconds_per_epoch"])} an epoch']
    if texts.projection(row) is not None:
        projected = [f'{texts.seconds(texts.projection(row))} for {row["published_epochs"]}']
    if row['engine']:
        described = (
            texts.engine_text(row),
            texts.data_text(row),
            f'{texts.epochs_text(row)} epochs',
        )
        run = [*_lines(*described), _records(row['runs'], runs)]
    time = texts.seconds(row['training_seconds'], row['training_seconds_spread'])
    return {
        'name': row['row'],
        'style': style,
        'state': state,
        'family': _lines('', f'{row["kind"]}, {row["topology"]}') if row['kind'] else [],
        'detail': _lines('', row['detail']),
        'range': [_place(bound) for bound in row['interval'] or ()],
        'marks': [
            {'style': name, 'place': _place(value), 'text': f'{name} {texts.number(value)}'}
            for name, value in (
                ('majority', row['majority']),
                ('published', row['published_accuracy']),
                ('ours', row['accuracy']),
            )
            if value is not None
        ],
        'cells': [
            _lines(texts.number(row['published_accuracy'])),
            _lines(*accuracy, link=source),
            _lines(texts.signed(row['difference']), link=source),
            _lines(texts.seconds(row['published_seconds'])),
            _lines(time, *epoch, *projected, link=source),
            run,
        ],
    }


def _place(value: float) -> str:
    """Return the place of an accuracy on the scale, in per cent of its width."""
    low, high = _SCALE
    return f'{100 * (min(max(value, low), high) - low) / (high - low):.2f}'


def _dots(choice: Choice) -> list[Markup]:
    """Return the dot plot in two sizes; the style sheet shows the one that fits."""
    text = (
        'Accuracy and training time, published and ours; the table above has the same numbers. '
        'Where fewer epochs were trained, the time is projected to the published number.'
    )
    with drawing.style():
        figures = [dots.accuracy_and_time(choice, wide) for wide in (True, False)]
        names = 'dots-wide', 'dots-narrow'
        pictures = [drawing.svg(*pair) for pair in zip(figures, names, strict=True)]
    return [Markup(drawing.inline(picture, text)) for picture in pictures]


def _curves(shown: Sequence[Configuration], runs: str) -> list[tuple[Markup, Line]]:
    """Return a picture and the links of each configuration."""
    found = []
    with drawing.style():
        for index, each in enumerate(shown):
            if plots.has_epochs(each):
                picture = drawing.svg(plots.learning_curve(each, shown), f'curve-{index}')
                epochs = counted(each.figures.epochs, 'epoch')
                text = f'{each.name}: accuracy and cost over {epochs}'
                links = _records([run.folder for run in each.runs], runs)
                found.append((Markup(drawing.inline(picture, text)), links))
    return found


def _examples(
    choice: Choice, runs: str, folder: Path
) -> tuple[list[tuple[str, list[dict[str, Any]], Line]], list[str]]:
    """Return the example pictures of each network shown, and what could not be read.

    They come from runs on synthetic data, also if the table shows a run on photographs.
    Photographs themselves are never shown.
    """
    found: dict[str, tuple[str, list[dict[str, Any]], Line]] = {}
    problems: list[str] = []
    names = [configuration.name for configuration in choice.shown]
    for configuration in choice.everything:
        name = configuration.name
        for run in configuration.finished:
            if name in found or name not in names or len(problems) >= LISTED:
                break
            if run.record['dataset']['kind'] != 'synthetic':
                continue
            try:
                pictures = example_predictions.read(folder / run.folder)
            except NeonRnnError as error:
                reason = str(error).replace(f'{folder / run.folder}/', '')
                problems.append(f'{run.folder}: {printable(reason)}')
                continue
            if pictures:
                found[name] = (name, pictures, _records([run.folder], runs))
    return [found[name] for name in names if name in found], problems


def _other(row: dict[str, Any], runs: str) -> tuple[str, Line]:
    """Return a line on a configuration that the table does not show, and its links."""
    result = 'no result' if row['accuracy'] is None else f'{row["accuracy"]:.1f}%'
    text = (
        f'{row["row"]}, {row["engine"]} {row["backend"]}, {row["dataset"]}: {result}; '
        f'{row["status"]}'
    )
    links = [Part(folder, record_link(runs, folder)) for folder in row['runs'][:LINKED]]
    return text, Line(links, small=False)


def _listed(values: Mapping[str, Any]) -> str:
    """Return such as ``numpy 2.2.6, python 3.11.7``."""
    pairs = sorted((name, value) for name, value in values.items() if not isinstance(value, dict))
    return printable(', '.join(f'{name} {value}' for name, value in pairs))


def _command(words: Sequence[str]) -> str:
    return printable(' '.join(map(shlex.quote, words)))


def _elsewhere(resumption: dict[str, Any], record: dict[str, Any]) -> str:
    """Say in which respects a resumption was not where its run began."""
    names = [
        name
        for name in ('machine', 'device', 'versions', 'git')
        if resumption.get(name, record[name]) != record[name]
    ]
    return f' with another {", ".join(names)}' if names else ''


def _counts(counts: dict[str, dict[str, int]]) -> str:
    """Return such as ``train 500 female, 500 male``."""
    return printable(
        '; '.join(
            f'{part} ' + ', '.join(f'{count} {name}' for name, count in sorted(classes.items()))
            for part, classes in sorted(counts.items())
        )
    )
