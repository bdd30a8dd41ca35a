"""The palette and fonts of all plots, and figures as reproducible SVG and PNG bytes."""

import html
import io
import re
from contextlib import AbstractContextManager

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

#: Colours in files. On the page each becomes a CSS variable, which follows light and dark.
INK, MUTED, FAINT, PAPER = '#1b1f26', '#5b6472', '#d9dde3', '#fefefe'
OURS, PUBLISHED, OTHER = '#0b62d6', '#b4480f', '#7a5ca8'
VARIABLES = {
    INK: '--ink',
    MUTED: '--muted',
    FAINT: '--faint',
    PAPER: '--paper',
    OURS: '--ours',
    PUBLISHED: '--published',
    OTHER: '--other',
}

_STYLE = {
    'font.family': ['DejaVu Sans'],
    'font.size': 8.5,
    'text.color': INK,
    'axes.labelcolor': MUTED,
    'axes.edgecolor': FAINT,
    'axes.linewidth': 0.8,
    'axes.spines.top': False,
    'axes.spines.right': False,
    'axes.facecolor': PAPER,
    'figure.facecolor': PAPER,
    'axes.grid': True,
    'axes.axisbelow': True,
    'grid.color': FAINT,
    'grid.linewidth': 0.6,
    'xtick.color': FAINT,
    'ytick.color': FAINT,
    'xtick.labelcolor': MUTED,
    'ytick.labelcolor': MUTED,
    'xtick.labelsize': 8,
    'ytick.labelsize': 8,
    'axes.titlesize': 9.5,
    'axes.titleweight': 'bold',
    'axes.titlelocation': 'left',
    'axes.labelsize': 8.5,
    'legend.frameon': False,
    'legend.fontsize': 8,
    'lines.linewidth': 1.6,
    'lines.solid_capstyle': 'round',
    'svg.fonttype': 'none',
    'text.parse_math': False,  # a name with dollar signs is a name
    'path.simplify': True,
}


def new_figure(width: float, height: float) -> Figure:
    """Return an empty figure of so many inches; it must be used within `style`."""
    return Figure(figsize=(width, height))


def style() -> AbstractContextManager[None]:
    """Return the context in which figures are made; it hides the user's matplotlib settings."""
    return mpl.rc_context({**mpl.rcParamsDefault, 'backend': 'agg', **_STYLE})


def place(figure: Figure, left: float, bottom: float, width: float, height: float) -> Axes:
    """Return axes at a fixed place, in inches from the lower left corner of the figure."""
    total_width, total_height = figure.get_size_inches()
    return figure.add_axes(
        (left / total_width, bottom / total_height, width / total_width, height / total_height)
    )


def cut(text: str, most: int) -> str:
    """Return a text of at most so many characters, with an ellipsis where it was longer."""
    return text if len(text) <= most else text[: most - 1] + '…'


def title(axes: Axes, name: str, pad: float) -> None:
    """Write a name above axes; a network's long name in two lines, its variant in the second.

    The variant, in parentheses, is cut to 31 characters.
    """
    if len(name) <= 21 or ' (' not in name:
        axes.set_title(name, pad=pad)
    else:
        lines = [cut(part, 31) for part in name.replace(' (', '\n(', 1).split('\n')]
        axes.set_title('\n'.join(lines), pad=pad, fontsize=7)


def nothing(text: str) -> Figure:
    """Return a figure that says why it is empty."""
    figure = new_figure(5.0, 1.0)
    figure.text(0.5, 0.5, text, ha='center', va='center', color=MUTED)
    return figure


def png(figure: Figure, dpi: int = 160) -> bytes:
    """Return the figure as PNG, without a date or a version."""
    file = io.BytesIO()
    FigureCanvasAgg(figure)
    figure.savefig(file, format='png', dpi=dpi, metadata={'Software': None})
    return file.getvalue()


def svg(figure: Figure, name: str) -> str:
    """Return the figure as an SVG file with its text as text.

    Coordinates are rounded to hundredths, so that all processors give the same file.

    Parameters
    ----------
    figure
        The figure.
    name
        Unique on a page, so that the ids of its figures differ.
    """
    file = io.StringIO()
    with mpl.rc_context({'svg.hashsalt': name}):
        FigureCanvasSVG(figure).print_svg(
            file, metadata={'Date': None, 'Creator': None, 'Format': None, 'Type': None}
        )
    text = re.sub(
        r'(?<![#\w.])-?\d+\.\d{3,}',
        lambda match: f'{float(match[0]):.2f}'.rstrip('0').rstrip('.'),
        file.getvalue(),
    )
    used = set(re.findall(r'(?:href="#|url\(#)([^")]+)', text))
    text = re.sub(r' id="([^"]+)"', lambda match: match[0] if match[1] in used else '', text)
    return re.sub(r'<metadata>.*?</metadata>\n?', '', text, flags=re.DOTALL).replace(' \n', '\n')


def inline(text: str, description: str) -> str:
    """Return an SVG file as part of a page: colours and font from the page, sized by it.

    Parameters
    ----------
    text
        What `svg` returned.
    description
        Plain text for screen readers.
    """
    text = text[text.index('<svg') :]
    for colour, variable in VARIABLES.items():
        text = text.replace(colour, f'var({variable})')
    text = re.sub(r"'DejaVu Sans'(?:, [^;\"]*)?", 'inherit', text)
    found = re.search(r'viewBox="0 0 (\S+) (\S+)"', text)
    assert found is not None
    width, height = found.groups()
    natural = round(float(width) * 4 / 3)  # the unit of the drawing is the point, 4/3 of a pixel
    head = (
        f'<svg viewBox="0 0 {width} {height}" role="img" aria-label="{html.escape(description)}" '
        f'style="--width: {natural}px">'
    )
    # A function, because a string would be searched for escapes such as \\1.
    return re.sub(r'<svg[^>]*>', lambda match: head, text, count=1).strip()
