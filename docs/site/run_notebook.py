"""Run docs/notebook.ipynb, and keep it with its pictures in build/, which git ignores.

    .venv/bin/python docs/site/run_notebook.py [FILE]

The notebook itself stays without outputs. Needs the extras ``torch`` and ``notebook``.
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

from make_site import EXECUTED, ROOT

try:
    import nbclient
    import nbformat
except ImportError as error:
    sys.exit(f"{error}. Install what it needs: .venv/bin/pip install -e '.[torch,notebook]'")

NOTEBOOK = ROOT / 'docs' / 'notebook.ipynb'
#: Seconds that one cell may take.
PATIENCE = 1200


def execute(out: Path) -> None:
    """Run the notebook and write it, with its outputs, to a file.

    Parameters
    ----------
    out : Path
        Its folder is made, and is the working directory of the notebook.

    Raises
    ------
    nbclient.exceptions.CellExecutionError
        A cell failed; the message shows it.
    """
    out.parent.mkdir(parents=True, exist_ok=True)
    os.environ.pop('MPLBACKEND', None)  # the kernel's own draws into the notebook
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    client = nbclient.NotebookClient(
        notebook,
        timeout=PATIENCE,
        kernel_name='python3',
        resources={'metadata': {'path': str(out.parent)}},
        on_cell_executed=lambda cell, cell_index, execute_reply: print(
            f'cell {cell_index + 1} of {len(notebook.cells)}', file=sys.stderr
        ),
    )
    client.execute()
    nbformat.write(notebook, out)


if __name__ == '__main__':
    started = time.monotonic()
    target = Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / EXECUTED
    execute(target)
    print(f'{target}: {time.monotonic() - started:.0f} s')
