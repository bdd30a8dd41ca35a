"""What the tests on a real Docker engine share: the engine, the built image, and a trained run."""

import shutil

import private_engine
import pytest
from container_files import ROOT, pins, run
from container_project import USER, Project


@pytest.fixture(scope='session')
def project(tmp_path_factory):
    """The `Project` with the image ``neon_rnn:torch-cpu``; skips where no engine can run."""
    reason = private_engine.missing()
    if reason:
        pytest.skip(f'NO CONTAINER WAS TESTED: {reason}.')
    folder = tmp_path_factory.mktemp('engine')
    tree = folder / 'project'
    for name in run(
        'git', '-C', ROOT, 'ls-files', '-z', '--cached', '--others', '--exclude-standard'
    ).stdout.split('\0'):
        if name and (ROOT / name).is_file():
            (tree / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, tree / name)
    (wheel,) = pins('docker/requirements-torch-cpu.txt')
    assert run('chown', '-R', f'{USER}:{USER}', tree).returncode == 0
    with (
        private_engine.engine(folder) as environment,
        private_engine.torch_index(folder, wheel) as url,
    ):
        private_engine.make_base(folder, environment, 'base:torch')
        project = Project(tree, environment, url)
        done = project.build('torch', '--tag=neon_rnn:torch-cpu')
        assert done.returncode == 0, (done.stdout + done.stderr)[-4000:]
        project.build_log = done.stdout
        environment.update(
            ENGINE='torch',
            BACKEND='cpu',
            NEON_RNN_UID=str(USER),
            NEON_RNN_GID=str(USER),
            COMPOSE_FILE='docker-compose.yml:tests/container/compose.engine.yml',
        )
        yield project
        assert run('docker', 'ps', '--quiet', env=environment).stdout == ''


@pytest.fixture(scope='session')
def trained(project):
    """The folder of a run: demo portraits drawn, one epoch trained."""
    done = project.run(
        'data', 'demo', '--out', 'data/demo', '--train', '16', '--test', '8', '--size', '32'
    )
    assert done.returncode == 0, done.stderr
    return project.trains()
