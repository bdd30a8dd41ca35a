"""Draw docs/figures/spatial_rnn.svg: how SpatialRNN sweeps the blocks of a feature map.

    .venv/bin/python docs/figures/spatial_rnn.py

The same script always gives the same bytes; tests/unit/test_docs.py compares them.
"""

import io
from pathlib import Path

import matplotlib

matplotlib.use('Agg')
from matplotlib import pyplot
from matplotlib.patches import FancyArrowPatch, Rectangle

INK, MUTED, PAPER = '#1f2933', '#66788a', '#ffffff'
DOWN, UP, LEFT, RIGHT = '#1d6fb8', '#d9822b', '#7a3fb0', '#2a8f5b'
#: Corner and side of the maps, in units of one cell of the input map.
INPUT, MIDDLE, OUTPUT = (0.0, 0.0, 4.0), (6.6, 0.0, 4.0), (13.2, 0.0, 4.0)


def grid(axes, corner, side, cells, width, color):
    """Draw a square map of `cells` x `cells` cells."""
    x, y = corner
    for index in range(cells + 1):
        place = index * side / cells
        axes.plot([x, x + side], [y + place] * 2, color=color, lw=width, solid_capstyle='round')
        axes.plot([x + place] * 2, [y, y + side], color=color, lw=width, solid_capstyle='round')


def arrow(axes, start, end, color):
    """Draw one step of a sweep."""
    axes.add_patch(
        FancyArrowPatch(
            start, end, arrowstyle='-|>', mutation_scale=13, lw=2, color=color, shrinkA=0, shrinkB=0
        )
    )


def words(axes, x, y, text, **style):
    """Write centred text."""
    style = {'fontsize': 10, 'color': INK, 'ha': 'center', 'va': 'center', **style}
    axes.text(x, y, text, **style)


def draw():
    """Return the figure as SVG, in bytes."""
    matplotlib.rcParams.update(
        {'svg.hashsalt': 'spatial_rnn', 'svg.fonttype': 'path', 'font.family': 'DejaVu Sans'}
    )
    figure, axes = pyplot.subplots(figsize=(10.4, 3.9), facecolor=PAPER)
    axes.set_xlim(-0.6, 17.8)
    axes.set_ylim(-1.5, 5.4)
    axes.set_aspect('equal')
    axes.axis('off')

    x, y, side = INPUT
    grid(axes, (x, y), side, 8, 0.4, MUTED)
    grid(axes, (x, y), side, 4, 1.4, INK)
    axes.add_patch(Rectangle((x + 1, y + 2), 1, 1, facecolor='#ffe08a', edgecolor=INK, lw=1.6))
    words(axes, x + 2, 4.6, 'feature map, C x H x W', fontsize=11, weight='bold')
    words(
        axes,
        x + 2,
        -0.65,
        'a block holds C x 2 x 2 values,\nread as one input vector p',
        va='center',
    )

    x, y, side = MIDDLE
    grid(axes, (x, y), side, 4, 0.8, MUTED)
    for column in range(4):
        for row in range(3):
            place = x + column + 0.5
            arrow(axes, (place - 0.18, y + 3.62 - row), (place - 0.18, y + 2.72 - row), DOWN)
            arrow(axes, (place + 0.18, y + 0.38 + row), (place + 0.18, y + 1.28 + row), UP)
    words(axes, x + 2, 4.6, '1. every column', fontsize=11, weight='bold')
    words(axes, x + 2, -0.65, 'downwards and upwards:\nU + U features for each block')

    x, y, side = OUTPUT
    grid(axes, (x, y), side, 4, 0.8, MUTED)
    for row in range(4):
        for column in range(3):
            place = y + row + 0.5
            arrow(axes, (x + 0.38 + column, place + 0.18), (x + 1.28 + column, place + 0.18), RIGHT)
            arrow(axes, (x + 3.62 - column, place - 0.18), (x + 2.72 - column, place - 0.18), LEFT)
    words(axes, x + 2, 4.6, '2. every row of that map', fontsize=11, weight='bold')
    words(axes, x + 2, -0.65, 'rightwards and leftwards:\na map of 2U x H/2 x W/2')

    for start in (INPUT, MIDDLE):
        left = start[0] + 4.45
        arrow(axes, (left, 2.0), (left + 1.65, 2.0), INK)

    file = io.BytesIO()
    figure.savefig(file, format='svg', bbox_inches='tight', metadata={'Date': None})
    pyplot.close(figure)
    return file.getvalue()


if __name__ == '__main__':
    Path(__file__).with_suffix('.svg').write_bytes(draw())
