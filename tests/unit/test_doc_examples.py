"""The programs that the pages show run, as they are printed.

A block ``python`` is run in a process of its own; ``python no-run`` is only compiled, because it
needs what a page cannot bring along.
"""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
BLOCKS = [
    pytest.param(kind, code, id='{}-{}'.format(page.name, number))
    for page in [ROOT / 'README.md', *sorted((ROOT / 'docs').glob('*.md'))]
    for number, (kind, code) in enumerate(
        re.findall(r'^```(python.*?)\n(.*?)^```', page.read_text('utf-8'), re.DOTALL | re.MULTILINE)
    )
]


def test_there_are_examples():
    assert len(BLOCKS) > 2


@pytest.mark.parametrize(('kind', 'code'), BLOCKS)
def test_an_example(kind, code, tmp_path):
    compile(code, 'the example', 'exec')
    if kind == 'python no-run':
        return
    assert kind == 'python'
    environment = dict(os.environ, PYTHONPATH=str(ROOT), NEON_RNN_HOME=str(tmp_path))
    done = subprocess.run(
        [sys.executable, '-W', 'error', '-c', code],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
