"""What a record says about code, packages and machine, on machines that are not this one."""

import importlib.metadata
import os
import platform
import subprocess

import numpy
import pytest

from neon_rnn import __version__
from neon_rnn.support import machine


def git(folder, *arguments):
    subprocess.run(
        ['git', '-c', 'user.name=t', '-c', 'user.email=t@example.org', '-C', str(folder)]
        + list(arguments),
        check=True,
        capture_output=True,
    )


@pytest.fixture
def checkout(tmp_path, monkeypatch):
    """A repository with a package in it that stands for ours."""
    package = tmp_path / 'a repository' / 'neon_rnn'
    package.mkdir(parents=True)
    (package / '__init__.py').write_text('', encoding='utf-8')
    git(tmp_path / 'a repository', 'init', '-q')
    git(tmp_path / 'a repository', 'add', '.')
    git(tmp_path / 'a repository', 'commit', '-q', '-m', 'first')
    monkeypatch.setattr(machine, 'PACKAGE', str(package))
    return tmp_path / 'a repository'


def test_git_state_of_a_clean_checkout(checkout):
    state = machine.git_state()
    head = subprocess.run(
        ['git', '-C', str(checkout), 'rev-parse', 'HEAD'],
        check=True,
        capture_output=True,
        text=True,
    )
    assert state == {'commit': head.stdout.strip(), 'dirty': False}


def test_only_the_package_makes_a_checkout_dirty(checkout):
    (checkout / 'results').mkdir()
    (checkout / 'results' / 'record.json').write_text('{}', encoding='utf-8')
    assert machine.git_state()['dirty'] is False
    (checkout / 'neon_rnn' / 'new.py').write_text('', encoding='utf-8')
    assert machine.git_state()['dirty'] is True


def test_a_copy_inside_another_repository_has_no_commit(checkout, monkeypatch):
    copy = checkout / '.venv' / 'neon_rnn'
    copy.mkdir(parents=True)
    (copy / '__init__.py').write_text('', encoding='utf-8')
    monkeypatch.setattr(machine, 'PACKAGE', str(copy))
    assert machine.git_state() == {'commit': None, 'dirty': None}


def test_no_repository_and_no_git_are_no_failure(tmp_path, monkeypatch):
    monkeypatch.setattr(machine, 'PACKAGE', str(tmp_path))
    assert machine.git_state() == {'commit': None, 'dirty': None}
    monkeypatch.setenv('PATH', str(tmp_path))
    assert machine.git_state() == {'commit': None, 'dirty': None}


def test_versions_come_from_the_installed_distributions():
    found = machine.versions()
    assert (found['neon_rnn'], found['python'], found['numpy']) == (
        __version__,
        platform.python_version(),
        numpy.__version__,
    )
    assert found['h5py'] == importlib.metadata.version('h5py')
    assert machine.installed_version('no-such-distribution') is None


@pytest.mark.parametrize(
    ('text', 'intel'),
    [
        ('processor\t: 0\nvendor_id\t: GenuineIntel\nmodel name\t: Xeon\n', True),
        ('processor\t: 0\nvendor_id\t: AuthenticAMD\nmodel name\t: like GenuineIntel\n', False),
    ],
)
def test_who_made_the_processor(tmp_path, text, intel):
    path = tmp_path / 'cpuinfo'
    path.write_text(text)
    assert machine.made_by_intel(str(path)) is intel


@pytest.mark.parametrize(
    ('processor', 'intel'),
    [('Intel64 Family 6 Model 143 Stepping 8, GenuineIntel', True), ('arm', False), ('', False)],
)
def test_who_made_the_processor_where_linux_does_not_say_it(
    tmp_path, monkeypatch, processor, intel
):
    monkeypatch.setattr(platform, 'processor', lambda: processor)
    assert machine.made_by_intel(str(tmp_path / 'missing')) is intel


def test_cpu_model_as_linux_writes_it(tmp_path):
    path = tmp_path / 'cpuinfo'
    path.write_text(
        'processor\t: 0\nmodel name\t: Intel(R)  Xeon(R) CPU E5-2660 0 @ 2.20GHz\n',
        encoding='utf-8',
    )
    assert machine.cpu_model(str(path)) == 'Intel(R) Xeon(R) CPU E5-2660 0 @ 2.20GHz'
    assert machine.cpu_model(str(tmp_path / 'missing')) == (
        platform.processor() or platform.machine()
    )


@pytest.mark.parametrize(('limit', 'expected'), [('max\n', 24.0), ('8589934592\n', 8.0)])
def test_memory_is_what_the_process_may_use(tmp_path, limit, expected):
    meminfo, granted = tmp_path / 'meminfo', tmp_path / 'memory.max'
    meminfo.write_text('MemTotal:       25165824 kB\nMemFree: 1 kB\n', encoding='utf-8')
    granted.write_text(limit, encoding='utf-8')
    assert machine.memory_gib(str(meminfo), str(granted)) == expected
    assert machine.memory_gib(str(tmp_path / 'none'), str(tmp_path / 'none')) is None


@pytest.mark.parametrize(
    ('limit', 'expected'),
    [('max 100000\n', 4), ('250000 100000\n', 2), ('50000 100000\n', 1), ('900000 100000\n', 4)],
)
def test_cores_are_those_the_process_may_use(tmp_path, monkeypatch, limit, expected):
    monkeypatch.setattr(machine.os, 'sched_getaffinity', lambda pid: {0, 2, 4, 6}, raising=False)
    (tmp_path / 'cpu.max').write_text(limit, encoding='utf-8')
    assert machine.cores(str(tmp_path / 'cpu.max')) == expected
    assert machine.cores(str(tmp_path / 'none')) == 4


def test_machine_has_the_fields_of_a_record():
    found = machine.describe()
    assert sorted(found) == ['cores', 'cpu', 'memory_gib', 'system']
    assert 1 <= found['cores'] <= os.cpu_count()
