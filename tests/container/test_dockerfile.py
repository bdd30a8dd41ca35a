"""The rules that the Dockerfile, the requirements and the scripts beside it keep."""

import os
import re

import pytest
from container_files import (
    DOCKER,
    NEON_2_6_0,
    ROOT,
    arguments,
    clean_environment,
    instructions,
    pins,
    run,
    stub_nvidia_smi,
)

REQUIREMENTS = [
    'requirements.txt',
    *sorted(f'docker/{path.name}' for path in DOCKER.glob('requirements-*.txt')),
]


def test_every_argument_has_a_default():
    assert all('=' in line for line in instructions() if line.startswith('ARG '))


def test_every_stage_starts_from_an_argument_or_an_earlier_stage():
    stages = []
    for line in instructions():
        if line.startswith('FROM '):
            _, source, _, name = line.split()
            assert source in stages or re.fullmatch(r'\$\{[A-Z]+_IMAGE\}', source), line
            stages.append(name)
    assert {'torch', 'neon-cpu', 'neon-gpu'} <= set(stages)
    assert stages[-1] == 'neon-gpu', 'docker build . makes the published environment'


def test_base_images_are_pinned_by_digest():
    images = {name: value for name, value in arguments().items() if name.endswith('_IMAGE')}
    assert set(images) == {'PYTHON_IMAGE', 'UBUNTU_IMAGE'}
    for image in images.values():
        assert re.fullmatch(r'[a-z]+:[\w.-]+@sha256:[0-9a-f]{64}', image), image


def test_urls_occur_only_as_defaults_of_arguments():
    assert [line for line in instructions() if '://' in line and not line.startswith('ARG ')] == []


def test_neon_is_pinned_to_the_commit_of_its_release():
    assert arguments()['NEON_COMMIT'] == NEON_2_6_0
    assert arguments()['ALLOW_OTHER_NEON_COMMIT'] == 'no'


def test_no_instruction_needs_buildkit():
    assert [
        line for line in instructions() if re.search(r'--mount|--chmod|--checksum|--link|<<', line)
    ] == []


def test_the_engine_is_not_compiled_for_the_building_machine_only():
    assert arguments()['NEON_MARCH'] == 'x86-64'
    assert not any('-march=native' in line for line in instructions())


def test_the_final_stages_do_not_run_as_root():
    user = {}
    for line in instructions():
        if line.startswith('FROM '):
            _, source, _, stage = line.split()
            user[stage] = user.get(source)
        elif line.startswith('USER '):
            user[stage] = line[5:]
    for stage in ('torch', 'neon-cpu', 'neon-gpu'):
        assert user[stage] == '${NEON_RNN_UID}:${NEON_RNN_GID}'
    assert int(arguments()['NEON_RNN_UID']) > 0


@pytest.mark.parametrize('name', REQUIREMENTS)
def test_every_package_is_pinned_by_version_and_hash(name):
    assert pins(name)
    for requirement, hashes in pins(name).items():
        assert re.fullmatch(r'[a-z0-9-]+==[\w.+]+', requirement)
        # One more where the wheel for CPython 3.6 is another file.
        several = name in ('requirements.txt', 'docker/requirements-gpu.txt')
        assert len(hashes) in ((1, 2) if several else (1,))
        assert all(re.fullmatch(r'--hash=sha256:[0-9a-f]{64}', each) for each in hashes)


def test_the_versions_that_were_tried_with_neon_are_pinned():
    assert {'numpy==1.13.1', 'h5py==2.7.1', 'pillow==4.2.1', 'mkl==2018.0.3'} <= set(
        pins('requirements.txt')
    )
    assert {'pycuda==2017.1.1', 'scikit-cuda==0.5.1'} <= set(pins('docker/requirements-gpu.txt'))


def test_every_installation_from_the_index_checks_hashes():
    downloads = [
        line for line in instructions() if re.search(r'pip (install|download|wheel)', line)
    ]
    assert len(downloads) == 6
    for line in downloads:
        for command in re.findall(r'pip (?:install|download|wheel)[^&]*', line):
            assert re.search(r'--require-hashes|--no-index|--no-build-isolation', command), command


def test_the_torch_image_has_the_versions_of_pyproject():
    text = (ROOT / 'pyproject.toml').read_text()
    lists = [
        re.search(rf'^{name} = \[(.*?)\]', text, re.DOTALL | re.MULTILINE).group(1)
        for name in ('dependencies', 'torch')
    ]
    entries = [pin for pins in lists for pin in re.findall(r'"([^"]+==[^"]+)"', pins)]
    # The image has CPython 3.11.
    wanted = {pin.partition(';')[0] for pin in entries if '>=' not in pin}
    wanted |= set(re.findall(r'"(pytest==[^"]+)"', text))
    assert len(wanted) > 10
    common = set(pins('docker/requirements-torch.txt'))
    assert wanted <= common | set(pins('docker/requirements-torch-gpu.txt'))
    cpu = {
        requirement.replace('+cpu', '') for requirement in pins('docker/requirements-torch-cpu.txt')
    }
    assert wanted <= common | cpu


