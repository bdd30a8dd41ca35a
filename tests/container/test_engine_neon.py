"""The image neon-cpu on Ubuntu 16.04 and Python 3.5.2, built and used as `test_engine.py` does.

Needs Ubuntu's packages, and neon's git repository: NEON_REPOSITORY names a copy, a URL or a folder.
"""

import json

import private_engine
import pytest

pytestmark = pytest.mark.slow


@pytest.fixture(scope='module')
def log(project, tmp_path_factory):
    """What the build of the image ``neon_rnn:neon-cpu`` said."""
    with private_engine.neon_repository() as url:
        folder = tmp_path_factory.mktemp('ubuntu')
        private_engine.make_ubuntu(folder, project.environment, 'base:ubuntu')
        done = project.build(
            'neon-cpu',
            '--tag=neon_rnn:neon-cpu',
            '--build-arg=UBUNTU_IMAGE=base:ubuntu',
            f'--build-arg=NEON_REPOSITORY={url}',
        )
    assert done.returncode == 0, (done.stdout + done.stderr)[-4000:]
    return done.stdout


def test_the_build_proves_the_image(log):
    assert 'costs of 5 training steps: 0.68498 0.58022' in log
    assert "the first cost on neon's NumPy backend: 0.68498" in log


def test_it_is_the_published_test_bed(project, log):
    doctor = project.docker('run', '--rm', '--network=none', 'neon_rnn:neon-cpu').stdout
    assert 'Ubuntu 16.04' in doctor
    assert 'python    3.5.2 ' in doctor
    assert 'neon 2.6.0' in doctor


@pytest.mark.usefixtures('log')
def test_it_trains_as_the_other_engine_does(project, trained):
    folder = project.trains(ENGINE='neon', BACKEND='cpu')
    found, other = (json.loads((each / 'record.json').read_text()) for each in (folder, trained))
    assert (found['status'], found['engine']) == ('finished', 'neon')
    assert found['versions']['python'] == '3.5.2'
    assert 'Ubuntu 16.04' in found['machine']['system']
    costs = [record['epochs'][-1]['cost'] for record in (found, other)]
    assert costs[0] == pytest.approx(costs[1], rel=1e-4)
