"""Sheets: pictures with captions, on one picture."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from PIL import Image, ImageDraw, ImageFont

_INK, _PAPER, _FAINT = (27, 31, 38), (255, 255, 255), (91, 100, 114)
_GAP, _LINE, _FONT_SIZE = 12, 17, 13
#: A caption of more lines is cut.
_LINES = 4


class Tile(NamedTuple):
    """A picture with its caption: each text begins a line, and is wrapped."""

    image: Image.Image
    texts: Sequence[str]


def sheet(title: Sequence[str], tiles: Sequence[Tile], columns: int, side: int) -> Image.Image:
    """Lay pictures out in rows, each over its caption.

    Parameters
    ----------
    title : list of str
        Lines above them.
    tiles : list of Tile
    columns : int
        Pictures in a row.
    side : int
        Longer side of a picture in pixels; smaller ones are enlarged, larger ones reduced.

    Returns
    -------
    PIL.Image.Image
    """
    font = ImageFont.load_default(_FONT_SIZE)
    columns = min(columns, len(tiles))
    captions = [_wrapped(tile.texts, font, side) for tile in tiles]
    rows = [captions[first : first + columns] for first in range(0, len(tiles), columns)]
    heights = [side + _GAP + _LINE * max(map(len, row)) for row in rows]
    wide = columns * (side + _GAP) - _GAP
    head = [line for text in title for line in _wrapped([text], font, wide, _LINES * len(tiles))]
    top = _GAP + _LINE * len(head) + _GAP // 2
    page = Image.new('RGB', (wide + 2 * _GAP, top + sum(heights) + _GAP), _PAPER)
    draw = ImageDraw.Draw(page)
    for number, line in enumerate(head):
        draw.text((_GAP, _GAP + number * _LINE), line, _INK, font)
    for index, (tile, lines) in enumerate(zip(tiles, captions, strict=True)):
        left, above = _GAP + index % columns * (side + _GAP), top + sum(heights[: index // columns])
        image = _fitted(tile.image, side)
        page.paste(image, (left + (side - image.width) // 2, above + (side - image.height) // 2))
        for number, line in enumerate(lines):
            place = left, above + side + 3 + number * _LINE
            draw.text(place, line, _FAINT if number else _INK, font)
    return page


def _fitted(image: Image.Image, side: int) -> Image.Image:
    """Return a picture with a longer side of `side` pixels; enlarged pixels stay square."""
    factor = side / max(image.size)
    size = tuple(max(1, round(length * factor)) for length in image.size)
    how = Image.Resampling.NEAREST if factor > 1 else Image.Resampling.LANCZOS
    return image.resize((size[0], size[1]), how)


def _wrapped(texts: Sequence[str], font, width: int, most: int = _LINES) -> list[str]:
    """Break texts into at most `most` lines that are no wider than `width` pixels."""
    lines: list[str] = []
    for text in texts:
        line = ''
        for word in _drawable(text).split(' '):
            longer = f'{line} {word}' if line else word
            if font.getlength(longer) <= width:
                line = longer
                continue
            if line:
                lines.append(line)
            while font.getlength(word) > width:
                length = max(
                    n for n in range(1, len(word)) if n == 1 or font.getlength(word[:n]) <= width
                )
                lines.append(word[:length])
                word = word[length:]
            line = word
        lines.append(line)
    if len(lines) > most:
        lines = [*lines[: most - 1], lines[most - 1][:-3] + '...']
    return lines


def _drawable(text: str) -> str:
    """Escape what the font of Pillow does not have: all but ASCII and Latin-1."""
    return ''.join(
        letter
        if letter.isprintable() and ord(letter) < 256
        else letter.encode('unicode_escape').decode('ascii')
        for letter in text[:1000]
    )
