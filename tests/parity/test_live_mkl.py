"""doctor and training on a real MKL that computes wrongly, and on the right one, under real neon.

``NEON_FAULTY_MKL`` names a folder with the libraries of such an MKL (CONTRIBUTING.md says how to
get them: the wheel mkl 2018.0.0); it goes before the right one in LD_LIBRARY_PATH. Runs where
`live_neon.neon_python` finds a Python with neon.
"""

import json
import os
from pathlib import Path

import numpy as np
import pytest
from live_neon import call
from small_datasets import write_plain_parts


@pytest.fixture(scope='module')
def neon(python):
    """Run a command under neon's Python; returns (status, standard output, standard error)."""

    def run(*arguments, libraries=None):
        variables = {'LD_LIBRARY_PATH': str(libraries)} if libraries else {}
        done = call(python, '-m', 'neon_rnn', *arguments, **variables)
        return done.returncode, done.stdout, done.stderr

    return run


@pytest.fixture(scope='module')
def faulty():
    """Return the folder of the faulty MKL."""
    named = os.environ.get('NEON_FAULTY_MKL')
    if not named:
        pytest.skip(
            'NO FAULTY MKL: the self-test was not held to a real one; set NEON_FAULTY_MKL to the '
            'libraries of the wheel mkl 2018.0.0 (CONTRIBUTING.md)'
        )
    assert (Path(named) / 'libmkl_rt.so').is_file(), named
    return named


def test_the_right_mkl_is_usable(neon):
    status, printed, errors = neon('doctor', '--json')
    assert status == 0, errors
    mkl = json.loads(printed)['engines']['neon']['backends']['mkl']
    assert (mkl['state'], mkl['problem']) == ('usable', None)
    assert 'Version 2018.0.' in mkl['device']['mkl']


def test_the_faulty_mkl_is_a_failure_though_other_backends_work(neon, faulty):
    status, printed, errors = neon('doctor', '--json', libraries=faulty)
    assert status == 1
    engine = json.loads(printed)['engines']['neon']
    assert engine['state'] == 'usable'
    assert {name: backend['state'] for name, backend in engine['backends'].items()} == {
        'gpu': 'missing',
        'mkl': 'wrong',
        'numpy': 'usable',
    }
    for words in ('1x1 convolutions wrongly', 'Version 2018.0.0', 'mkl 2018.0.3'):
        assert words in engine['backends']['mkl']['problem']
    assert 'there but WRONG' in errors
    assert 'engine neon, -b mkl: this MKL computes 1x1 convolutions wrongly' in errors

    status, printed, errors = neon('doctor', libraries=faulty)
    assert status == 1
    assert '-b mkl    WRONG: this MKL computes 1x1 convolutions wrongly' in printed
    assert '-b numpy  yes: ' in printed


def test_nothing_trains_on_the_faulty_mkl(neon, faulty, tmp_path):
    write_plain_parts(tmp_path, np.zeros((8, 3072), np.uint8), np.arange(8) % 2, (3, 32, 32))
    out = tmp_path / 'runs'
    status, _, errors = neon(
        'train',
        '--model',
        'rnn',
        '--data',
        str(tmp_path),
        '--engine',
        'neon',
        '-b',
        'mkl',
        '-z',
        '4',
        '-e',
        '1',
        '--out',
        str(out),
        libraries=faulty,
    )
    assert status == 1
    assert 'this MKL computes 1x1 convolutions wrongly' in errors
    assert 'Traceback' not in errors
    assert not list(out.glob('*/checkpoint.npz'))
