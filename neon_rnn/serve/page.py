"""What the server sends: the page with its style and its script, and answers as JSON."""

from __future__ import annotations

import base64
import importlib.resources
import json
from typing import Any, NamedTuple

import jinja2

from neon_rnn.data.images import FORMATS
from neon_rnn.explain.explainer import Explainer, Explanation
from neon_rnn.explain.pictures import pictures, png

#: A photograph of more bytes is refused. Pixels are bounded by `data.images`.
MAX_BYTES = 32 << 20
#: The types of photographs that are taken: those that `data.images` reads.
TYPES = {
    'image/jpeg': 'JPEG',
    'image/png': 'PNG',
    'image/bmp': 'BMP',
    'image/gif': 'GIF',
    'image/webp': 'WEBP',
    'image/tiff': 'TIFF',
    'image/x-portable-pixmap': 'PPM',
}
assert sorted(TYPES.values()) == sorted(FORMATS)


class File(NamedTuple):
    """A file of the page."""

    content: bytes
    type: str


def files(explainer: Explainer) -> dict[str, File]:
    """Return path -> file of the page."""
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined)
    template = environment.from_string(_own('page.html.j2').decode('utf-8'))
    html = template.render(
        source=explainer.source,
        name=explainer.name,
        synthetic=explainer.kind == 'synthetic',
        types=','.join(TYPES),
        most=MAX_BYTES,
    )
    return {
        '/': File(html.encode('utf-8'), 'text/html; charset=utf-8'),
        '/page.css': File(_own('page.css'), 'text/css; charset=utf-8'),
        '/page.js': File(_own('page.js'), 'text/javascript; charset=utf-8'),
    }


def answer(explanation: Explanation) -> dict[str, Any]:
    """Return an explanation as the page shows it; pictures are PNG files in ``data:`` addresses."""
    return {
        'class': explanation.best,
        'probabilities': list(explanation.probabilities.items()),
        'pictures': [
            {
                'name': each.name,
                'caption': each.caption,
                'detail': each.detail,
                'source': 'data:image/png;base64,' + base64.b64encode(png(each.image)).decode(),
            }
            for each in pictures(explanation)
        ],
    }


def to_json(value: dict[str, Any]) -> File:
    """Return JSON."""
    text = json.dumps(value, allow_nan=False, sort_keys=True)
    return File(text.encode('utf-8'), 'application/json')


def _own(name: str) -> bytes:
    """Read a file that lies beside this module."""
    return importlib.resources.files(__package__).joinpath(name).read_bytes()
