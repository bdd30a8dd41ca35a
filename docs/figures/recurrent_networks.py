"""Draw the recurrent networks of docs/lecture.md, unrolled over three steps.

    .venv/bin/python docs/figures/recurrent_networks.py

It writes one SVG file for each network beside itself. The same script always gives the same bytes;
tests/unit/test_docs.py compares them.
"""

import math
from pathlib import Path

INK, MUTED, PAPER = '#1f2933', '#66788a', '#ffffff'
INPUT, HIDDEN, OUTPUT, BACK = '#e3ecf5', '#ffe9b8', '#dcf0e2', '#eadcf5'
RECURRENT = '#b3541e'
#: Radius of a node; distance of two steps and of two layers.
RADIUS, STEP, LAYER = 23, 170, 96
STEPS = ('t−1', 't', 't+1')
SUBSCRIPTS = {'1': '₁', '2': '₂', '3': '₃'}


class Drawing:
    """The elements of an SVG file; y grows upwards."""

    def __init__(self, width, height):
        self.width, self.height, self.parts = width, height, []

    def text(self, x, y, words, size=15, color=INK, style='normal'):
        """Write centred text."""
        self.parts.append(
            f'<text x="{x:g}" y="{self.height - y + size * 0.35:g}" font-size="{size}" '
            f'fill="{color}" font-style="{style}">{words}</text>'
        )

    def symbol(self, x, y, name, step, size=16):
        """Write a variable with the step as its index, such as h with t−1."""
        self.parts.append(
            f'<text x="{x:g}" y="{self.height - y + size * 0.3:g}" font-size="{size}" '
            f'fill="{INK}"><tspan font-style="italic">{name}</tspan>'
            f'<tspan dy="4" font-size="11">{step}</tspan></text>'
        )

    def node(self, x, y, name, step, fill):
        """Draw a node with its variable."""
        self.parts.append(
            f'<circle cx="{x:g}" cy="{self.height - y:g}" r="{RADIUS}" fill="{fill}" '
            f'stroke="{INK}" stroke-width="1.4"/>'
        )
        self.symbol(x, y, name, step)

    def box(self, x, y, width, height, fill, radius=10):
        """Draw a box around a centre."""
        self.parts.append(
            f'<rect x="{x - width / 2:g}" y="{self.height - y - height / 2:g}" width="{width:g}" '
            f'height="{height:g}" rx="{radius}" fill="{fill}" stroke="{INK}" stroke-width="1.4"/>'
        )

    def arrow(self, start, end, label='', color=INK, bend=0.0, gap=RADIUS, side=1, dashed=False):
        """Draw an arrow from the rim of one node to that of another, with the name of its weights.

        `bend` is how far its middle lies to the left of the straight line.
        """
        (x, y), (u, v) = start, end
        length = math.hypot(u - x, v - y)
        across = (-(v - y) / length, (u - x) / length)
        middle = ((x + u) / 2 + bend * across[0], (y + v) / 2 + bend * across[1])
        first, last = (self._towards(point, middle, gap) for point in (start, end))
        dash = ' stroke-dasharray="5 4"' if dashed else ''
        path = f'M{first[0]:.1f} {self.height - first[1]:.1f} '
        path += f'Q{middle[0]:.1f} {self.height - middle[1]:.1f} '
        path += f'{last[0]:.1f} {self.height - last[1]:.1f}'
        marker = 'recurrent' if color == RECURRENT else 'plain'
        self.parts.append(
            f'<path d="{path}" fill="none" stroke="{color}" stroke-width="1.8"{dash} '
            f'marker-end="url(#{marker})"/>'
        )
        if label:
            place = [
                0.25 * first[axis]
                + 0.5 * middle[axis]
                + 0.25 * last[axis]
                + side * 13 * across[axis]
                for axis in (0, 1)
            ]
            self.text(*place, label, 15, color, 'italic')

    @staticmethod
    def _towards(point, other, distance):
        """Return the point at a distance from one point towards another."""
        length = math.hypot(other[0] - point[0], other[1] - point[1])
        return tuple(a + (b - a) * distance / length for a, b in zip(point, other, strict=True))

    def svg(self, title):
        """Return the file."""
        markers = ''.join(
            f'<marker id="{name}" viewBox="0 0 10 10" refX="9" refY="5" markerWidth="7" '
            f'markerHeight="7" orient="auto-start-reverse"><path d="M0 0L10 5L0 10z" '
            f'fill="{color}"/></marker>'
            for name, color in (('plain', INK), ('recurrent', RECURRENT))
        )
        head = (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {self.width} {self.height}" '
            f'width="{self.width}" height="{self.height}" text-anchor="middle" '
            f'font-family="DejaVu Sans, Verdana, sans-serif">'
        )
        lines = [head, f'<title>{title}</title>', f'<defs>{markers}</defs>']
        lines.append(f'<rect width="{self.width}" height="{self.height}" fill="{PAPER}"/>')
        return '\n'.join([*lines, *self.parts, '</svg>', ''])


