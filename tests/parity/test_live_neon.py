"""The neon engine on real neon: `neon_checks.py` run by neon's own Python.

``NEON_PYTHON`` names a Python in which Intel neon 2.6 is installed (CPython 3.5 or 3.6); without it, this Python is taken if
it has neon, then /opt/neon/py36/bin/python. Elsewhere the checks run in the container.
"""
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from neon_rnn import engines

ROOT = Path(__file__).resolve().parents[2]
CHECKS = ROOT / 'tests' / 'parity' / 'neon_checks.py'
NAMES = sorted(line[4:line.index('(')] for line in CHECKS.read_text().splitlines() if line.startswith('def test_'))


def neon_python():
    """The Python that has neon, or None."""
    named = os.environ.get('NEON_PYTHON')
    if named:
        return named
    if engines.installed('neon'):
        return sys.executable
    usual = Path('/opt/neon/py36/bin/python')
    return str(usual) if usual.exists() else None


@pytest.fixture(scope='module')
def problems():
    """Name of a check -> None or its traceback."""
    python = neon_python()
    if python is None:
        pytest.skip('Intel neon 2.6 is not installed here: set NEON_PYTHON to a Python that has it, or run '
                    "'docker compose run --rm neon-cpu'; the results recorded from it are checked without (test_recorded.py)")
    environment = dict(os.environ, PYTHONPATH=str(ROOT))
    done = subprocess.run([python, str(CHECKS)], cwd=ROOT, env=environment, timeout=600, text=True, check=False,
                          capture_output=True)
    assert done.returncode == 0, done.stderr[-2000:]
    lines = [json.loads(line) for line in done.stdout.splitlines() if line.startswith('{')]
    return {line['name']: line['problem'] for line in lines}


@pytest.mark.parametrize('name', NAMES)
def test_on_real_neon(problems, name):
    assert problems[name] is None, problems[name]


def test_every_check_ran(problems):
    assert sorted(problems) == NAMES
    assert len(NAMES) >= 14
