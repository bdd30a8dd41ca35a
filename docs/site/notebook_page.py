"""The notebook as a page: its text, its code, and what it prints and draws if it has been run.

Pictures come from the notebook that run_notebook.py keeps in build/, as long as its cells are those
of docs/notebook.ipynb. Else the page shows the cells alone.
"""

from __future__ import annotations

import base64
import json
import re
from pathlib import Path
from typing import Any

from docutils import nodes
from make_site import EXECUTED
from myst_parser.parsers.sphinx_ import MystParser
from sphinx.application import Sphinx

Notebook = dict[str, Any]

#: The colours and cursor movements of a terminal.
_TERMINAL = re.compile(r'\x1b\[[0-9;]*[A-Za-z]')


class NotebookParser(MystParser):
    """Reads a notebook as the Markdown that its cells make."""

    supported = ('notebook',)

    def parse(self, inputstring: str, document: nodes.document) -> None:
        """Put the page into the document."""
        notebook = json.loads(inputstring)
        source = Path(document.settings.env.srcdir)
        executed = with_outputs(notebook, source / EXECUTED)
        text = to_markdown(executed or notebook, source, EXECUTED.parent)
        super().parse(text, document)


def with_outputs(notebook: Notebook, path: Path) -> Notebook | None:
    """Return the executed notebook of a file, if it has the same cells."""
    if not path.is_file():
        return None
    executed = json.loads(path.read_text('utf-8'))
    ran, kept = ([_text(cell['source']) for cell in one['cells']] for one in (executed, notebook))
    return executed if ran == kept else None


def to_markdown(notebook: Notebook, source: Path, folder: Path) -> str:
    """Return the Markdown of a notebook; write its pictures.

    Parameters
    ----------
    notebook : dict
        The JSON of the format, version 4.
    source : Path
        The folder that Sphinx reads.
    folder : Path
        Where the pictures go, below it.
    """
    parts = []
    for number, cell in enumerate(notebook['cells']):
        if cell['cell_type'] == 'markdown':
            parts.append(_text(cell['source']))
            continue
        parts.append(f'```python\n{_text(cell["source"])}\n```')
        printed = ''
        for place, output in enumerate(cell['outputs']):
            data = output.get('data', {})
            if 'image/png' not in data:
                printed += _text(output.get('text') or data.get('text/plain'))
                continue
            parts += _block(printed)
            printed = ''
            picture = folder / f'{number}-{place}.png'
            (source / folder).mkdir(parents=True, exist_ok=True)
            (source / picture).write_bytes(base64.b64decode(data['image/png']))
            parts.append(f'![What the cell above draws](/{picture.as_posix()})')
        parts += _block(printed)
    return '\n\n'.join(parts)


def _text(lines: str | list[str] | None) -> str:
    """Return text that a notebook holds whole or in lines."""
    return ''.join(lines or '')


def _block(printed: str) -> list[str]:
    """Return printed text as a block of Markdown; nothing if there is none."""
    return [f'```text\n{_TERMINAL.sub("", printed).rstrip()}\n```'] if printed else []


def setup(app: Sphinx) -> dict[str, bool]:
    """Add notebooks to Sphinx."""
    app.add_source_suffix('.ipynb', 'notebook')
    app.add_source_parser(NotebookParser)
    return {'parallel_read_safe': True, 'parallel_write_safe': True}
