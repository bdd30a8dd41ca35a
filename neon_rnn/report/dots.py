"""The dot plot: accuracy and training time, one row a network."""

from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator

from neon_rnn.report import drawing
from neon_rnn.report.choose import COMPLETE, OTHER_DATA, Choice, Configuration
from neon_rnn.report.drawing import INK, MUTED, OTHER, OURS, PAPER, PUBLISHED

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
    labels = [drawing.cut(name, 36) for name in names]
    left = 1.45 + 0.067 * max(0, *(len(label) - 21 for label in labels))  # room for the labels
    height = 0.22 * len(names) + 0.1
    below = 0.62 if wide else 1.15  # room for the legend
    width = left + (8.75 if wide else 2.25)
    figure = drawing.new_figure(width, below + (1 if wide else 2) * (height + 0.4))
    bottom = below if wide else below + height + 0.4
    side = 4.15 if wide else 2.1
    accuracy = drawing.place(figure, left, bottom, side, height)
    time = drawing.place(figure, left + side + 0.3 if wide else left, below, side, height)
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
    for axes, title in ((accuracy, 'test accuracy, %'), (time, 'time for the published epochs')):
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
    """Return the measured time, or the projected one if not all published epochs were trained."""
    figures = configuration.figures
    if configuration.row is None or figures.epochs == configuration.row.epochs:
        return figures.training_seconds
    return configuration.projected_seconds
