"""Every pin exists on the package index for the Python of its image; nothing is installed.

pip looks a wheel up where the index offers its metadata, and fetches it where not: for the packages
of 2018, 300 MB with MKL.
"""

import json
import re
import sys

import pytest
from container_files import DOCKER, DOCKERFILE, pins, run

PLATFORMS = {
    '3.5': ['manylinux1'],
    '3.6': ['manylinux1'],
    '3.11': [
        'manylinux1',
        'manylinux2010',
        'manylinux2014',
        *(f'manylinux_2_{minor}' for minor in (5, 12, 17, 18, 24, 25, 27, 28)),
    ],
}
#: An index that does not answer is an error soon, not after pip's quarter of an hour.
PATIENCE = ('--timeout=20', '--retries=1')
#: Its setup.py imports the numpy it is to be compiled with, so it is fetched without a look inside.
NO_METADATA = 'pycuda==2017.1.1'


def resolve(tmp_path, requirements, python, *options):
    """What pip would install: package -> (version, hash as the index states it).

    The test compares the hashes: pip would download every wheel, 3 GB for torch with CUDA, to check
    them itself.
    """
    tags = [f'--platform={platform}_x86_64' for platform in PLATFORMS[python]] + ['--platform=any']
    abi = 'cp' + python.replace('.', '') + ('m' if python in ('3.5', '3.6') else '')
    report = tmp_path / 'report.json'
    done = run(
        sys.executable,
        '-m',
        'pip',
        'install',
        '--dry-run',
        '--ignore-installed',
        '--no-deps',
        '--quiet',
        '--no-build-isolation',
        '--python-version',
        python,
        '--implementation=cp',
        f'--abi={abi}',
        '--abi=abi3',
        '--abi=none',
        *tags,
        '--target',
        tmp_path / 'target',
        '--report',
        report,
        *PATIENCE,
        *options,
        *requirements,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert not (tmp_path / 'target').exists()
    return {
        (
            package['metadata']['name'].lower().replace('_', '-'),
            package['metadata']['version'],
            package['download_info']['archive_info']['hash'],
        )
        for package in json.loads(report.read_text())['install']
    }


@pytest.fixture(scope='module')
def index():
    """Skip where pip reaches no index at all."""
    done = run(
        sys.executable,
        '-m',
        'pip',
        'download',
        '--no-deps',
        *PATIENCE,
        '--dest',
        '/dev/null',
        'six==999',
    )
    if re.search(r'from versions: none\)|connection broken', done.stderr):
        pytest.skip(
            f'pip reaches no package index from here: {done.stderr.strip().splitlines()[-1]}'
        )


@pytest.mark.slow
@pytest.mark.parametrize(
    ('name', 'python'),
    [
        ('requirements.txt', '3.5'),
        ('requirements.txt', '3.6'),
        ('docker/requirements-tools.txt', '3.5'),
        ('docker/requirements-gpu.txt', '3.5'),
        ('docker/requirements-torch.txt', '3.11'),
        ('docker/requirements-torch-cpu.txt', '3.11'),
        ('docker/requirements-torch-gpu.txt', '3.11'),
    ],
)
def test_every_pin_resolves(tmp_path, index, name, python):
    wanted = {
        requirement: hashes
        for requirement, hashes in pins(name).items()
        if requirement != NO_METADATA
    }
    options = []
    if name.endswith('torch-cpu.txt'):
        options.append(
            '--extra-index-url=' + re.search(r'ARG TORCH_INDEX_URL=(\S+)', DOCKERFILE)[1]
        )
    # ===, since this machine's pip may know another build of the version, such as torch 2.13.0+cpu.
    found = resolve(
        tmp_path, [requirement.replace('==', '===') for requirement in wanted], python, *options
    )
    # A second hash in requirements.txt is the wheel for CPython 3.6.
    which = -1 if python == '3.6' else 0
    assert found == {
        (*requirement.split('=='), hashes[which].replace('--hash=sha256:', 'sha256='))
        for requirement, hashes in wanted.items()
    }


@pytest.mark.slow
def test_pycuda_can_be_fetched(tmp_path, index):
    (hashes,) = (
        hashes
        for requirement, hashes in pins('docker/requirements-gpu.txt').items()
        if requirement == NO_METADATA
    )
    file = tmp_path / 'requirements.txt'
    file.write_text(' '.join([NO_METADATA, *hashes]) + '\n')
    done = run(
        sys.executable,
        '-m',
        'pip',
        'download',
        '--no-deps',
        '--no-build-isolation',
        '--no-binary=:all:',
        '--require-hashes',
        *PATIENCE,
        '--dest',
        tmp_path / 'dist',
        '--requirement',
        file,
    )
    assert [path.name for path in (tmp_path / 'dist').iterdir()] == ['pycuda-2017.1.1.tar.gz'], (
        done.stderr[-2000:]
    )


def test_the_files_of_pins_are_all_looked_up():
    listed = {
        'requirements.txt',
        *(f'docker/{path.name}' for path in DOCKER.glob('requirements-*.txt')),
    }
    looked_up = {name for name, _ in test_every_pin_resolves.pytestmark[0].args[1]}
    assert looked_up == listed