def unrolled(title, layers, weights, loops):
    """Draw a network whose step is a column of layers.

    Parameters
    ----------
    title : str
    layers : list of (str, str)
        Variable and colour, the input first.
    weights : list of str
        Names beside the arrows from each layer to the next.
    loops : list of (int, int, str)
        From a layer of one step to a layer of the next, and the name of the weights.
    """
    drawing = Drawing(STEP * 2 + 240, LAYER * (len(layers) - 1) + 110)
    place = [
        [(120 + STEP * step, 55 + LAYER * layer) for layer in range(len(layers))]
        for step in range(3)
    ]
    for source, target, name in loops:
        _loop(drawing, place, source, target, name)
    for step in range(3):
        for layer, name in enumerate(weights):
            drawing.arrow(place[step][layer], place[step][layer + 1], name)
        for layer, (name, fill) in enumerate(layers):
            drawing.node(*place[step][layer], name, STEPS[step], fill)
    return drawing.svg(title)


def _loop(drawing, place, source, target, name):
    """Draw the arrows of a recurrence: between the steps, into the first and out of the last."""
    before, after = (
        [(x + sign * STEP, y) for x, y in column]
        for column, sign in ((place[0], -1), (place[2], 1))
    )
    columns = [before, *place, after]
    for step in range(4):
        start, end = columns[step][source], columns[step + 1][target]
        if step == 0:
            start = tuple(0.55 * a + 0.45 * b for a, b in zip(end, start, strict=True))
        if step == 3:
            end = tuple(0.55 * a + 0.45 * b for a, b in zip(start, end, strict=True))
        whole = step in (1, 2)
        drawing.arrow(start, end, name if whole else '', RECURRENT, gap=RADIUS, dashed=not whole)


def bidirectional(title):
    """Draw two networks over the same input, one in each direction."""
    drawing = Drawing(STEP * 2 + 260, LAYER * 3 + 110)
    columns = [130 + STEP * step for step in range(3)]
    rows = [55 + LAYER * layer for layer in range(4)]
    for step in (0, 1):
        left, right = columns[step], columns[step + 1]
        drawing.arrow((left - 24, rows[1]), (right - 24, rows[1]), 'W→', RECURRENT)
        drawing.arrow((right + 24, rows[2]), (left + 24, rows[2]), 'W←', RECURRENT, side=-1)
    for step, x in enumerate(columns):
        drawing.arrow((x, rows[0]), (x - 24, rows[1]), 'U→')
        drawing.arrow((x, rows[0]), (x + 24, rows[2]), 'U←', bend=-22, side=-1)
        drawing.arrow((x - 24, rows[1]), (x, rows[3]), bend=22)
        drawing.arrow((x + 24, rows[2]), (x, rows[3]))
        drawing.node(x, rows[0], 'x', STEPS[step], INPUT)
        drawing.node(x - 24, rows[1], 'h→', STEPS[step], HIDDEN)
        drawing.node(x + 24, rows[2], 'h←', STEPS[step], BACK)
        drawing.node(x, rows[3], 'y', STEPS[step], OUTPUT)
    return drawing.svg(title)


