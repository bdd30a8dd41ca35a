"""docs/notebook.ipynb: it runs from the first cell to the last, and is kept without outputs."""

import ast
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import neon_rnn

ROOT = Path(__file__).resolve().parents[2]
CELLS = json.loads((ROOT / 'docs' / 'notebook.ipynb').read_text('utf-8'))['cells']
CODE = [''.join(cell['source']) for cell in CELLS if cell['cell_type'] == 'code']


def test_it_is_kept_without_outputs():
    for cell in CELLS:
        assert cell.get('outputs', []) == []
        assert cell.get('execution_count') is None
        assert cell['metadata'] == {}


def test_it_needs_the_interface_for_programs_alone():
    tree = ast.parse('\n'.join(CODE))
    imported = [node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    assert [name for name in imported if name.startswith('neon_rnn')] == []
    used = {
        node.attr
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute)
        and isinstance(node.value, ast.Name)
        and node.value.id == 'neon_rnn'
    }
    assert used <= set(neon_rnn.__all__)
    assert {'make_demo', 'build_model', 'train', 'evaluate', 'open_run', 'export_run'} <= used


@pytest.mark.slow
def test_it_runs(tmp_path):
    """All its files go to a temporary folder, which is gone afterwards."""
    temporary = tmp_path / 'temporary'
    temporary.mkdir()
    out = tmp_path / 'out' / 'notebook.ipynb'
    done = subprocess.run(
        [sys.executable, ROOT / 'docs' / 'site' / 'run_notebook.py', out],
        env=dict(os.environ, TMPDIR=str(temporary), PYTHONPATH=str(ROOT)),
        text=True,
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert [path.name for path in out.parent.iterdir()] == ['notebook.ipynb']
    assert [path.name for path in temporary.iterdir() if 'neon_rnn' in path.name] == []
    outputs = [
        output
        for cell in json.loads(out.read_text('utf-8'))['cells']
        for output in cell.get('outputs', [])
    ]
    drawn = [output for output in outputs if 'image/png' in output.get('data', {})]
    assert len(drawn) == 6
    printed = ''.join(''.join(output.get('text', '')) for output in outputs)
    assert 'Traceback' not in printed
    # Answers by chance are right in half of the cases.
    assert float(re.search(r'are right: ([\d.]+)%', printed)[1]) > 60
    assert float(re.search(r'difference from the run: (\S+)', printed)[1]) < 1e-4
    assert float(printed.split()[-1]) < 1e-4  # of the exported network, opened by PyTorch alone


def test_the_page_of_the_site_shows_what_its_cells_made(tools, tmp_path):
    from notebook_page import to_markdown, with_outputs

    printed = {'output_type': 'stream', 'text': ['\x1b[1m7\x1b[0m images\n', 'and 8\n']}
    drawn = {'data': {'image/png': 'iVBORw==', 'text/plain': 'a figure'}}
    value = {'data': {'text/plain': '42'}}
    text = {'cell_type': 'markdown', 'source': ['# Title\n', 'and text']}
    code = {'cell_type': 'code', 'source': 'draw()', 'outputs': []}
    notebook = {'cells': [text, code]}
    path = tmp_path / 'executed.ipynb'
    assert with_outputs(notebook, path) is None
    path.write_text(json.dumps({'cells': [text, dict(code, outputs=[printed, drawn, value])]}))
    executed = with_outputs(notebook, path)
    assert to_markdown(executed, tmp_path, Path('pictures')).split('\n\n') == [
        '# Title\nand text',
        '```python\ndraw()\n```',
        '```text\n7 images\nand 8\n```',
        '![What the cell above draws](/pictures/1-1.png)',
        '```text\n42\n```',
    ]
    assert (tmp_path / 'pictures' / '1-1.png').read_bytes() == b'\x89PNG'
    code['source'] = 'draw(2)'
    assert with_outputs(notebook, path) is None  # of other cells
