"""What can be checked of the container without an engine: pins, arguments, services, what the scripts refuse."""
import re
import subprocess
import sys

import pytest

from neon_rnn.paths import ROOT

NEON_COMMIT = 'f9d771bbb5f5fa3ae129748596d0ced5389c7f88'


def read(name):
    with open('{}/{}'.format(ROOT, name), encoding='utf-8') as file:
        return file.read()


def pins(name):
    """(package, version, number of hashes) of a requirements file."""
    text = read(name).replace('\\\n', ' ')
    lines = [line.split('#')[0].strip() for line in text.splitlines()]
    found = []
    for line in lines:
        if line and not line.startswith('-r '):
            match = re.match(r'([a-z0-9_.-]+)==(\S+)((?: +--hash=sha256:[0-9a-f]{64})+)$', line)
            assert match, '{}: {!r} is not a pin with a hash'.format(name, line)
            found.append((match[1], match[2], match[3].count('--hash')))
    return found


def script(name, *arguments, **environment):
    path = '{}/{}'.format(ROOT, name)
    return subprocess.run([path, *arguments], env={'PATH': '/usr/bin:/bin', **environment}, capture_output=True, text=True)


@pytest.mark.parametrize('name', ['requirements.txt', 'docker/requirements-gpu.txt', 'docker/requirements-tools.txt',
                                  'docker/requirements-torch.txt', 'docker/requirements-torch-gpu.txt',
                                  'docker/requirements-torch-cpu.txt'])
def test_every_requirement_is_pinned_by_hash(name):
    assert all(hashes for _, _, hashes in pins(name))


def test_the_published_packages_are_there():
    versions = {package: version for package, version, _ in pins('requirements.txt')}
    assert versions['numpy'] == '1.13.1'
    assert versions['h5py'] == '2.7.1'
    assert versions['pillow'] == '4.2.1'
    assert versions['mkl'] == '2018.0.3'  # 2018.0.0 computes 1x1 convolutions wrongly
    assert {package: version for package, version, _ in pins('docker/requirements-gpu.txt')}['pycuda'] == '2017.1.1'


def test_the_torch_image_has_the_versions_of_pyproject():
    image = {package: version for package, version, _ in pins('docker/requirements-torch.txt')}
    for package, version in re.findall(r'"(h5py|matplotlib|numpy|pillow|tqdm|scipy)==([^"]+)"', read('pyproject.toml')):
        assert image[package] == version, package


def test_every_base_and_source_is_an_argument_with_a_default():
    dockerfile = read('Dockerfile')
    arguments = dict(re.findall(r'^ARG (\w+)=(.*)$', dockerfile, re.MULTILINE))
    assert arguments['NEON_COMMIT'] == NEON_COMMIT
    stages = re.findall(r'^FROM (\S+)(?: AS (\S+))?', dockerfile, re.MULTILINE)
    names = {name for _, name in stages}
    for base, _ in stages:
        assert base in names or (base.startswith('${') and arguments[base[2:-1]]), base
    for argument in ('PYTHON_IMAGE', 'UBUNTU_IMAGE'):
        assert '@sha256:' in arguments[argument]
    assert not re.search(r'-march=native', dockerfile.replace("neon's own makefile says -march=native", '')
                         .replace("replaces neon's -march=native", ''))
    assert {'torch', 'neon-cpu', 'neon-gpu'} <= names
    assert stages[-1][1] == 'neon-gpu'


def test_compose_services():
    compose = read('docker-compose.yml')
    services = re.findall(r'^  ([a-z-]+):', compose[compose.index('\nservices:'):], re.MULTILINE)
    assert set(services) == {'neon-gpu', 'neon-cpu', 'torch-gpu', 'torch-cpu', 'train', 'evaluate', 'predict', 'shell',
                             'data', 'table', 'test'}
    assert 'network_mode: none' in compose
    assert compose.count('network_mode: bridge') == 1  # data alone may download
    for name in re.findall(r'^ +([A-Z_]+):$', compose, re.MULTILINE):
        assert re.search(r'^ARG {}\b'.format(name), read('Dockerfile'), re.MULTILINE) or name == 'OMP_NUM_THREADS', name


def test_another_neon_commit_is_refused():
    result = script('docker/fetch-neon.sh', '/nonexistent', NEON_COMMIT='0' * 40, NEON_REPOSITORY='/nonexistent')
    assert result.returncode == 2
    assert 'is not neon v2.6.0' in result.stderr
    allowed = script('docker/fetch-neon.sh', '/nonexistent', NEON_COMMIT='0' * 40, NEON_REPOSITORY='/nonexistent',
                     ALLOW_OTHER_NEON_COMMIT='yes')
    assert allowed.returncode == 1
    assert 'cannot be cloned' in allowed.stderr


