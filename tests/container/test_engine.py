"""The torch image, built and used through the real Compose, on a Docker engine of its own."""

import json
import os
import subprocess
import sys

import pytest
from container_files import compose_1_29, run
from container_project import USER

pytestmark = pytest.mark.slow


def test_the_build_proves_the_image(project):
    assert 'costs of 5 training steps: 0.68498' in project.build_log


def test_training_leaves_a_finished_record(trained):
    record = json.loads((trained / 'record.json').read_text())
    assert (record['status'], record['engine'], record['backend'], record['model']) == (
        'finished',
        'torch',
        'cpu',
        'rnn',
    )
    assert record['final']['count'] == 8
    assert [epoch['epoch'] for epoch in record['epochs']] == [1]
    assert 'Debian' in record['machine']['system']


def test_everything_written_belongs_to_the_caller(project, trained):
    written = [*trained.iterdir(), trained, *(project.tree / 'data/demo').iterdir()]
    assert len(written) > 6
    assert {(path.stat().st_uid, path.stat().st_gid) for path in written} == {(USER, USER)}


def test_evaluation_repeats_the_final_accuracy(project, trained):
    done = project.run(
        'evaluate',
        f'results/own/runs/{trained.name}',
        '--json',
        f'results/own/runs/{trained.name}/figures.json',
    )
    assert done.returncode == 0, done.stderr
    final = json.loads((trained / 'record.json').read_text())['final']
    figures = json.loads((trained / 'figures.json').read_text())
    assert (figures['correct'], figures['count']) == (final['correct'], final['count'])


def check_the_table_is_written(project, **options):
    table = project.tree / 'results/own/table.csv'
    table.unlink(missing_ok=True)
    done = project.run('table', **options)
    assert done.returncode == 0, done.stderr
    assert '\nrnn,RNN,' in table.read_text()
    assert table.stat().st_uid == USER


def test_the_table_is_written(project, trained):
    check_the_table_is_written(project)


def test_what_only_computes_has_no_network(project):
    for service in ('train', 'evaluate', 'predict', 'table', 'test', 'shell'):
        done = project.run('--entrypoint', 'ls', service, '/sys/class/net')
        assert done.stdout.split() == ['lo'], service


def test_the_flag_agrees_with_a_backend_in_env(project, trained):
    """With BACKEND=cpu in the file .env, `--backend cpu` works alone on the command line."""
    (project.tree / '.env').write_text('ENGINE=torch\nBACKEND=cpu\n')
    try:
        folder = project.trains('--backend', 'cpu', ENGINE=None, BACKEND=None)
    finally:
        (project.tree / '.env').unlink()
    assert json.loads((folder / 'record.json').read_text())['backend'] == 'cpu'


def test_the_image_without_a_command_is_the_doctor(project):
    done = project.docker('run', '--rm', '--network=none', 'neon_rnn:torch-cpu')
    assert (done.returncode, done.stderr) == (0, '')
    assert 'engine torch: usable' in done.stdout
    assert '-b cpu    yes: ' in done.stdout


def test_the_wheel_works_in_the_container_from_an_empty_folder(project, tmp_path):
    """Without the project's sources: only the wheel, in a folder of its own."""
    command = [sys.executable, '-m', 'pip', 'wheel', '--quiet', '--no-deps']
    subprocess.run([*command, '--wheel-dir', str(tmp_path), str(project.tree)], check=True)
    tmp_path.chmod(0o755)
    script = (
        'pip install --quiet --no-deps --no-index --target /tmp/site /wheels/*.whl && '
        'mkdir /tmp/empty && cd /tmp/empty && export PYTHONPATH=/tmp/site && '
        'python -c "import neon_rnn; print(neon_rnn.__file__)" && '
        'python -m neon_rnn --version && python -m neon_rnn verify --layers --engine torch && ls'
    )
    done = project.docker(
        'run',
        '--rm',
        '--network=none',
        f'--volume={tmp_path}:/wheels:ro',
        '--entrypoint=sh',
        'neon_rnn:torch-cpu',
        '-c',
        script,
    )
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0].startswith('/tmp/site/')
    assert 'within the stated tolerances' in lines[-1], 'nothing is written into the folder'


def test_a_failing_doctor_shows(project):
    (project.tree / 'broken').mkdir(exist_ok=True)
    (project.tree / 'broken/torch.py').write_text("raise ImportError('libtorch.so is gone')\n")
    done = project.docker(
        'run',
        '--rm',
        '--network=none',
        f'--volume={project.tree}/broken:/broken:ro',
        '--env=PYTHONPATH=/broken:/app',
        'neon_rnn:torch-cpu',
    )
    assert done.returncode == 1
    assert 'engine torch: usable' not in done.stdout
    assert 'libtorch.so is gone' in done.stdout + done.stderr


def test_docker_compose_1_29_runs_the_same(project, trained):
    binary = compose_1_29()
    if binary is None:
        pytest.skip(
            'NOT RUN WITH docker-compose 1.29: there is none on PATH '
            '(apt-get install docker-compose)'
        )
    done = project.run(
        'data',
        'demo',
        '--out',
        'data/old',
        '--train',
        '16',
        '--test',
        '8',
        '--size',
        '32',
        binary=binary,
    )
    assert done.returncode == 0, done.stderr
    drawn = [
        (project.tree / folder / 'train.h5').read_bytes() for folder in ('data/demo', 'data/old')
    ]
    assert drawn[0] == drawn[1]
    folder = project.trains(binary=binary)
    records = [json.loads((path / 'record.json').read_text()) for path in (trained, folder)]
    assert records[0]['epochs'][0]['cost'] == records[1]['epochs'][0]['cost']
    assert folder.stat().st_uid == USER
    check_the_table_is_written(project, binary=binary)


def test_the_hand_over_wants_the_folders_that_it_mounts(project):
    os.rename(project.tree / 'data', project.tree / 'elsewhere')
    try:
        done = run(
            project.tree / 'docker/run-in-compose.sh', 'train', '-b', 'cpu', env=project.environment
        )
    finally:
        os.rename(project.tree / 'elsewhere', project.tree / 'data')
    assert done.returncode == 2
    assert f'{project.tree}/data does not exist' in done.stderr
