"""Confusion matrices as plots."""

from collections.abc import Sequence

from matplotlib.figure import Figure

from neon_rnn.report import drawing
from neon_rnn.report.choose import Choice, Configuration
from neon_rnn.report.drawing import INK, OURS, PUBLISHED

#: Confusion matrices of more classes are not plotted.
_CLASSES = 10


def confusion_matrix(
    confusion: Sequence[Sequence[int]], class_names: Sequence[str], title: str = ''
) -> Figure:
    """Plot counts, and shares of each true class as shades; rows are true classes."""
    side = max(2.6, 0.75 * len(class_names))
    figure = drawing.new_figure(side + 1.3, side + 1.0)
    _confusion(figure, 0.0, 0.0, side, confusion, class_names, title)
    return figure


def has_matrix(configuration: Configuration) -> bool:
    """Return True if a configuration has a confusion matrix that is small enough to be shown."""
    return 0 < len(configuration.figures.confusion or ()) <= _CLASSES


def confusion_matrices(choice: Choice) -> Figure:
    """Plot the matrix of every configuration shown, in the order of the table."""
    shown = [each for each in choice.shown if has_matrix(each)]
    if not shown:
        return drawing.nothing('No run has been evaluated yet.')
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
        drawing.title(axes, title, 6)
