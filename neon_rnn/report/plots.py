"""The plots: learning curves, accuracy and time, confusion matrices."""

import os
from collections.abc import Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, NullLocator

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
#: The marks of the dot plot, in the order of the legend.
_MARKS: dict[str, dict[str, Any]] = {
    kind: {
        'marker': marker,
        'markeredgecolor': colour,
        'markerfacecolor': colour if filled else PAPER,
        'linestyle': '',
        'markersize': 5.5,
        'markeredgewidth': 1.4,
        'zorder': 3,
    }
    for kind, marker, colour, filled in (
        ('published', 'o', PUBLISHED, False),
        ('ours, complete protocol', 'o', OURS, True),
        ('ours, protocol differs', 'o', OURS, False),
        ('ours, synthetic data: not comparable', 'D', OTHER, False),
    )
}
#: So many runs of one configuration are plotted.
_RUNS = 10
#: Confusion matrices of more classes are not plotted.
_CLASSES = 10


def learning_curve(configuration: Configuration, context: Sequence[Configuration] = ()) -> Figure:
    """Test accuracy and training cost over the epochs of one configuration, a line a seed.

    Must be called within `drawing.style`. `context` is drawn faintly behind, for comparison.
    """
    figure = drawing.new_figure(*_CARD)
    _curve(figure, 0.0, 0.0, configuration, context)
    return figure


def learning_curves(choice: Choice) -> Figure:
    """All of what the table shows, in its order, as small multiples."""
    shown = [each for each in choice.shown if has_epochs(each)]
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


def has_epochs(configuration: Configuration) -> bool:
    """Return True if a run of the configuration has finished an epoch."""
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
    for run in configuration.runs[: _RUNS if marked else 1]:
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


def accuracy_and_time(choice: Choice, wide: bool = True) -> Figure:
    """Plot accuracy and training time, one row a network: published, and ours.

    Runs on synthetic data have their own mark, since their accuracy cannot be compared.

    Parameters
    ----------
    choice
    wide
        Put the two panels side by side, else one above the other.
    """
    names = [row.row for row, _ in choice.rows] + [each.name for each in choice.beside]
    labels = [name if len(name) <= 21 else name[:20] + '…' for name in names]
    height = 0.22 * len(names) + 0.1
    below = 0.62 if wide else 1.15  # room for the legend
    width = 10.2 if wide else 3.7
    figure = drawing.new_figure(width, below + (1 if wide else 2) * (height + 0.4))
    bottom = below if wide else below + height + 0.4
    side = 4.15 if wide else width - 1.6
    accuracy = drawing.place(figure, 1.45, bottom, side, height)
    time = drawing.place(figure, 1.45 + side + 0.3 if wide else 1.45, below, side, height)
    for row, (published, _) in enumerate(choice.rows):
        _dot(accuracy, published.accuracy, row, 'published')
        _dot(time, published.training_seconds, row, 'published')
    for configuration in choice.shown:
        row, kind = names.index(configuration.name), _kind(configuration)
        figures, seconds = configuration.figures, _seconds(configuration)
        if figures.interval and figures.accuracy is not None:
            colour = _MARKS[kind]['markeredgecolor']
            accuracy.plot(figures.interval, [row] * 2, color=colour, linewidth=1.2, alpha=0.5)
            _dot(accuracy, figures.accuracy, row, kind)
        if figures.accuracy is not None and seconds:
            _dot(time, seconds, row, kind)
    for axes, title in ((accuracy, 'test accuracy, %'), (time, 'training time')):
        axes.set_ylim(len(names) - 0.5, -0.5)
        axes.set_yticks(range(len(names)), labels if axes is accuracy or not wide else [])
        axes.tick_params(length=0, axis='both')
        axes.set_title(title, fontsize=8.5, fontweight='normal', color=MUTED, pad=4)
    time.set_xscale('log')
    low, high = time.get_xlim()
    ticks = [(value, text) for value, text in _TIMES if low <= value <= high]
    time.set_xticks([value for value, _ in ticks], [text for _, text in ticks])
    time.xaxis.set_minor_locator(NullLocator())
    handles, kinds = accuracy.get_legend_handles_labels()
    unique = dict(zip(kinds, handles, strict=True))
    figure.legend(
        [unique[kind] for kind in _MARKS if kind in unique],
        [kind for kind in _MARKS if kind in unique],
        loc='lower left',
        bbox_to_anchor=(0.1 / width, 0.0),
        ncol=4 if wide else 1,
        labelcolor=INK,
    )
    return figure


def _dot(axes: Axes, value: float, row: int, kind: str) -> None:
    axes.plot([value], [row], label=kind, **_MARKS[kind])


def _kind(configuration: Configuration) -> str:
    """Return the key of `_MARKS` for a result of ours."""
    if configuration.state == OTHER_DATA:
        return 'ours, synthetic data: not comparable'
    complete = configuration.state == COMPLETE
    return 'ours, complete protocol' if complete else 'ours, protocol differs'


def _seconds(configuration: Configuration) -> float | None:
    """Return the measured time of a complete or unpublished network, else the projected time."""
    if configuration.state == COMPLETE or not configuration.is_row:
        return configuration.figures.training_seconds
    return configuration.projected_seconds


def confusion_matrix(
    confusion: Sequence[Sequence[int]], class_names: Sequence[str], title: str = ''
) -> Figure:
    """Counts and, as shade, shares of each true class; rows are true classes."""
    side = max(2.6, 0.75 * len(class_names))
    figure = drawing.new_figure(side + 1.3, side + 1.0)
    _confusion(figure, 0.0, 0.0, side, confusion, class_names, title)
    return figure


def has_matrix(configuration: Configuration) -> bool:
    """Return True if a configuration has a confusion matrix that is small enough to be shown."""
    return 0 < len(configuration.figures.confusion or ()) <= _CLASSES


def confusion_matrices(choice: Choice) -> Figure:
    """One matrix a configuration, in the order of the table."""
    shown = [each for each in choice.shown if has_matrix(each)]
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
            configuration.figures.confusion or [],
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
            ('accuracy-time', accuracy_and_time(choice)),
            ('confusion', confusion_matrices(choice)),
            ('learning-curves', learning_curves(choice)),
        ):
            files[f'plots/{name}.svg'] = drawing.svg(figure, name).encode()
            files[f'plots/{name}.png'] = drawing.png(figure)
    return files
