"""The programs of examples/: each is run by a test, as a user runs it."""

import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_no_example_is_without_a_test():
    tests = {'neon_script.py': 'tests/parity/test_live_script.py', 'own_network.py': __file__}
    assert {path.name for path in (ROOT / 'examples').iterdir() if path.is_file()} == set(tests)
    for example, file in tests.items():
        assert example in (ROOT / file).read_text('utf-8')


def test_a_network_of_ones_own_learns(tmp_path):
    environment = dict(os.environ, PYTHONPATH=str(ROOT), OMP_NUM_THREADS='1')
    done = subprocess.run(
        [sys.executable, '-W', 'error', ROOT / 'examples' / 'own_network.py', '4'],
        cwd=tmp_path,
        env=environment,
        text=True,
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    costs = [float(cost) for cost in re.findall(r'cost ([\d.]+)', done.stdout)]
    assert len(costs) == 4
    assert costs[-1] < costs[0] - 0.05
    assert list(tmp_path.iterdir()) == []