@pytest.fixture
def fake_docker(tmp_path):
    """A `docker` that answers like an engine without an NVIDIA runtime and prints what it was asked to run."""
    docker = tmp_path / 'docker'
    docker.write_text('#!/bin/sh\ncase "$*" in\n*Runtimes*) echo \'{"runc":{}}\' ;;\n*SecurityOptions*) echo "[]" ;;\n'
                      'info*) echo 28.0 ;;\n"compose version") echo v2 ;;\n'
                      '*) echo "ENGINE=$ENGINE BACKEND=$BACKEND $*" ;;\nesac\n')
    docker.chmod(0o755)
    return '{}:/usr/bin:/bin'.format(tmp_path)


def test_hand_over_to_compose(fake_docker):
    result = script('docker/run-in-compose.sh', 'train', '--engine', 'neon', '-b', 'cpu', '--model', 'rnn', PATH=fake_docker)
    assert result.returncode == 0, result.stderr
    assert result.stdout.startswith('ENGINE=neon BACKEND=cpu compose run --rm')
    assert result.stdout.rstrip().endswith('train --engine neon -b cpu --model rnn')


def test_a_misspelt_backend_is_refused(fake_docker):
    result = script('docker/run-in-compose.sh', 'train', '--engine', 'neon', PATH=fake_docker, BACKEND='gup')
    assert result.returncode == 2
    assert "there is no backend 'gup'" in result.stderr


def test_a_gpu_without_the_nvidia_runtime_is_refused(fake_docker):
    result = script('docker/run-in-compose.sh', 'train', '--engine', 'neon', PATH=fake_docker)
    assert result.returncode == 2
    assert 'no NVIDIA runtime' in result.stderr
    assert '--backend cpu' in result.stderr


def test_without_docker_the_alternatives_are_named(tmp_path):
    for tool in ('bash', 'dirname', 'readlink', 'tail', 'id'):
        (tmp_path / tool).symlink_to('/usr/bin/' + tool)
    result = subprocess.run(['/usr/bin/env', '-i', 'PATH={}'.format(tmp_path), '/bin/bash',
                             '{}/docker/run-in-compose.sh'.format(ROOT), 'train', '-b', 'cpu'], capture_output=True, text=True)
    assert result.returncode == 2
    assert 'has no Docker' in result.stderr
    assert '--engine torch' in result.stderr


@pytest.mark.slow
@pytest.mark.parametrize('name', ['requirements.txt', 'docker/requirements-tools.txt'])
def test_every_pin_resolves_for_cp35(name, tmp_path):
    """Each pin has a file for CPython 3.5 on Linux x86-64 (or a source) with the recorded hash; nothing is installed."""
    text = read(name).replace('\\\n', ' ')
    wheels, sources = [], []
    listed = subprocess.run([sys.executable, '-m', 'pip', 'download', '--quiet', '--no-deps', '--no-cache-dir', '--dest',
                             str(tmp_path), '--python-version', '3.5', '--implementation', 'cp', '--abi', 'cp35m',
                             '--platform', 'manylinux1_x86_64', '--platform', 'any', '--only-binary', ':all:',
                             'six==1.16.0'], capture_output=True, text=True)
    if listed.returncode:
        pytest.skip('no package index can be reached: {}'.format(listed.stderr.strip().splitlines()[-1]))
    for line in text.splitlines():
        line = line.split('#')[0].strip()
        if line:
            (wheels if _has_wheel(line, tmp_path) else sources).append(line)
    assert wheels
    for line in sources:
        assert _downloads(line, tmp_path, '--no-binary', ':all:', '--no-build-isolation'), line


def _has_wheel(line, folder):
    return _downloads(line, folder, '--python-version', '3.5', '--implementation', 'cp', '--abi', 'cp35m', '--abi', 'abi3',
                      '--abi', 'none', '--platform', 'manylinux1_x86_64', '--platform', 'manylinux2010_x86_64',
                      '--platform', 'linux_x86_64', '--platform', 'any', '--only-binary', ':all:')


def _downloads(line, folder, *options):
    requirement = folder / 'requirement.txt'
    requirement.write_text(line + '\n')
    return subprocess.run([sys.executable, '-m', 'pip', 'download', '--quiet', '--no-deps', '--no-cache-dir', '--require-hashes',
                           '--dest', str(folder), *options, '-r', str(requirement)], capture_output=True).returncode == 0
