"""The torch image built and used through the real Compose binary, on a Docker engine of the test's own."""
import json
import os
import shutil
from types import SimpleNamespace

import private_engine
import pytest
from container_files import ROOT, compose_binary, pins, run

pytestmark = pytest.mark.slow
#: The user who calls: neither root nor the images' default.
USER = 1234


@pytest.fixture(scope='module')
def project(tmp_path_factory):
    """A copy of the working tree, owned by `USER`, with the torch image built on a running engine."""
    reason = private_engine.missing()
    if reason:
        pytest.skip(f'NO CONTAINER WAS TESTED: {reason}.')
    folder = tmp_path_factory.mktemp('engine')
    tree = folder / 'project'
    for name in run('git', '-C', ROOT, 'ls-files', '-z', '--cached', '--others', '--exclude-standard').stdout.split('\0'):
        if name and (ROOT / name).is_file():
            (tree / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, tree / name)
    (wheel,) = pins('docker/requirements-torch-cpu.txt')
    folder.chmod(0o755)
    for parent in folder.parents[:2]:
        parent.chmod(0o755)
    assert run('chown', '-R', f'{USER}:{USER}', tree).returncode == 0
    with private_engine.engine(folder) as environment, private_engine.torch_index(folder, wheel) as url:
        private_engine.make_base(folder, environment, 'base:torch')
        done = run('docker', 'build', '--network=host', '--target=torch', '--tag=neon_rnn:torch-cpu',
                   '--build-arg=PYTHON_IMAGE=base:torch', f'--build-arg=TORCH_INDEX_URL={url}', tree, env=environment)
        assert done.returncode == 0, (done.stdout + done.stderr)[-4000:]
        environment.update(ENGINE='torch', BACKEND='cpu', NEON_RNN_UID=str(USER), NEON_RNN_GID=str(USER),
                           COMPOSE_FILE='docker-compose.yml:tests/container/compose.engine.yml')
        yield SimpleNamespace(tree=tree, environment=environment, build_log=done.stdout)
        assert run('docker', 'ps', '--quiet', env=environment).stdout == ''


def compose(project, *words, **variables):
    return run(compose_binary(), 'run', '--rm', '-T', *words, cwd=project.tree, env={**project.environment, **variables})


@pytest.fixture(scope='module')
def trained(project):
    """The folder of a run: demo portraits drawn, one epoch trained."""
    done = compose(project, 'data', 'demo', '--out', 'data/demo', '--train', '16', '--test', '8', '--size', '32')
    assert done.returncode == 0, done.stderr
    runs = project.tree / 'results/runs'
    before = set(runs.iterdir())  # the repository comes with records
    done = compose(project, 'train', '--model', 'rnn', '--data', 'data/demo', '-e', '1', '-z', '8')
    assert done.returncode == 0, done.stderr
    (folder,) = set(runs.iterdir()) - before
    return folder


def test_the_build_proves_the_image(project):
    assert 'costs of 5 training steps: 0.68498' in project.build_log


def test_training_leaves_a_finished_record(trained):
    record = json.loads((trained / 'record.json').read_text())
    assert (record['status'], record['engine'], record['backend'], record['model']) == ('finished', 'torch', 'cpu', 'rnn')
    assert record['final']['count'] == 8
    assert [epoch['epoch'] for epoch in record['epochs']] == [1]
    assert 'Debian' in record['machine']['system']


def test_everything_written_belongs_to_the_caller(project, trained):
    written = [*trained.iterdir(), trained, *(project.tree / 'data/demo').iterdir()]
    assert len(written) > 6
    assert {(path.stat().st_uid, path.stat().st_gid) for path in written} == {(USER, USER)}


def test_evaluation_repeats_the_final_accuracy(project, trained):
    done = compose(project, 'evaluate', f'results/runs/{trained.name}', '--json', f'results/runs/{trained.name}/figures.json')
    assert done.returncode == 0, done.stderr
    final = json.loads((trained / 'record.json').read_text())['final']
    figures = json.loads((trained / 'figures.json').read_text())
    assert (figures['correct'], figures['count']) == (final['correct'], final['count'])


def test_the_table_is_written(project, trained):
    table = project.tree / 'results/table.csv'
    table.unlink(missing_ok=True)
    done = compose(project, 'table')
    assert done.returncode == 0, done.stderr
    assert '\nrnn,RNN,' in table.read_text()
    assert table.stat().st_uid == USER


def test_what_only_computes_has_no_network(project):
    done = compose(project, '--entrypoint', 'ls', 'train', '/sys/class/net')
    assert done.stdout.split() == ['lo']


def test_the_code_cannot_be_changed_from_inside(project):
    done = compose(project, '--entrypoint', 'touch', 'train', '/app/neon_rnn/new.py')
    assert done.returncode == 1
    assert 'Read-only file system' in done.stderr


def test_results_that_cannot_be_written_are_named(project, trained):
    done = compose(project, 'train', '--model', 'rnn', '--data', 'data/demo', NEON_RNN_UID='4321')
    assert done.returncode == 2
    assert f'results/ cannot be written: it belongs to user {USER}:{USER}' in done.stderr
    assert f'NEON_RNN_UID={USER}' in done.stderr


def test_a_missing_data_folder_is_named(project):
    done = compose(project, 'train', '--model', 'rnn', '--data', 'data/faces')
    assert done.returncode == 2
    assert 'error: data/faces: ' in done.stderr
    assert 'neon_rnn data' in done.stderr


def test_the_hand_over_wants_the_folders_that_it_mounts(project):
    os.rename(project.tree / 'data', project.tree / 'elsewhere')
    try:
        done = run(project.tree / 'docker/run-in-compose.sh', 'train', '-b', 'cpu', env=project.environment)
    finally:
        os.rename(project.tree / 'elsewhere', project.tree / 'data')
    assert done.returncode == 2
    assert f'{project.tree}/data does not exist' in done.stderr


def test_without_an_nvidia_runtime_the_hand_over_says_what_to_do(project):
    environment = {**project.environment, 'BACKEND': 'gpu'}
    done = run(project.tree / 'docker/run-in-compose.sh', 'train', '--engine', 'neon', env=environment)
    assert done.returncode == 2
    assert 'no NVIDIA runtime' in done.stderr
    assert '--backend cpu' in done.stderr
