"""examples/neon_script.py on real neon trains the network that this project trains.

Runs where `live_neon.neon_python` finds a Python with neon.
"""

import re

import numpy as np
import pytest
from live_neon import ROOT, call

from neon_rnn import training
from neon_rnn.cli import main
from neon_rnn.runs import checkpoint, trained_run
from neon_rnn.weights import neon_prm

pytestmark = pytest.mark.slow

EPOCHS, BATCH = 2, 8


@pytest.fixture(scope='module')
def data(tmp_path_factory):
    """Draw 24 and 10 synthetic portraits of 32x32 pixels."""
    folder = tmp_path_factory.mktemp('data') / 'demo'
    words = ['--out', str(folder), '--train', '24', '--test', '10', '--size', '32']
    assert main(['data', 'demo', *words]) == 0
    return folder


def run(python, *words):
    return call(python, ROOT / 'examples' / 'neon_script.py', *words, OMP_NUM_THREADS='1')


@pytest.fixture(scope='module')
def ours(data, tmp_path_factory):
    """Train the row rnn on the torch engine, in the order of the file like neon's iterator."""
    settings = training.Settings.of(
        model='rnn',
        options={},
        data=str(data),
        engine='torch',
        backend='cpu',
        batch_size=BATCH,
        epochs=EPOCHS,
        seed=0,
        shuffle=False,
        threads=1,
    )
    return training.train(settings, str(tmp_path_factory.mktemp('runs')))


@pytest.mark.parametrize('backend', ['cpu', 'mkl'])
def test_the_script_trains_the_same_network(python, data, ours, tmp_path, backend):
    written = tmp_path / 'model.prm'
    done = run(python, '-w', data, '-b', backend, '-e', EPOCHS, '-z', BATCH, '-r', 0, '-s', written)
    assert done.returncode == 0, done.stderr[-2000:]
    accuracy = float(re.search(r'test accuracy ([\d.]+)%', done.stdout).group(1))
    found = neon_prm.read(written).weights
    expected = checkpoint.load(trained_run.checkpoint_path(ours.folder)).weights
    assert list(found) == list(expected)
    # One float32 training beside another; neon's own backends differ as much.
    tolerance = {'cpu': 2e-4, 'mkl': 2e-2}[backend]
    for name, values in expected.items():
        difference = np.abs(found[name] - values).max() / np.abs(values).max()
        assert difference < tolerance, '{}: {}'.format(name, difference)
    if backend == 'cpu':
        assert accuracy == pytest.approx(100 * ours.record['final']['accuracy'], abs=0.06)


def test_it_says_what_is_missing(python, tmp_path):
    done = run(python, '-w', tmp_path, '-b', 'cpu')
    assert done.returncode != 0
    assert 'train.h5' in done.stderr
