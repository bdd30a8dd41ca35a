"""doctor: what it finds, what it says, when it fails."""

import json
import os
import pathlib
import subprocess
import sys
import types

import pytest

from neon_rnn import engines
from neon_rnn.cli import main
from neon_rnn.commands import doctor
from neon_rnn.support import nvidia_gpu
from neon_rnn.support.errors import NeonRnnError, UsageError


def test_words_name_every_engine_and_what_is_missing(capsys):
    assert main(['doctor']) == 0
    printed = capsys.readouterr().out
    assert 'engine torch: usable' in printed
    assert '-b cpu    yes: ' in printed
    if not engines.installed('neon'):
        assert 'engine neon: not usable' in printed
        assert 'Intel neon 2.6 is not installed' in printed


def test_json_has_the_same(capsys):
    assert main(['doctor', '--json']) == 0
    report = json.loads(capsys.readouterr().out)
    assert set(report['engines']) == {'neon', 'torch'}
    cpu = report['engines']['torch']['backends']['cpu']
    assert (cpu['state'], cpu['problem']) == ('usable', None)
    assert report['engines']['torch']['backends']['gpu']['state'] in ('usable', 'missing')
    assert cpu['device']['backend'] == 'cpu'
    assert report['machine']['cores'] >= 1
    assert report['versions']['neon_rnn']


def test_a_backend_that_does_not_start_is_shown_with_its_reason(capsys, monkeypatch):
    torch_engine = engines.load('torch')

    def start(backend, **kwargs):
        raise UsageError('no {} today'.format(backend))

    monkeypatch.setattr(torch_engine, 'start', start)
    monkeypatch.setattr(engines, 'installed', lambda name: name == 'torch')
    assert main(['doctor']) == 1
    printed = capsys.readouterr().out
    assert '-b gpu    no: no gpu today' in printed
    assert 'Nothing here can train' in printed


@pytest.fixture
def faulty(monkeypatch):
    """An engine neon with three backends: no CUDA, an MKL that computes wrongly, and a good one."""

    def start(backend, **kwargs):
        if backend == 'gpu':
            raise UsageError('-b gpu: no CUDA for Python here')
        if backend == 'mkl':
            raise NeonRnnError(
                'this MKL computes 1x1 convolutions wrongly under neon: the largest deviation is '
                '9.9e-01.'
            )
        return {'backend': backend, 'device': 'a processor'}

    load = engines.load
    monkeypatch.setattr(engines, 'installed', lambda name: True)
    monkeypatch.setattr(
        engines,
        'load',
        lambda name: types.SimpleNamespace(start=start) if name == 'neon' else load(name),
    )


def test_a_backend_that_computes_wrongly_is_a_failure_though_others_work(faulty, capsys):
    assert main(['doctor']) == 1
    captured = capsys.readouterr()
    assert 'engine neon: usable' in captured.out
    assert '-b gpu    no: no CUDA for Python here' in captured.out
    assert '-b mkl    WRONG: this MKL computes 1x1 convolutions wrongly' in captured.out
    assert '-b numpy  yes: device a processor' in captured.out
    assert captured.err.startswith('neon_rnn doctor: error: there but WRONG')
    assert 'engine neon, -b mkl: this MKL computes 1x1 convolutions wrongly' in captured.err
    assert 'CUDA' not in captured.err


def test_json_tells_wrong_from_missing(faulty, capsys):
    assert main(['doctor', '--json']) == 1
    backends = json.loads(capsys.readouterr().out)['engines']['neon']['backends']
    assert {name: backend['state'] for name, backend in backends.items()} == {
        'gpu': 'missing',
        'mkl': 'wrong',
        'numpy': 'usable',
    }


def test_another_neon_is_a_failure_though_torch_works(tmp_path):
    """The engine is there, and would be the default."""
    package = tmp_path / 'neon'
    package.mkdir()
    (package / '__init__.py').write_text("__version__ = '2.3.0'")
    root = pathlib.Path(__file__).resolve().parents[2]
    done = subprocess.run(
        [sys.executable, '-m', 'neon_rnn', 'doctor', '--json'],
        text=True,
        capture_output=True,
        check=False,
        env=dict(os.environ, PYTHONPATH=os.pathsep.join((str(tmp_path), str(root)))),
        timeout=120,
    )
    assert done.returncode == 1
    assert (
        'engine neon: this is Intel neon 2.3.0; the experiment was published with 2.6.0'
        in done.stderr
    )
    assert 'docs/container.md' in done.stderr
    assert 'Traceback' not in done.stderr
    assert {
        name: engine['state'] for name, engine in json.loads(done.stdout)['engines'].items()
    } == {'neon': 'wrong', 'torch': 'usable'}


def test_an_engine_without_its_library_says_how_to_get_it(monkeypatch):
    monkeypatch.setattr(engines, 'installed', lambda name: False)
    report = doctor.examine()
    assert [report['engines'][name]['state'] for name in engines.ENGINES] == ['missing', 'missing']
    assert './run.sh' in report['engines']['torch']['problem']
    assert 'container' in report['engines']['neon']['problem']


@pytest.fixture
def nvidia_smi(tmp_path, monkeypatch):
    """Put an nvidia-smi on PATH that answers as told; `knows_capability` is false before driver
    510.
    """

    def make(answer, knows_capability=True):
        refusal = '' if knows_capability else 'case $1 in *compute_cap*) exit 2;; esac\n'
        binary = tmp_path / 'nvidia-smi'
        binary.write_text('#!/bin/sh\n{}printf "{}"\n'.format(refusal, answer))
        binary.chmod(0o755)
        monkeypatch.setenv('PATH', str(tmp_path), prepend=os.pathsep)

    return make


def test_each_gpu_is_shown_with_the_kernels_that_neon_would_take(nvidia_smi, capsys):
    nvidia_smi('Tesla K40m, 470.82.01, 3.5\\nTesla P100, 550.1, 6.0\\nNVIDIA H100, 550.1, 9.0\\n')
    assert main(['doctor']) == 0
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith('gpu ')]
    assert lines == [
        "gpu       Tesla K40m, driver 470.82.01, compute capability 3.5; in engine neon: neon's "
        'CUDA C as published',
        "gpu       Tesla P100, driver 550.1, compute capability 6.0; in engine neon: neon's "
        'machine code for Maxwell and Pascal',
        "gpu       NVIDIA H100, driver 550.1, compute capability 9.0; in engine neon: neon's CUDA "
        'C adapted to Volta and later',
    ]


def test_a_driver_that_does_not_tell_the_capability(nvidia_smi):
    nvidia_smi('Tesla K40m, 450.80.02\\n', knows_capability=False)
    (gpu,) = nvidia_gpu.seen()
    assert gpu == {'name': 'Tesla K40m', 'driver': '450.80.02', 'capability': None}
    assert 'does not tell its compute capability' in nvidia_gpu.describe(gpu)


def test_a_machine_without_a_driver_has_no_gpus(nvidia_smi):
    nvidia_smi('NVIDIA-SMI has failed because it could not communicate with the driver\\n')
    assert nvidia_gpu.seen() == []
    assert nvidia_gpu.neon_path((2, 1)).startswith('none')
