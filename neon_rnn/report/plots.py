"""The plots: learning curves, accuracy against time, confusion matrices."""

import math
import os
from collections.abc import Sequence
from typing import Any, NamedTuple

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, MaxNLocator, NullFormatter

from neon_rnn.report import drawing
from neon_rnn.report.choose import COMPLETE, OTHER_DATA, Choice, Configuration
from neon_rnn.report.drawing import FAINT, INK, MUTED, OTHER, OURS, PAPER, PUBLISHED
from neon_rnn.support.files import atomic_file

_CARD = (3.75, 2.75)
_TIMES = (
    (1, '1 s'),
    (10, '10 s'),
    (60, '1 min'),
    (600, '10 min'),
    (3600, '1 h'),
    (36000, '10 h'),
    (360000, '100 h'),
)
#: The kinds of points of `accuracy_against_time`, in the order of the legend, and how they are drawn.
_MARKS: dict[str, dict[str, Any]] = {
    'published': {'marker': 'o', 'facecolor': PAPER, 'edgecolor': PUBLISHED},
    'ours, complete protocol': {'marker': 'o', 'facecolor': OURS, 'edgecolor': OURS},
    'ours, protocol differs': {'marker': 'o', 'facecolor': PAPER, 'edgecolor': OURS},
    'ours, synthetic data: not comparable': {'marker': 'D', 'facecolor': PAPER, 'edgecolor': OTHER},
}


class _Point(NamedTuple):
    """A result: its time, its accuracy and its interval in per cent, and which of `_MARKS` it gets."""

    seconds: float
    accuracy: float
    name: str
    kind: str
    interval: list[float] | None


def learning_curve(configuration: Configuration, context: Sequence[Configuration] = ()) -> Figure:
    """Test accuracy and training cost over the epochs of one configuration, a line a seed.

    Must be called within `drawing.style`. `context` is drawn faintly behind, for comparison.
    """
    figure = drawing.new_figure(*_CARD)
    _curve(figure, 0.0, 0.0, configuration, context)
    return figure


