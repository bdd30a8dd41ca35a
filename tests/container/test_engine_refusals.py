"""Bad input on a real Docker engine: what is refused, and the words that say what to do."""

import os
from pathlib import Path

import pytest
from container_files import compose_1_29, compose_binary, run
from container_project import USER

pytestmark = pytest.mark.slow
COMPOSES = {'present': compose_binary, '1.29': compose_1_29}


@pytest.fixture(params=COMPOSES)
def binary(request):
    found = COMPOSES[request.param]()
    if found is None:
        pytest.skip(
            'NOT TRIED WITH docker-compose 1.29: there is none on PATH '
            '(apt-get install docker-compose)'
        )
    return found


@pytest.fixture
def no_nvidia():
    if Path('/proc/driver/nvidia/version').exists():
        pytest.skip('this machine has an NVIDIA driver')


@pytest.mark.parametrize('engine', ['neon', 'torch'])
def test_without_a_driver_the_flag_alone_says_what_to_do(project, no_nvidia, binary, engine):
    """BACKEND is gpu, the default: the image for GPUs is not there, and its build ends at once."""
    done = project.run(
        'train',
        '--backend',
        'cpu',
        '--data',
        'data/demo',
        binary=binary,
        ENGINE=engine,
        BACKEND=None,
    )
    assert done.returncode != 0
    said = done.stdout + done.stderr
    assert 'This machine has no NVIDIA driver' in said
    assert 'BACKEND=cpu docker compose run --rm train' in said
    assert (
        f'neon_rnn:{engine}-gpu'
        not in project.docker('images', '--format={{.Repository}}:{{.Tag}}').stdout
    )


def test_an_image_for_gpus_that_is_there_needs_the_nvidia_runtime(project, no_nvidia, binary):
    """Docker's own words; docs/container.md repeats them."""
    assert project.docker('tag', 'neon_rnn:torch-cpu', 'neon_rnn:torch-gpu').returncode == 0
    done = project.run('train', '--backend', 'cpu', binary=binary, BACKEND=None)
    assert project.docker('rmi', 'neon_rnn:torch-gpu').returncode == 0
    assert done.returncode != 0
    assert 'could not select device driver "nvidia" with capabilities: [[gpu]]' in done.stderr


def test_without_an_nvidia_runtime_the_hand_over_says_what_to_do(project):
    environment = {**project.environment, 'BACKEND': 'gpu'}
    done = run(
        project.tree / 'docker/run-in-compose.sh', 'train', '--engine', 'neon', env=environment
    )
    assert done.returncode == 2
    assert 'no NVIDIA runtime' in done.stderr
    assert '--backend cpu' in done.stderr


def test_a_misspelt_backend_is_named(project, binary):
    done = project.run('train', binary=binary, BACKEND='cpuu')
    assert done.returncode != 0
    assert 'torch-cpuu' in done.stderr
    done = project.run('train', '--backend', 'cpuu', '--data', 'data/demo', binary=binary)
    assert done.returncode == 2
    assert 'cpuu' in done.stderr


def test_without_a_data_folder_it_is_named(project, binary):
    """The present Compose makes the folder, empty and root's; with 1.29 Docker refuses."""
    data, elsewhere = project.tree / 'data', project.tree / 'elsewhere'
    os.rename(data, elsewhere)
    try:
        trained = project.run('train', '--model', 'rnn', '--data', 'data/demo', binary=binary)
        drawn = project.run('data', 'demo', '--out', 'data/demo', binary=binary)
        made = data.exists()
        if made:
            data.rmdir()
    finally:
        os.rename(elsewhere, data)
    assert trained.returncode != 0
    assert drawn.returncode != 0
    if made:
        assert 'error: data/demo: ' in trained.stderr
        assert 'data/ cannot be written: it belongs to user 0:0' in drawn.stderr
    else:
        for done in (trained, drawn):
            assert f'bind source path does not exist: {data}' in done.stderr


def test_a_missing_data_set_is_named(project, binary):
    done = project.run('train', '--model', 'rnn', '--data', 'data/faces', binary=binary)
    assert done.returncode == 2
    assert 'error: data/faces: ' in done.stderr
    assert 'neon_rnn data' in done.stderr


def test_results_of_somebody_else_are_named(project, binary):
    done = project.run(
        'train', '--model', 'rnn', '--data', 'data/demo', binary=binary, NEON_RNN_UID='4321'
    )
    assert done.returncode == 2
    assert f'results/ cannot be written: it belongs to user {USER}:{USER}' in done.stderr
    assert f'NEON_RNN_UID={USER}' in done.stderr


def test_read_only_results_are_named(project, binary):
    results = project.tree / 'results'
    mode = results.stat().st_mode
    results.chmod(0o555)
    try:
        done = project.run('train', '--model', 'rnn', '--data', 'data/demo', binary=binary)
    finally:
        results.chmod(mode)
    assert done.returncode == 2
    assert 'results/ cannot be written: it is read-only' in done.stderr


def test_the_code_cannot_be_changed_from_inside(project):
    done = project.run('--entrypoint', 'touch', 'train', '/app/neon_rnn/new.py')
    assert done.returncode == 1
    assert 'Read-only file system' in done.stderr


def test_another_neon_commit_is_refused_by_the_builder(project):
    commit = 'a' * 40
    done = project.build(
        'neon-build',
        '--build-arg=UBUNTU_IMAGE=base:torch',
        '--build-arg=PYTHON_PACKAGES=',
        f'--build-arg=NEON_COMMIT={commit}',
    )
    assert done.returncode == 2
    assert f'NEON_COMMIT={commit} is not neon v2.6.0' in done.stdout + done.stderr
    assert '--build-arg ALLOW_OTHER_NEON_COMMIT=yes' in done.stdout + done.stderr
