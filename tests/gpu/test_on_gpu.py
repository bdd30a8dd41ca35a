"""benchmarks/on_gpu.sh: what it runs, and what it says; nvidia-smi and run.sh are stubs."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parents[2] / 'benchmarks' / 'on_gpu.sh'


@pytest.fixture
def on_gpu(tmp_path):
    """Call the script in a tree of its own; `broken` is a word of run.sh that fails."""
    (tmp_path / 'benchmarks').mkdir()
    shutil.copy(SCRIPT, tmp_path / 'benchmarks')
    binaries = tmp_path / 'bin'
    binaries.mkdir()
    stubs = {
        binaries / 'nvidia-smi': 'echo "$CARD"',
        binaries / 'nvcc': 'exit 0',
        tmp_path
        / 'run.sh': 'echo "run.sh $* [$PIP_NO_INDEX]"; case "$*" in *"$BROKEN"*) exit 3;; esac',
        tmp_path / '.neon' / 'bin' / 'python': 'echo "neon $*"',
    }
    for path, text in stubs.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f'#!/bin/sh\n{text}\n')
        path.chmod(0o755)

    def call(*words, card='NVIDIA H100 80GB HBM3', broken='nothing of the kind'):
        path = f'{binaries}{os.pathsep}{os.environ["PATH"]}'
        return subprocess.run(
            [tmp_path / 'benchmarks' / 'on_gpu.sh', *words],
            env={**os.environ, 'PATH': path, 'CARD': card, 'BROKEN': broken},
            capture_output=True,
            text=True,
            check=False,
        )

    return call


def test_both_engines_are_verified_trained_and_timed(on_gpu, tmp_path):
    wheels = tmp_path / 'wheels'
    wheels.mkdir()
    done = on_gpu(wheels)
    assert done.returncode == 0, done.stdout + done.stderr
    for words in (
        'run.sh verify --engine torch -b gpu [1]',
        'run.sh bench -b gpu --seconds 10',
        'neon -m neon_rnn verify --engine neon -b gpu',
        'neon -m neon_rnn train --engine neon -b gpu --model rnn',
        'all done on NVIDIA H100 80GB HBM3',
    ):
        assert words in done.stdout
    assert (tmp_path / 'results/on_gpu/NVIDIA-H100-80GB-HBM3.txt').read_text() == done.stdout


def test_what_fails_is_named_and_the_rest_goes_on(on_gpu):
    done = on_gpu(broken='verify --engine torch')
    assert done.returncode == 1
    assert 'torch: verify: FAILED (status 3)' in done.stdout
    assert 'neon: train: done' in done.stdout
    assert 'NOT DONE on NVIDIA H100 80GB HBM3: [torch: verify]' in done.stdout


@pytest.mark.parametrize(
    ('words', 'card', 'message'),
    [
        ([], '', 'nvidia-smi shows no GPU here'),
        (['/nowhere'], 'a card', '/nowhere is not a folder'),
        (['--help'], 'a card', "not '--help'"),
        (['carry'], 'a card', 'carry takes one folder'),
        (['a', 'b'], 'a card', 'there are 2'),
    ],
)
def test_bad_arguments_are_named(on_gpu, words, card, message):
    done = on_gpu(*words, card=card)
    assert done.returncode == 2
    assert message in done.stderr