@pytest.mark.parametrize('cuda', ['8.0', '11.3'])
def test_every_package_of_cuda_is_pinned(cuda):
    lines = (DOCKER / f'cuda-{cuda}.txt').read_text().splitlines()
    packages = [line for line in lines if not line.startswith('#')]
    assert packages
    for package in packages:
        assert re.fullmatch(r'[a-z-]+-{}=\d[\d.]+-1'.format(cuda.replace('.', '-')), package)
    assert any('cublas-dev' in package for package in packages)


def test_another_cuda_is_refused(tmp_path):
    done = run(
        DOCKER / 'install-cuda.sh', DOCKER, env=clean_environment(CUDA='12.1', CUDA_PACKAGES='')
    )
    assert done.returncode == 2
    assert "8.0 (Kepler to Pascal) or 11.3 (Volta and later), not '12.1'" in done.stderr


@pytest.mark.parametrize(
    ('words', 'variables', 'problem'),
    [
        (
            ['train', '--backend', 'gpu'],
            {'NVIDIA_SMI': '9.0, 550.54.15, NVIDIA H100'},
            'Put CUDA=11.3 before the command',
        ),
        (['train'], {'NVIDIA_SMI': '9.0, 550.54.15, NVIDIA H100'}, None),
        (['train', '-b', 'cpu'], {'NVIDIA_SMI': '9.0, 550.54.15, NVIDIA H100'}, None),
        (['doctor'], {'NVIDIA_SMI': '9.0, 550.54.15, NVIDIA H100'}, None),
        (
            ['train', '--backend', 'gpu'],
            {'NVIDIA_SMI': '3.5, 367.1, Tesla K40m'},
            'needs 375.26 or newer',
        ),
        (['train', '--backend', 'gpu'], {'NVIDIA_SMI': '3.5, 470.1, Tesla K40m'}, None),
        (['verify', '-b', 'gpu'], {'OLD_NVIDIA_SMI': '460.1, Tesla V100'}, 'Put CUDA=11.3'),
        (['train', '--backend', 'gpu'], {'NEON_RNN_CUDA': ''}, None),
    ],
)
def test_the_container_first_says_that_gpu_driver_and_cuda_do_not_fit(
    tmp_path, words, variables, problem
):
    stub_nvidia_smi(tmp_path)
    for tool, text in (('python', 'echo ran'), ('stat', 'echo 0:0')):
        (tmp_path / tool).write_text(f'#!/bin/sh\n{text}\n')
        (tmp_path / tool).chmod(0o755)
    script = tmp_path / 'neon_rnn'
    script.write_text((DOCKER / 'neon_rnn.sh').read_text().replace('/app/', f'{tmp_path}/'))
    script.chmod(0o755)
    (tmp_path / 'results').mkdir()
    environment = {
        'NEON_RNN_CUDA': '8.0',
        'NEON_RNN_SHARE': str(DOCKER),
        'PATH': f'{tmp_path}:{os.environ["PATH"]}',
        **variables,
    }
    done = run(script, *words, env=clean_environment(**environment))
    if problem is None:
        assert (done.returncode, done.stdout, done.stderr) == (0, 'ran\n', '')
    else:
        assert (done.returncode, done.stdout) == (2, '')
        assert problem in done.stderr
        assert done.stderr.count('\n') == 1


@pytest.fixture
def neon_repository(tmp_path):
    """A git repository with one commit, which is not neon 2.6.0."""
    folder = tmp_path / 'repository'
    git = ['git', '-C', folder, '-c', 'user.name=test', '-c', 'user.email=test@localhost']
    assert run('git', 'init', '-q', folder).returncode == 0
    assert run(*git, 'commit', '-q', '--allow-empty', '-m', 'not neon').returncode == 0
    return folder, run(*git, 'rev-parse', 'HEAD').stdout.strip()


def fetch(tmp_path, repository, commit, **more):
    return run(
        DOCKER / 'fetch-neon.sh',
        tmp_path / 'neon',
        env=clean_environment(NEON_REPOSITORY=str(repository), NEON_COMMIT=commit, **more),
    )


def test_another_neon_commit_is_refused(tmp_path, neon_repository):
    repository, commit = neon_repository
    done = fetch(tmp_path, repository, commit)
    assert done.returncode == 2
    assert commit in done.stderr
    assert 'ALLOW_OTHER_NEON_COMMIT=yes' in done.stderr
    assert not (tmp_path / 'neon').exists()


