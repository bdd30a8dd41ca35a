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


def call(python, *words, timeout=300, **variables):
    """Run a Python in the project's folder, whatever its exit status: the finished process.

    Parameters
    ----------
    python : str
    *words
        Of the command line.
    timeout : float
        Seconds.
    **variables : str
        Of the environment.
    """
    return subprocess.run(
        [str(word) for word in (python, *words)],
        cwd=ROOT,
        env={**os.environ, 'PYTHONPATH': str(ROOT), **variables},
        timeout=timeout,
        text=True,
        check=False,
        capture_output=True,
    )


def printed(python, *words, timeout=300, **variables):
    """Return what a program prints that has to succeed; arguments as those of `call`."""
    done = call(python, *words, timeout=timeout, **variables)
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


def results(python, checks, **variables):
    """Run a file of checks: name of a check -> its line (`neon_layers.run_checks`).

    Parameters
    ----------
    python : str
        Has neon.
    checks : Path
    **variables : str
        Of the environment.
    """
    lines = printed(python, checks, timeout=1800, **variables).splitlines()
    found = [json.loads(line) for line in lines if line.startswith('{')]
    return {line['name']: line for line in found}
