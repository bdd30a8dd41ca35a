"""The Python that has Intel neon 2.6, for the tests that run on it.

``NEON_PYTHON`` names it (CPython 3.5 or 3.6). Without it, this Python is taken if it has neon, then
/opt/neon/py36/bin/python.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from neon_rnn import engines

ROOT = Path(__file__).resolve().parents[2]


def neon_python():
    """Return the Python that has neon, or None."""
    named = os.environ.get('NEON_PYTHON')
    if named:
        return named
    if engines.installed('neon'):
        return sys.executable
    usual = Path('/opt/neon/py36/bin/python')
    return str(usual) if usual.exists() else None


def needed_neon():
    """Return the Python that has neon; skip the test where there is none."""
    found = neon_python()
    if found is None:
        pytest.skip(
            'Intel neon 2.6 is not installed here: ./run.sh neon makes a Python that has it; set '
            'NEON_PYTHON to it. The results recorded from neon are checked without it '
            '(test_recorded.py)'
        )
    return found


def results(python, checks, environment):
    """Run a file of checks: name of a check -> its line (`neon_layers.run_checks`).

    Parameters
    ----------
    python : str
        Has neon.
    checks : Path
    environment : dict
    """
    done = subprocess.run(
        [python, str(checks)],
        cwd=ROOT,
        env=environment,
        timeout=1800,
        text=True,
        check=False,
        capture_output=True,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    lines = [json.loads(line) for line in done.stdout.splitlines() if line.startswith('{')]
    return {line['name']: line for line in lines}
