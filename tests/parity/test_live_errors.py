"""Bad input to the neon engine: one clear line, the right status, no traceback.

The first tests run everywhere; the others where `live_neon.neon_python` finds a Python with
neon.
"""

import os
import pickle
import shutil
import sys

import numpy as np
import pytest
from live_neon import ROOT, call, printed
from small_datasets import pixels, write_plain_parts

from neon_rnn import engines
from neon_rnn.runs import checkpoint

SIDE = 32
TRAIN = ('train', '--model', 'rnn', '--engine', 'neon', '-z', '4', '-e', '1', '--data')


def refused(python, *arguments, path=(), status):
    """Return the one line that a command which must fail prints to standard error."""
    variables = dict(PYTHONPATH=os.pathsep.join(map(str, [*path, ROOT])), OMP_NUM_THREADS='1')
    done = call(python, '-m', 'neon_rnn', *arguments, **variables)
    assert done.returncode == status, done.stderr[-2000:]
    (line,) = (line for line in done.stderr.splitlines() if line.startswith('neon_rnn '))
    assert 'Traceback' not in done.stderr
    return line


@pytest.fixture(scope='module')
def data(tmp_path_factory):
    """Noise, eight images a part."""
    folder = tmp_path_factory.mktemp('data')
    shape = (3, SIDE, SIDE)
    write_plain_parts(folder, pixels(8, shape, seed=1), np.arange(8) % 2, shape)
    return folder


@pytest.mark.skipif(engines.installed('neon'), reason='this Python has neon')
def test_neon_is_not_installed(data):
    line = refused(sys.executable, *TRAIN, data, status=2)
    assert 'Intel neon 2.6 is not installed in this Python' in line
    assert "'--engine torch' does the same arithmetic here" in line


@pytest.mark.parametrize(
    ('source', 'words'),
    [
        (
            '__version__ = "2.3.0"',
            ['this is Intel neon 2.3.0', 'published with 2.6.0', 'f9d771b', 'docs/container.md'],
        ),
        ('', ['this is Intel neon unknown', 'published with 2.6.0']),
        (
            'import no_such_package',
            ["cannot be imported (No module named 'no_such_package')", 'Python 3.5 or 3.6'],
        ),
        ('__version__ = "2.6.0"; __path__ = []', ['its backends do not load', 'uninstall pycuda']),
    ],
)
def test_a_neon_that_does_not_do(data, tmp_path, source, words):
    (tmp_path / 'neon').mkdir()
    (tmp_path / 'neon' / '__init__.py').write_text(source)
    line = refused(sys.executable, *TRAIN, data, path=[tmp_path], status=2)
    for word in words:
        assert word in line


@pytest.fixture(scope='module')
def run(python, data, tmp_path_factory):
    """Return the folder of a run of one epoch on neon."""
    out = tmp_path_factory.mktemp('runs')
    printed(python, '-m', 'neon_rnn', *TRAIN, data, '-b', 'numpy', '--out', out)
    (folder,) = out.iterdir()
    return folder


def test_a_checkpoint_of_another_model(python, run):
    path = run / 'checkpoint.npz'
    kept = path.read_bytes()
    saved = checkpoint.load(path)
    weights = dict(saved.weights)
    weights['17.vertical.W'] = weights['17.vertical.W'][:, :128]
    weights['99.W'] = weights.pop('2.weight_bias')
    checkpoint.save(path, weights)
    try:
        line = refused(python, 'evaluate', run, '--engine', 'neon', '-b', 'numpy', status=1)
    finally:
        path.write_bytes(kept)
    for words in (
        'the weights are of another model',
        '2.weight_bias is missing',
        '99.W has no place in the model',
        '17.vertical.W is (2562, 128), the model has (2562, 256)',
    ):
        assert words in line


def test_a_data_set_of_another_size(python, run, tmp_path):
    write_plain_parts(tmp_path, np.zeros((8, 12), np.uint8), np.arange(8) % 2, (3, 2, 2))
    line = refused(
        python, 'evaluate', run, '--data', tmp_path, '--engine', 'neon', '-b', 'numpy', status=2
    )
    assert 'test.h5: its images are (3, 2, 2), the run was trained on (3, 32, 32)' in line
    line = refused(python, *TRAIN, tmp_path, '-b', 'numpy', '--out', tmp_path / 'runs', status=2)
    assert 'the RNN network takes images whose sides divide by 32' in line
    assert '2x2' in line


class Malicious:
    def __init__(self, mark):
        self.mark = mark

    def __reduce__(self):
        return os.system, ('touch {}'.format(self.mark),)


def test_a_malicious_file_is_not_run_by_neons_python_either(python, tmp_path):
    mark, target = tmp_path / 'mark', tmp_path / 'checkpoint.npz'
    (tmp_path / 'model.prm').write_bytes(pickle.dumps({'model': Malicious(mark)}, 2))
    line = refused(python, 'convert', tmp_path / 'model.prm', target, status=1)
    assert 'model.prm: refused, nothing in it was run: it names posix.system' in line
    assert not mark.exists()
    assert not target.exists()


def test_no_gpu(python, data, tmp_path):
    why = 'from neon_rnn.engines.neon import library; print(library.why_no_gpu() or "")'
    if not printed(python, '-c', why).strip():
        pytest.skip('this machine has a GPU that neon can use')
    line = refused(python, *TRAIN, data, '-b', 'gpu', '--out', tmp_path, status=2)
    assert '-b gpu: no CUDA for Python here' in line
    assert 'which GPU which CUDA' in line


def test_no_mkl_engine(python, data, tmp_path):
    """A neon that was installed before its engine was built."""
    where = 'import neon, os; print(os.path.dirname(os.path.abspath(neon.__file__)))'
    installed = printed(python, '-c', where).strip()
    shutil.copytree(
        installed, tmp_path / 'neon', ignore=shutil.ignore_patterns('*.so', '__pycache__')
    )
    line = refused(
        python, *TRAIN, data, '-b', 'mkl', '--out', tmp_path / 'runs', path=[tmp_path], status=2
    )
    assert "-b mkl: neon's mkl engine is not built: {}".format(tmp_path) in line
    assert 'mklEngine.so is missing. Build it before neon is installed' in line


def test_no_mkl_library(python, data, tmp_path, monkeypatch):
    """Where the engine's library lies something else: the loader stops there."""
    for name in ('libmkl_rt.so', 'libmklml_gnu.so', 'libmklml_intel.so'):
        (tmp_path / name).touch()
    monkeypatch.setenv('LD_LIBRARY_PATH', str(tmp_path))
    line = refused(python, *TRAIN, data, '-b', 'mkl', '--out', tmp_path / 'runs', status=2)
    assert '-b mkl: neon cannot make its mkl backend ({}'.format(tmp_path) in line
    assert "Is MKL's folder where the engine was linked to find it" in line