def gated(title, cell, gates, lines):
    """Draw a cell with gates, unrolled: the middle step open, with the gates in their order.

    Parameters
    ----------
    title, cell : str
    gates : list of (str, str)
        Variable, and what it decides.
    lines : list of str
        What is carried from step to step, the lowest first.
    """
    width = 108 * len(gates) + 20
    drawing = Drawing(width + 420, 330)
    centres = (85, 210 + width / 2, width + 335)
    heights = [205 - 40 * number for number in range(len(lines))]
    for step, x in enumerate(centres):
        open_ = step == 1
        size = (width, 170) if open_ else (90, 170)
        drawing.box(x, 165, *size, HIDDEN)
        drawing.arrow((x, 35), (x, 80), '' if not open_ else 'U', gap=0, side=-1)
        drawing.arrow((x, 250), (x, 296), gap=0)
        drawing.symbol(x, 22, 'x', STEPS[step])
        drawing.symbol(x, 310, 'h', STEPS[step])
        if not open_:
            drawing.text(x, 165, cell)
    for number, name in enumerate(lines):
        y = heights[number]
        for step in (0, 1):
            sides = (45, width / 2) if step == 0 else (width / 2, 45)
            start, end = centres[step] + sides[0], centres[step + 1] - sides[1]
            drawing.arrow((start, y), (end, y), gap=0, color=RECURRENT)
            drawing.symbol((start + end) / 2, y + 16, name, STEPS[step])
    for number, (name, decides) in enumerate(gates):
        x = centres[1] - width / 2 + 64 + 108 * number
        drawing.box(x, 180, 84, 56, PAPER, 8)
        drawing.symbol(x, 190, name, 't')
        drawing.text(x, 168, decides, 10, MUTED)
        drawing.text(x, 130, str(number + 1), 13, MUTED)
    return drawing.svg(title)


X, H, Y = ('x', INPUT), ('h', HIDDEN), ('y', OUTPUT)


def draw():
    """Return name of the file -> SVG, in bytes."""
    drawings = {
        'elman': unrolled('Elman network', [X, H, Y], ['U', 'V'], [(1, 1, 'W')]),
        'jordan': unrolled('Jordan network', [X, H, Y], ['U', 'V'], [(2, 1, 'W')]),
        'deep_transition': unrolled(
            'Deep transition', [X, ('z', HIDDEN), H], ['U', 'V'], [(2, 1, 'W')]
        ),
        'deep_output': unrolled(
            'Deep output',
            [X, H, ('z', OUTPUT), Y],
            ['U', 'V' + SUBSCRIPTS['2'], 'V' + SUBSCRIPTS['3']],
            [(1, 1, 'W')],
        ),
        'stacked': unrolled(
            'Stacked recurrent layers',
            [X, ('h¹', HIDDEN), ('h²', HIDDEN)],
            ['U' + SUBSCRIPTS['1'], 'U' + SUBSCRIPTS['2']],
            [(1, 1, 'W' + SUBSCRIPTS['1']), (2, 2, 'W' + SUBSCRIPTS['2'])],
        ),
        'bidirectional': bidirectional('Bidirectional network'),
        'lstm': gated(
            'Long short-term memory',
            'LSTM',
            [('f', 'forget'), ('i, C̃', 'new values'), ('C', 'new state'), ('o, h', 'output')],
            ['C', 'h'],
        ),
        'gru': gated(
            'Gated recurrent unit',
            'GRU',
            [('r', 'reset'), ('z', 'update'), ('h̃', 'candidate')],
            ['h'],
        ),
    }
    return {f'{name}.svg': svg.encode() for name, svg in drawings.items()}


if __name__ == '__main__':
    for name, svg in draw().items():
        Path(__file__).with_name(name).write_bytes(svg)