def learning_curves(choice: Choice) -> Figure:
    """All of what the table shows, in its order, as small multiples."""
    shown = [each for each in choice.shown if _has_epochs(each)]
    if not shown:
        return _nothing('No run has finished an epoch yet.')
    columns = min(3, len(shown))
    lines = -(-len(shown) // columns)
    figure = drawing.new_figure(columns * _CARD[0], lines * _CARD[1])
    for index, configuration in enumerate(shown):
        _curve(
            figure,
            index % columns * _CARD[0],
            (lines - 1 - index // columns) * _CARD[1],
            configuration,
            shown,
        )
    return figure


def _has_epochs(configuration: Configuration) -> bool:
    return any(run.record['epochs'] for run in configuration.runs)


def _curve(
    figure: Figure,
    left: float,
    bottom: float,
    configuration: Configuration,
    context: Sequence[Configuration],
) -> None:
    """One card of the small multiples, its lower left corner given in inches."""
    upper = drawing.place(figure, left + 0.52, bottom + 1.28, _CARD[0] - 0.74, 1.12)
    lower = drawing.place(figure, left + 0.52, bottom + 0.45, _CARD[0] - 0.74, 0.62)
    kind = configuration.first['dataset']['kind']
    for other in context:
        if other is not configuration and other.first['dataset']['kind'] == kind:
            _lines(upper, lower, other, FAINT, 1.0, False)
    if configuration.row and kind == 'photographs':
        upper.axhline(
            configuration.row.accuracy,
            color=PUBLISHED,
            linewidth=1,
            linestyle=(0, (4, 3)),
            zorder=2,
        )
    _lines(upper, lower, configuration, OURS if kind == 'photographs' else OTHER, 1.7, True)
    epochs = max(
        [
            len(run.record['epochs'])
            for each in (configuration, *context)
            for run in each.runs
            if each.first['dataset']['kind'] == kind
        ]
        + [2]
    )
    for axes in (upper, lower):
        axes.set_xlim(0, epochs * 1.02)
        axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
        axes.tick_params(length=0)
    upper.set_ylim(min(40, upper.dataLim.y0 - 3), 101)
    upper.set_yticks([50, 60, 70, 80, 90, 100])
    upper.set_xticklabels([])
    # The axis fits this configuration's costs: one that diverges behind it must not flatten it.
    lower.set_ylim(
        0,
        1.1
        * max([row['cost'] for run in configuration.runs for row in run.record['epochs']] + [0.1]),
    )
    lower.yaxis.set_major_locator(MaxNLocator(3))
    lower.set_xlabel('epoch', labelpad=2)
    upper.set_title(configuration.name, pad=5)
    upper.set_title(
        'test accuracy, %', loc='right', fontsize=8, fontweight='normal', color=MUTED, pad=5
    )
    lower.text(
        1.0,
        1.04,
        'training cost',
        fontsize=8,
        color=MUTED,
        ha='right',
        va='bottom',
        transform=lower.transAxes,
    )


def _lines(
    upper: Axes, lower: Axes, configuration: Configuration, color: str, width: float, marked: bool
) -> None:
    """The curves of one configuration's runs; unmarked, as context, of the first only."""
    for run in configuration.runs if marked else configuration.runs[:1]:
        rows = run.record['epochs']
        measured = [row for row in rows if row['accuracy'] is not None]
        for axes, known, values in (
            (upper, measured, [100 * row['accuracy'] for row in measured]),
            (lower, rows, [row['cost'] for row in rows]),
        ):
            axes.plot(
                [row['epoch'] for row in known],
                values,
                color=color,
                linewidth=width,
                marker='o' if marked and len(known) <= 12 else '',
                markersize=3,
                zorder=3 if marked else 1,
            )


def accuracy_against_time(choice: Choice, width: float = 10.2, height: float = 5.4) -> Figure:
    """Accuracy over the time of the published number of epochs: published, and ours.

    Runs on synthetic data have their own mark, since their accuracy cannot be compared.

    Parameters
    ----------
    choice
    width, height
        In inches.
    """
    figure = drawing.new_figure(width, height)
    wide = width > 6
    below = 0.92 if wide else 1.24  # what the legend takes
    axes = drawing.place(figure, 0.5, below, width - 0.62, height - below - 0.25)
    points = _points(choice)
    for kind, mark in _MARKS.items():
        chosen = [point for point in points if point.kind == kind]
        for point in chosen:
            if point.interval:
                axes.plot(
                    [point.seconds] * 2,
                    point.interval,
                    color=mark['edgecolor'],
                    linewidth=1,
                    alpha=0.45,
                    zorder=2,
                )
        if chosen:
            axes.scatter(
                [point.seconds for point in chosen],
                [point.accuracy for point in chosen],
                s=30,
                linewidths=1.4,
                label=kind,
                zorder=3,
                **mark,
            )
    _scale(axes, points)
    _label(axes, points)
    figure.legend(
        loc='lower left',
        bbox_to_anchor=(0.4 / width, 0.0),
        ncol=2 if wide else 1,
        columnspacing=1.4,
        handletextpad=0.3,
        borderpad=0.2,
        labelcolor=INK,
    )
    return figure


def _points(choice: Choice) -> list[_Point]:
    """What was published, then ours.

    Ours has the measured time where the protocol is complete or none was published, else the projected one.
    """
    points = [
        _Point(row.training_seconds, row.accuracy, row.row, 'published', None)
        for row, _ in choice.rows
    ]
    for configuration in choice.shown:
        kind = {
            COMPLETE: 'ours, complete protocol',
            OTHER_DATA: 'ours, synthetic data: not comparable',
        }.get(configuration.state, 'ours, protocol differs')
        measured = configuration.training_seconds
        seconds = (
            measured[0]
            if measured and (configuration.state == COMPLETE or not configuration.is_row)
            else configuration.projected_seconds
        )
        if configuration.accuracy and seconds:
            points.append(
                _Point(
                    seconds,
                    configuration.accuracy[0],
                    configuration.name,
                    kind,
                    configuration.interval,
                )
            )
    return points


def _scale(axes: Axes, points: Sequence[_Point]) -> None:
    """Time on a logarithmic axis with round times as ticks, accuracy on a linear one, with room for all points."""
    times = [point.seconds for point in points]
    values = [bound for point in points for bound in (point.accuracy, *(point.interval or ()))]
    axes.set_xscale('log')
    axes.set_xlim(min(times) / 1.6, max(times) * 1.9)
    axes.set_ylim(min(min(values), 70) - 2, max(max(values), 88) + 2)
    ticks = [
        (value, text) for value, text in _TIMES if min(times) / 1.6 <= value <= max(times) * 1.9
    ]
    axes.xaxis.set_major_locator(FixedLocator([value for value, _ in ticks]))
    axes.xaxis.set_ticklabels([text for _, text in ticks])
    axes.xaxis.set_minor_locator(FixedLocator([]))
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.tick_params(length=0)
    axes.set_xlabel('training time')
    axes.set_title('test accuracy, %', fontsize=8.5, fontweight='normal', color=MUTED, pad=4)


def _label(axes: Axes, points: Sequence[_Point]) -> None:
    """Name the points, each at the first side where its name covers neither a point nor another name."""
    scale = axes.figure.dpi / 72  # type: ignore[union-attr]
    centres = [axes.transData.transform((point.seconds, point.accuracy)) for point in points]
    taken = [(x - 4 * scale, y - 4 * scale, x + 4 * scale, y + 4 * scale) for x, y in centres]
    inside = axes.bbox
    sides = [(dx, dy) for dy in (0, 9, -9, 17, -17, 25, -25) for dx in (1, -1, 0) if dx or dy]
    for (x, y), point in zip(centres, points, strict=True):
        width, height = 4.4 * len(point.name) * scale, 8 * scale
        best, best_box, least = sides[0], taken[0], math.inf
        for dx, dy in sides:
            left = x + (6 * dx - 0.5) * scale - (0 if dx > 0 else width if dx < 0 else width / 2)
            box = (left, y + dy * scale - height / 2, left + width, y + dy * scale + height / 2)
            outside = (
                box[0] < inside.x0 or box[2] > inside.x1 or box[1] < inside.y0 or box[3] > inside.y1
            )
            cost = 5 * outside + sum(
                box[0] < other[2] and other[0] < box[2] and box[1] < other[3] and other[1] < box[3]
                for other in taken
            )
            if cost < least:
                best, best_box, least = (dx, dy), box, cost
        taken.append(best_box)
        axes.annotate(
            point.name,
            (point.seconds, point.accuracy),
            xytext=(6 * best[0], best[1]),
            textcoords='offset points',
            ha={1: 'left', -1: 'right', 0: 'center'}[best[0]],
            va='center',
            fontsize=7.5,
            color=_MARKS[point.kind]['edgecolor'],
        )


def confusion_matrix(
    confusion: Sequence[Sequence[int]], class_names: Sequence[str], title: str = ''
) -> Figure:
    """Counts and, as shade, shares of each true class; rows are true classes."""
    side = max(2.6, 0.75 * len(class_names))
    figure = drawing.new_figure(side + 1.3, side + 1.0)
    _confusion(figure, 0.0, 0.0, side, confusion, class_names, title)
    return figure


def confusion_matrices(choice: Choice) -> Figure:
    """One matrix a configuration, in the order of the table."""
    shown = [each for each in choice.shown if each.confusion]
    if not shown:
        return _nothing('No run has been evaluated yet.')
    columns = min(4, len(shown))
    lines = -(-len(shown) // columns)
    side = 1.5
    figure = drawing.new_figure(columns * (side + 1.3), lines * (side + 1.0))
    for index, configuration in enumerate(shown):
        _confusion(
            figure,
            index % columns * (side + 1.3),
            (lines - 1 - index // columns) * (side + 1.0),
            side,
            configuration.confusion or [],
            configuration.first['dataset']['class_names'],
            configuration.name,
        )
    return figure


def _confusion(
    figure: Figure,
    left: float,
    bottom: float,
    side: float,
    confusion: Sequence[Sequence[int]],
    class_names: Sequence[str],
    title: str,
) -> None:
    axes = drawing.place(figure, left + 0.95, bottom + 0.55, side, side)
    classes = len(class_names)
    for true, counts in enumerate(confusion):
        total = sum(counts)
        for predicted, count in enumerate(counts):
            share = count / total if total else 0.0
            axes.fill_between(
                [predicted, predicted + 1],
                true,
                true + 1,
                linewidth=0,
                alpha=0.06 + 0.6 * share,
                color=OURS if true == predicted else PUBLISHED,
            )
            axes.text(
                predicted + 0.5,
                true + 0.46,
                str(count),
                ha='center',
                va='center',
                color=INK,
                fontweight='bold' if true == predicted else 'normal',
                fontsize=11,
            )
            axes.text(
                predicted + 0.5,
                true + 0.62 + 0.08 * (side < 2),
                f'{100 * share:.0f}%' if total else '',
                ha='center',
                va='top',
                color=INK,
                fontsize=7.5,
            )
    axes.set_xlim(0, classes)
    axes.set_ylim(classes, 0)
    axes.grid(False)
    axes.spines[:].set_visible(False)
    axes.set_xticks([index + 0.5 for index in range(classes)], class_names)
    axes.set_yticks(
        [index + 0.5 for index in range(classes)], class_names, rotation=90, va='center'
    )
    axes.tick_params(length=0)
    axes.set_xlabel('predicted')
    axes.set_ylabel('true class')
    if title:
        axes.set_title(title, pad=6)


def _nothing(text: str) -> Figure:
    """A figure that says why it is empty."""
    figure = drawing.new_figure(5.0, 1.0)
    figure.text(0.5, 0.5, text, ha='center', va='center', color=MUTED)
    return figure


def write_confusion(
    path: str | os.PathLike[str], final: dict[str, Any], class_names: Sequence[str], title: str = ''
) -> None:
    """Write the confusion matrix of an evaluation as a PNG file, for ``evaluate``.

    Parameters
    ----------
    path
        The file.
    final
        What `evaluation.summarise` returns.
    class_names
        In the order of the classes.
    title
        Such as the run's name.

    Raises
    ------
    NeonRnnError
        The file cannot be written.
    """
    with drawing.style():
        content = drawing.png(confusion_matrix(final['confusion'], class_names, title))
    with atomic_file(path) as file:
        file.write(content)


def all_plots(choice: Choice) -> dict[str, bytes]:
    """Every plot file: name -> content."""
    files = {}
    with drawing.style():
        for name, figure in (
            ('accuracy-time', accuracy_against_time(choice)),
            ('confusion', confusion_matrices(choice)),
            ('learning-curves', learning_curves(choice)),
        ):
            files[f'plots/{name}.svg'] = drawing.svg(figure, name).encode()
            files[f'plots/{name}.png'] = drawing.png(figure)
    return files
