"""The plots: learning curves here, the others in `dots` and `matrices`; all plot files."""

import os
from collections.abc import Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from neon_rnn.report import dots, drawing, matrices
from neon_rnn.report.choose import Choice, Configuration
from neon_rnn.report.drawing import FAINT, MUTED, OTHER, OURS, PUBLISHED
from neon_rnn.support.files import atomic_file

_CARD = (3.75, 2.75)
#: So many runs of one configuration are plotted.
_RUNS = 10


def learning_curve(configuration: Configuration, context: Sequence[Configuration] = ()) -> Figure:
    """Plot test accuracy and training cost of one configuration by epoch, one line a seed.

    Must be called within `drawing.style`. The configurations of `context` are faint.
    """
    figure = drawing.new_figure(*_CARD)
    _curve(figure, 0.0, 0.0, configuration, context)
    return figure


def learning_curves(choice: Choice) -> Figure:
    """Plot the learning curves of all configurations shown, in the order of the table."""
    shown = [each for each in choice.shown if has_epochs(each)]
    if not shown:
        return drawing.nothing('No run has finished an epoch yet.')
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
    """Plot one configuration; `left` and `bottom` are its corner, in inches."""
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
    # The axis fits the costs of this configuration, not those of a diverged one of the context.
    lower.set_ylim(
        0,
        1.1
        * max([row['cost'] for run in configuration.runs for row in run.record['epochs']] + [0.1]),
    )
    lower.yaxis.set_major_locator(MaxNLocator(3))
    lower.set_xlabel('epoch', labelpad=2)
    drawing.title(upper, configuration.name, 5)
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
    """Plot the runs of a configuration; as context, unmarked, only the first."""
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
        content = drawing.png(matrices.confusion_matrix(final['confusion'], class_names, title))
    with atomic_file(path) as file:
        file.write(content)


def all_plots(choice: Choice) -> dict[str, bytes]:
    """Return every plot file: name -> content."""
    files = {}
    with drawing.style():
        for name, figure in (
            ('accuracy-time', dots.accuracy_and_time(choice)),
            ('confusion', matrices.confusion_matrices(choice)),
            ('learning-curves', learning_curves(choice)),
        ):
            files[f'plots/{name}.svg'] = drawing.svg(figure, name).encode()
            files[f'plots/{name}.png'] = drawing.png(figure)
    return files