def test_another_neon_commit_can_be_allowed(tmp_path, neon_repository):
    repository, commit = neon_repository
    done = fetch(tmp_path, repository, commit, ALLOW_OTHER_NEON_COMMIT='yes')
    assert (done.returncode, done.stderr) == (0, '')
    assert run('git', '-C', tmp_path / 'neon', 'rev-parse', 'HEAD').stdout.strip() == commit


def test_a_repository_without_the_commit_is_refused(tmp_path, neon_repository):
    done = fetch(tmp_path, neon_repository[0], NEON_2_6_0)
    assert done.returncode == 1
    assert f'has no commit {NEON_2_6_0}' in done.stderr


def test_a_branch_is_not_taken_for_a_commit(tmp_path, neon_repository):
    repository, _ = neon_repository
    branch = run('git', '-C', repository, 'branch', '--show-current').stdout.strip()
    done = fetch(tmp_path, repository, branch, ALLOW_OTHER_NEON_COMMIT='yes')
    assert done.returncode == 2
    assert 'not a full commit hash' in done.stderr


def test_a_repository_that_has_vanished_is_named(tmp_path):
    done = fetch(tmp_path, tmp_path / 'gone', NEON_2_6_0)
    assert done.returncode == 1
    assert 'NEON_REPOSITORY' in done.stderr


def require_nvidia_driver(tmp_path, mark, driver='required', kernel='6.1.0-amd64', **more):
    uname = tmp_path / 'uname'
    uname.write_text(f'#!/bin/sh\necho {kernel}\n')
    uname.chmod(0o755)
    return run(
        DOCKER / 'require-nvidia-driver.sh',
        mark,
        env=clean_environment(
            NVIDIA_DRIVER=driver, PATH=f'{tmp_path}:{os.environ["PATH"]}', **more
        ),
    )


def test_an_image_for_gpus_is_refused_where_it_could_not_run(tmp_path):
    done = require_nvidia_driver(tmp_path, tmp_path / 'none')
    assert (done.returncode, done.stdout) == (2, '')
    for words in (
        f'no NVIDIA driver ({tmp_path}/none)',
        'BACKEND=cpu docker compose run',
        './run.sh train --engine neon --backend cpu',
        'NVIDIA_DRIVER=optional docker compose build',
    ):
        assert words in done.stderr


@pytest.mark.parametrize(
    ('version', 'fits'),
    [
        ('Kernel Module  450.80.02  Wed Sep 23 01:13:39 UTC 2020', False),
        ('Open Kernel Module for x86_64  570.124.06  Release Build', True),
        ('of another form', True),
    ],
)
def test_the_build_ends_where_the_driver_is_too_old(tmp_path, version, fits):
    mark = tmp_path / 'version'
    mark.write_text(f'NVRM version: NVIDIA UNIX x86_64 {version}\nGCC version: 12.2.0\n')
    done = require_nvidia_driver(tmp_path, mark, CUDA='11.3')
    assert done.returncode == (0 if fits else 2), done.stderr
    assert fits or 'driver 450.80.02 is too old for CUDA 11.3, which needs 465.19.01' in done.stderr


@pytest.mark.parametrize('case', ['driver', 'optional', 'wsl'])
def test_an_image_for_gpus_is_built_with_a_driver_under_wsl_and_where_asked(tmp_path, case):
    mark = tmp_path / 'uname' if case == 'driver' else tmp_path / 'none'
    done = require_nvidia_driver(
        tmp_path,
        mark,
        'optional' if case == 'optional' else 'required',
        '5.15.153.1-microsoft-standard-WSL2' if case == 'wsl' else '6.1.0-amd64',
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, '', '')


def test_a_misspelt_requirement_is_named(tmp_path):
    done = require_nvidia_driver(tmp_path, tmp_path / 'none', 'requird')
    assert done.returncode == 2
    assert "'requird'" in done.stderr


def test_every_image_stands_behind_the_check_for_a_driver():
    """Each stage from outside copies from the stage of the check, so BuildKit waits for it."""
    assert arguments()['NVIDIA_DRIVER'] == 'optional'
    stages = {}
    for line in instructions():
        if line.startswith('FROM '):
            _, source, _, stage = line.split()
            stages[stage] = [source]
        elif stages:
            stages[stage].append(line)
    for name in ('torch', 'neon-base'):
        assert stages[name][0].startswith('${')
        assert [line for line in stages[name] if line.startswith(('COPY', 'RUN'))][0].startswith(
            'COPY --from=scripts '
        )
    assert 'RUN /scripts/require-nvidia-driver.sh' in stages['scripts']
