"""The page: one self-contained HTML file with the table, the plots and where every number comes from."""

from collections.abc import Iterable, Sequence
from html import escape
from pathlib import Path
from typing import Any

from neon_rnn.report import drawing, plots, provenance, table
from neon_rnn.report.choose import (
    COMPLETE,
    OTHER_DATA,
    SHORTENED,
    UNFINISHED,
    Choice,
    Configuration,
)
from neon_rnn.report.table import NOT_RUN
from neon_rnn.runs import example_predictions
from neon_rnn.support.errors import NeonRnnError
from neon_rnn.support.wording import counted

#: What the marks of a row's state look like and say.
_STATES = {
    COMPLETE: ('complete', 'complete protocol'),
    SHORTENED: ('shortened', 'protocol differs'),
    OTHER_DATA: ('other', 'synthetic data'),
    UNFINISHED: ('unfinished', 'not finished'),
    NOT_RUN: ('none', 'not run'),
}
#: The accuracies at the ends of the scale in the table's cells.
_SCALE = (40.0, 100.0)


def page(choice: Choice, data: dict[str, Any], runs: str, folder: Path) -> str:
    """The page as HTML.

    Parameters
    ----------
    choice
        What `choose.choose` picked.
    data
        What `table.table_data` made of it.
    runs
        The way from the page to the folder of runs, for links.
    folder
        The folder of runs, for the examples.
    """
    shown = choice.shown
    parts = [
        _header(data),
        _section('table', 'Published and reproduced', _table(data['rows'], runs) + _legend()),
        _section(
            'beside',
            'Beside the eleven',
            '<p>Networks that were not published.</p>' + _table(data['beside'], runs),
        )
        if choice.beside
        else '',
        _section('time', 'Accuracy against time', _scatter(choice)),
        _section('curves', 'Learning curves', _curves(shown, runs)),
        _section('confusion', 'Confusion matrices', _confusions(shown, runs)),
        _section('examples', 'Example predictions', _examples(choice, runs, folder)),
        _section(
            'provenance', 'Where the numbers come from', provenance.fragment(choice, data, runs)
        ),
        _section('rules', 'How a row is chosen', _list(data['rules'])),
    ]
    style = Path(__file__).with_name('page.css').read_text(encoding='utf-8')
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'; img-src data:">
<meta name="color-scheme" content="light dark">
<title>neon_rnn: published and reproduced</title>
<style>
{style}</style>
</head>
<body>
{chr(10).join(part for part in parts if part)}
</body>
</html>
"""


def _section(name: str, title: str, content: str) -> str:
    return f'<section id="{name}">\n<h2>{title}</h2>\n{content}\n</section>' if content else ''


def _list(lines: Iterable[str]) -> str:
    return '<ol>\n' + '\n'.join(f'<li>{escape(line)}</li>' for line in lines) + '\n</ol>'


def _header(data: dict[str, Any]) -> str:
    """Title, what this is, and how many rows are in which state."""
    states = [row['state'] for row in data['rows']]
    tiles = ''.join(
        f'<li class="{name}"><b>{states.count(state)}</b> {escape(text)}</li>'
        for state, (name, text) in _STATES.items()
        if state in states
    )
    return f"""<header>
