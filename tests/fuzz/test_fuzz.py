"""Mutated files of every kind: read, or refused in one line that names the file.

Some 2,000 files, the same ones at every run. FUZZ_COUNT and FUZZ_SEED ask for more, or others:
``FUZZ_COUNT=5000 FUZZ_SEED=1 ./run.sh test tests/fuzz -s``.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from readers import READERS

HERE = Path(__file__).resolve().parent
COUNT = int(os.environ.get('FUZZ_COUNT', '100'))
SEED = int(os.environ.get('FUZZ_SEED', '0'))


@pytest.mark.slow
@pytest.mark.parametrize('index', range(len(READERS)), ids=lambda index: READERS[index].name)
def test_mutated_files_are_read_or_refused(index, tmp_path, capsys):
    count = max(1, COUNT // READERS[index].share)
    command = [sys.executable, str(HERE / 'child.py'), str(tmp_path / 'work')]
    done = subprocess.run(
        [*command, str(index), str(count), str(SEED)],
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
        env=dict(os.environ, PYTHONPATH=os.pathsep.join(filter(None, sys.path))),
    )
    assert done.returncode == 0, f'status {done.returncode}: {done.stderr[-2000:]}'
    outcome = json.loads(done.stdout.splitlines()[-1])
    with capsys.disabled():
        print(
            f'\nfuzz {READERS[index].name}: {count} files, {outcome["refused"]} refused, '
            f'{outcome["accepted"]} read, {outcome["mib"]:.0f} MiB',
            end='',
        )
    assert outcome['faults'] == []
    assert outcome['accepted'] + outcome['refused'] == count
    assert outcome['refused'] > 0, 'no fault was noticed'
    assert outcome['mib'] < 1024
    written = {path.name for path in (tmp_path / 'work').iterdir()}
    assert written == {'in'}, 'something was written outside of the folder of the file'
