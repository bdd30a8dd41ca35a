"""What all plots share: the palette, fonts, and figures as reproducible SVG and PNG bytes."""

import io
import re
from contextlib import AbstractContextManager

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

#: Colours in files; on the page each becomes the CSS variable of its name, so that it follows light and dark.
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
    'path.simplify': True,
}


def new_figure(width: float, height: float) -> Figure:
    """An empty figure of so many inches; everything drawn on it must be within `style`."""
    return Figure(figsize=(width, height))


def style() -> AbstractContextManager[None]:
    """The context in which figures are made and drawn; settings of the user's matplotlib do not matter in it."""
    return mpl.rc_context({**mpl.rcParamsDefault, 'backend': 'agg', **_STYLE})


def place(figure: Figure, left: float, bottom: float, width: float, height: float) -> Axes:
    """Axes at a place given in inches from the lower left corner; fixed, so that no font measure moves it."""
    total_width, total_height = figure.get_size_inches()
    return figure.add_axes(
        (left / total_width, bottom / total_height, width / total_width, height / total_height)
    )


def png(figure: Figure, dpi: int = 160) -> bytes:
    """The figure as PNG, without a date or a version in it."""
    file = io.BytesIO()
    FigureCanvasAgg(figure)
    figure.savefig(file, format='png', dpi=dpi, metadata={'Software': None})
    return file.getvalue()


def svg(figure: Figure, name: str) -> str:
    """The figure as an SVG file, its text as text.

    Coordinates are rounded to hundredths, so that the last digits of another processor's arithmetic do not show.

    Parameters
    ----------
    figure
        The figure.
    name
        Makes the ids in it differ from those of other figures on the same page.
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
    """An SVG file as part of a page: colours and font from the page, sized by it, described for screen readers."""
    text = text[text.index('<svg') :]
    for colour, variable in VARIABLES.items():
        text = text.replace(colour, f'var({variable})')
    text = re.sub(r"'DejaVu Sans'(?:, [^;\"]*)?", 'inherit', text)
    width, height = re.search(r'viewBox="0 0 (\S+) (\S+)"', text).groups()  # type: ignore[union-attr]
    natural = round(float(width) * 4 / 3)  # the unit of the drawing is the point, 4/3 of a pixel
    head = f'<svg viewBox="0 0 {width} {height}" role="img" aria-label="{description}" style="--width: {natural}px">'
    return re.sub(r'<svg[^>]*>', head, text, count=1).strip()