<h1>Eleven networks, published and reproduced</h1>
<p>The gender of a person from a photograph. Published: lecture of 2018, Intel neon 2.6.0 on an NVIDIA Tesla K40s.
Reproduced by neon_rnn, on Intel neon and on PyTorch with neon’s arithmetic. Every number links to the record of the run
that it comes from.</p>
<ul class="tiles" aria-label="state of the {len(states)} rows">{tiles}</ul>
</header>"""


def _table(rows: Sequence[dict[str, Any]], runs: str) -> str:
    """The table; on a narrow screen each row becomes a card, so every cell carries the name of its column."""
    head = (
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
    lines = [
        '<table class="main">',
        '<thead><tr>'
        + ''.join(
            f'<th scope="col" class="c{index}">{name}</th>' for index, name in enumerate(head)
        )
        + '</tr></thead>',
        '<tbody>',
    ]
    for row in rows:
        cells = ''.join(
            _cell(index, name, content)
            for index, (name, content) in enumerate(zip(head, _cells(row, runs), strict=True))
        )
        lines.append(f'<tr class="{_STATES[row["state"]][0]}">{cells}</tr>')
    return '\n'.join(lines + ['</tbody>', '</table>'])


def _cell(index: int, name: str, content: str) -> str:
    if index == 0:
        return f'<th scope="row" class="c0">{content}</th>'
    return f'<td class="c{index}" data-name="{name}">{content}</td>'


def _cells(row: dict[str, Any], runs: str) -> list[str]:
    """The contents of one row's cells."""
    small = '' if row['kind'] is None else f'{row["kind"]}, {row["topology"]}'

    def sourced(text: str) -> str:
        """A number with the link to where it comes from."""
        source = (
            provenance.anchor(row)
            if len(row['runs']) > 1
            else provenance.record_link(runs, row['runs'][0])
        )
        return f'<a href="{source}">{text}</a>' if text else ''

    accuracy = difference = time = ''
    if row['accuracy'] is not None:
        accuracy = (
            sourced(table.accuracy_text(row))
            + _small(sourced(f'95%: {table.interval_text(row["interval"])}'))
            + _small(sourced(f'baseline {table.number(row["majority"])}'))
        )
        difference = sourced(table.signed(row['difference']))
        time = sourced(table.seconds(row['training_seconds'], row['training_seconds_spread']))
    if row['seconds_per_epoch'] is not None:
        time += _small(sourced(f'{table.seconds(row["seconds_per_epoch"])} an epoch'))
        if (projected := table.projection(row)) is not None:
            time += _small(sourced(f'{table.seconds(projected)} for {row["published_epochs"]}'))
    run = ''
    if row['engine']:
        run = (
            f'{escape(table.engine_text(row))}{_small(escape(table.data_text(row)))}'
            f'{_small(table.epochs_text(row) + " epochs")}{_small(_records(row["runs"], runs))}'
        )
    name, text = _STATES[row['state']]
    state = f'<span class="mark {name}">{text}</span>' + _small(escape(row['detail']))
    network = f'<b>{escape(row["row"])}</b>' + _small(small)
    return [
        network,
        _scale(row),
        table.number(row['published_accuracy']),
        accuracy,
        difference,
        table.seconds(row['published_seconds']),
        time,
        run,
        state,
    ]


def _records(folders: Sequence[str], runs: str) -> str:
    """Links to the records of these runs, numbered if there are several."""
    numbers = (
        [f'&nbsp;{index}' for index in range(1, len(folders) + 1)] if len(folders) > 1 else ['']
    )
    return ' '.join(
        f'<a href="{provenance.record_link(runs, folder)}" title="{escape(folder)}">record{number}</a>'
        for folder, number in zip(folders, numbers, strict=True)
    )


def _small(text: str) -> str:
    return f'<small>{text}</small>' if text else ''


def _scale(row: dict[str, Any]) -> str:
    """Published and our accuracy, its interval and the majority baseline on one scale."""

    def left(value: float) -> str:
        return f'{100 * (min(max(value, _SCALE[0]), _SCALE[1]) - _SCALE[0]) / (_SCALE[1] - _SCALE[0]):.2f}%'

    marks = ''
    if row['interval']:
        low, high = row['interval']
        marks += f'<i class="range" style="left:{left(low)};right:calc(100% - {left(high)})"></i>'
    for name, value in (
        ('majority', row['majority']),
        ('published', row['published_accuracy']),
        ('ours', row['accuracy']),
    ):
        if value is not None:
            marks += f'<i class="{name}" style="left:{left(value)}"></i>'
    said = [
        f'{name} {table.number(value)}'
        for name, value in (
            ('published', row['published_accuracy']),
            ('ours', row['accuracy']),
            ('majority', row['majority']),
        )
        if value is not None
    ]
    return f'<span class="scale {_STATES[row["state"]][0]}" role="img" aria-label="{", ".join(said)}">{marks}</span>'


def _legend() -> str:
    return (
        '<p class="legend"><span><i class="published"></i> published</span> <span><i class="ours"></i> ours, with '
        'the 95% interval</span> <span><i class="ours shortened"></i> ours, protocol differs</span> <span><i '
        'class="ours other"></i> ours on synthetic data, not comparable</span> '
        f'<span><i class="majority"></i> majority baseline</span> <span>scale {_SCALE[0]:.0f} to {_SCALE[1]:.0f}%'
        '</span></p>\n<p class="note">Accuracies are in per cent of the test images; ± is the standard deviation '
        'over seeds. Accuracies in parentheses come from synthetic data and say nothing about the published ones. '
        'For networks marked inferred or reconstructed the published topology is not known.</p>'
    )


def _scatter(choice: Choice) -> str:
    """The scatter in two sizes; the style sheet shows the one that fits."""
    description = 'Accuracy against training time, published and ours; the table above holds the same numbers.'
    with drawing.style():
        wide = drawing.svg(plots.accuracy_against_time(choice), 'time-wide')
        narrow = drawing.svg(plots.accuracy_against_time(choice, 3.7, 4.6), 'time-narrow')
    return (
        f'<div class="wide card">{drawing.inline(wide, description)}</div>\n'
        f'<div class="narrow card">{drawing.inline(narrow, description)}</div>\n'
        '<p class="note">Ours is the measured time where the protocol is complete or the network was not '
        'published, otherwise the time per epoch times the published number of epochs; bars are 95% intervals. The '
        'machines and the sizes of the data sets differ.</p>'
    )


