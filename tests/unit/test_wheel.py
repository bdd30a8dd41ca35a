"""The wheel, installed into an empty folder, works from any working directory."""

import hashlib
import json
import os
import pickle
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from page_client import Served, exchange, request
from PIL import Image

from neon_rnn.cli import COMMANDS

ROOT = Path(__file__).resolve().parents[2]

pytestmark = pytest.mark.slow


@pytest.fixture(scope='module')
def site(tmp_path_factory):
    """Build the wheel from a copy of the sources, and install it into a folder of its own."""
    source, wheels, site = (tmp_path_factory.mktemp(name) for name in ('source', 'wheels', 'site'))
    for name in ('pyproject.toml', 'README.md'):
        shutil.copy(ROOT / name, source)
    ignored = shutil.ignore_patterns('__pycache__')
    shutil.copytree(ROOT / 'neon_rnn', source / 'neon_rnn', ignore=ignored)
    pip = [sys.executable, '-m', 'pip', '--quiet', '--disable-pip-version-check']
    run([*pip, 'wheel', '--no-deps', '--wheel-dir', str(wheels), str(source)])
    (wheel,) = wheels.iterdir()
    run([*pip, 'install', '--no-deps', '--no-compile', '--target', str(site), str(wheel)])
    before = contents(site)
    yield site
    assert contents(site) == before, 'something was written beside the package'


def contents(folder):
    """Return path -> sha256 of the files below a folder."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob('*'))
        if path.is_file()
    }


def run(command, **keywords):
    done = subprocess.run(command, capture_output=True, text=True, check=False, **keywords)
    assert done.returncode == 0, f'{command}:\n{done.stdout}\n{done.stderr}'
    return done.stdout


@pytest.fixture(scope='module')
def neon_rnn(site, tmp_path_factory):
    """Return a function that runs a command of the installed package in an empty folder."""
    here = tmp_path_factory.mktemp('working directory')
    environment = {name: text for name, text in os.environ.items() if name != 'NEON_RNN_HOME'}
    environment.update(PYTHONPATH=str(site), OMP_NUM_THREADS='1')
    # Python's bytecode and Numba's machine code would go to __pycache__ beside the modules.
    machine_code = str(tmp_path_factory.mktemp('machine code'))
    environment.update(PYTHONDONTWRITEBYTECODE='1', NUMBA_CACHE_DIR=machine_code)

    def call(*words):
        return run([sys.executable, '-m', 'neon_rnn', *words], cwd=here, env=environment)

    call.here, call.environment = here, environment
    where = [sys.executable, '-c', 'import neon_rnn; print(neon_rnn.__file__)']
    assert run(where, cwd=here, env=environment).startswith(str(site))
    return call


@pytest.fixture(scope='module')
def demo(neon_rnn):
    """Run the main job on tiny data; return the folder of its run."""
    neon_rnn('data', 'demo', '--out', 'data/demo', '--train', '128', '--test', '16', '--size', '32')
    neon_rnn('demo', '-e', '1')
    (folder,) = (neon_rnn.here / 'results' / 'own' / 'runs').iterdir()
    return folder


def test_the_demo_writes_into_the_working_directory(neon_rnn, demo):
    assert sorted(path.name for path in neon_rnn.here.iterdir()) == ['data', 'results']
    assert (neon_rnn.here / 'data' / 'demo' / 'train.h5').is_file()
    assert '81.9' in (neon_rnn.here / 'results' / 'own' / 'TABLE.md').read_text('utf-8')
    assert (neon_rnn.here / 'results' / 'own' / 'report.html').is_file()
    assert (demo / 'confusion.png').is_file()
    record = json.loads((demo / 'record.json').read_text('utf-8'))
    assert (record['status'], record['dataset']['folder']) == ('finished', 'data/demo')
    assert record['git'] == {'commit': None, 'dirty': None}


def test_train_resume_evaluate_and_predict(neon_rnn, demo):
    neon_rnn('train', '--model', 'fcnn-1', '--data', 'data/demo', '-e', '1', '--run_id', 'mine')
    assert 'epoch 2/2' in neon_rnn('resume', 'results/own/runs/mine', '-e', '2')
    assert 'accuracy' in neon_rnn('evaluate', 'results/own/runs/mine')
    Image.fromarray(np.zeros((40, 40, 3), np.uint8)).save(neon_rnn.here / 'photo.png')
    assert 'photo.png: ' in neon_rnn('predict', str(demo), 'photo.png')
    (neon_rnn.here / 'photo.png').unlink()
    neon_rnn('table')
    neon_rnn('table', '--check', '--runs', 'results/own/runs', '--out', 'results/own')


def test_explain_and_the_files_of_the_page(neon_rnn, demo):
    Image.fromarray(np.zeros((40, 40, 3), np.uint8)).save(neon_rnn.here / 'photo.png')
    assert 'photo.png: ' in neon_rnn('explain', str(demo), 'photo.png', '--out', 'explained')
    assert (neon_rnn.here / 'explained' / 'photo' / 'sheet.png').is_file()
    for name in ('photo.png', 'explained'):
        path = neon_rnn.here / name
        path.unlink() if path.is_file() else shutil.rmtree(path)
    with Served(demo, environment=neon_rnn.environment) as served:
        for name in ('', 'page.css', 'page.js'):
            status, _, body = exchange(served.port, request('GET', f'/{name}'))
            assert status == 200
            assert len(body) > 1000


def test_verify_replays_the_recorded_layers(neon_rnn):
    assert 'within the stated tolerances' in neon_rnn('verify', '--layers', '--engine', 'torch')


def test_convert_reads_a_file_of_neon(neon_rnn, tmp_path):
    layer = {
        'type': 'neon.layers.layer.Linear',
        'config': {},
        'params': {'W': np.ones((2, 3), 'f4')},
    }
    model = {'type': 'neon.layers.container.Sequential', 'config': {'layers': [layer]}}
    (tmp_path / 'model.prm').write_bytes(pickle.dumps({'model': model}, protocol=2))
    target = tmp_path / 'checkpoint.npz'
    assert '1 weights' in neon_rnn('convert', str(tmp_path / 'model.prm'), str(target))


@pytest.mark.parametrize('command', [[], *([name] for name in COMMANDS), ['data', 'folder']])
def test_every_help(neon_rnn, command):
    assert 'usage: neon_rnn' in neon_rnn(*command, '--help')