def _curves(shown: Sequence[Configuration], runs: str) -> str:
    """A card a configuration."""
    cards = []
    with drawing.style():
        for index, configuration in enumerate(shown):
            if any(run.record['epochs'] for run in configuration.runs):
                picture = drawing.svg(plots.learning_curve(configuration, shown), f'curve-{index}')
                description = f'{configuration.name}: accuracy and cost over {counted(configuration.epochs, "epoch")}'
                cards.append(
                    f'<div class="card">{drawing.inline(picture, escape(description))}'
                    f'{_small(_records([run.folder for run in configuration.runs], runs))}</div>'
                )
    if not cards:
        return '<p>No run has finished an epoch yet.</p>'
    return (
        '<div class="grid">\n'
        + '\n'.join(cards)
        + '\n</div>\n<p class="note">A line a seed; faint: the other '
        'networks on the same kind of data; dashed: the published accuracy (on photographs only).</p>'
    )


def _confusions(shown: Sequence[Configuration], runs: str) -> str:
    """A small table a configuration, shaded by the share of the true class."""
    cards = []
    for configuration in shown:
        if not configuration.confusion:
            continue
        names = configuration.first['dataset']['class_names']
        lines = [
            f'<table class="confusion"><caption>{escape(configuration.name)}</caption>',
            '<thead><tr><td></td>'
            + ''.join(f'<th scope="col">{escape(name)}</th>' for name in names)
            + '</tr></thead>',
            '<tbody>',
        ]
        for true, (name, counts) in enumerate(zip(names, configuration.confusion, strict=True)):
            total = sum(counts)
            shares = [f'{100 * count / total:.0f}%' if total else '0%' for count in counts]
            cells = ''.join(
                f'<td class="{"right" if true == predicted else "wrong"}" style="--share:{share}">{count}'
                f'{_small(share)}</td>'
                for predicted, (count, share) in enumerate(zip(counts, shares, strict=True))
            )
            lines.append(f'<tr><th scope="row">{escape(name)}</th>{cells}</tr>')
        links = _records([run.folder for run in configuration.finished], runs)
        cards.append('\n'.join(lines + ['</tbody></table>', _small(links)]))
    if not cards:
        return ''
    cards = [f'<div class="card">{card}</div>' for card in cards]
    return (
        '<div class="grid matrices">\n' + '\n'.join(cards) + '\n</div>\n<p class="note">Rows are '
        'true classes, columns are predictions; counts are added up over seeds.</p>'
    )


def _examples(choice: Choice, runs: str, folder: Path) -> str:
    """Pictures of the demo data with what each network said, also where the table shows its run on photographs.

    Photographs themselves are never shown.
    """
    blocks: dict[str, str] = {}
    problems = []
    for configuration in [*choice.shown, *choice.others]:
        for run in configuration.finished:
            if configuration.name in blocks or run.record['dataset']['kind'] != 'synthetic':
                continue
            try:
                found = example_predictions.read(folder / run.folder)
            except NeonRnnError as error:
                reason = str(error).replace(f'{folder / run.folder}/', '')
                problems.append(f'<p class="problem">{escape(run.folder)}: {escape(reason)}</p>')
                continue
            if found:
                figures = '\n'.join(_example(example) for example in found)
                blocks[configuration.name] = (
                    f'<h3>{escape(configuration.name)}</h3>\n<div class="pictures">\n{figures}\n'
                    f'</div>\n{_small(_records([run.folder], runs))}'
                )
    if not blocks and not problems:
        return ''
    order = {
        name: place
        for place, name in enumerate(configuration.name for configuration in choice.shown)
    }
    names = sorted(blocks, key=lambda name: order.get(name, len(order)))
    return (
        '<p>Drawn test pictures (synthetic data) and what the networks trained on such said; about half of those shown '
        'are mistakes, where there are enough.</p>\n'
        + '\n'.join([*problems, *(blocks[name] for name in names)])
    )


def _example(example: dict[str, Any]) -> str:
    label, prediction = escape(str(example['label'])), escape(str(example['prediction']))
    right = label == prediction
    verdict = 'right' if right else f'wrong: is {label}'
    said = f'{prediction} {example["probability"]:.2f}'
    return (
        f'<figure class="{"right" if right else "wrong"}"><img alt="drawn portrait, {label}" '
        f'src="data:image/png;base64,{example["png_base64"]}" width="96" height="96">'
        f'<figcaption>{said}<small>{verdict}</small></figcaption></figure>'
    )
