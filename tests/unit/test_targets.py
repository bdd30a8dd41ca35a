"""Where a result is to be written is checked before the work is done."""

import errno
import os
import sys

import pytest

from benchmarks.__main__ import main as bench
from neon_rnn.cli import main
from neon_rnn.support import files
from neon_rnn.support.errors import NeonRnnError, UsageError


def test_a_target_that_can_be_written_is_left_as_it_is(tmp_path):
    there = tmp_path / 'there.json'
    there.write_text('{}')
    files.check_writable(there)
    files.check_writable(tmp_path / 'new.json')
    assert [path.name for path in tmp_path.iterdir()] == ['there.json']
    assert there.read_text() == '{}'


def test_a_target_in_the_working_directory(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    files.check_writable('new.json')
    assert not list(tmp_path.iterdir())


def test_a_folder_in_place_of_a_file_and_a_missing_folder(tmp_path):
    with pytest.raises(UsageError, match='is a folder; name a file to write'):
        files.check_writable(tmp_path)
    with pytest.raises(
        UsageError, match='figures.json: there is no folder .*/missing; make it first'
    ):
        files.check_writable(tmp_path / 'missing' / 'figures.json')


@pytest.mark.parametrize(
    ('number', 'said'),
    [(errno.ENOSPC, 'the disk is full'), (errno.EROFS, 'no permission to write')],
)
def test_a_folder_that_takes_no_file(tmp_path, monkeypatch, number, said):
    def refuse(*arguments):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, 'open', refuse)
    with pytest.raises(NeonRnnError, match='figures.json: ' + said):
        files.check_writable(tmp_path / 'figures.json')


@pytest.mark.parametrize(
    'arguments',
    [
        ['evaluate', 'no-such-run', '--json'],
        ['evaluate', 'no-such-run', '--png'],
        ['predict', 'no-such-run', 'x.jpg', '--json'],
        ['verify', '--json'],
    ],
)
def test_a_command_refuses_a_bad_target_first(tmp_path, capsys, arguments):
    (tmp_path / 'file').write_text('')
    target = str(tmp_path / 'file' / 'figures.json')  # a file is no folder
    assert main([*arguments, target]) in (1, 2)
    assert_one_line_names(target, capsys)


def test_the_benchmark_refuses_a_bad_target_first(tmp_path, capsys):
    (tmp_path / 'file').write_text('')
    target = str(tmp_path / 'file' / 'bench')
    assert bench(['--parts', 'loading', '--out', target]) in (1, 2)
    assert_one_line_names(target, capsys)


def assert_one_line_names(target, capsys):
    output = capsys.readouterr()
    assert output.out == ''
    (line,) = output.err.splitlines()
    assert target in line


@pytest.mark.parametrize('missing', ['matplotlib', 'neon_rnn.report.plots'])
def test_a_picture_that_cannot_be_drawn_is_refused_first(tmp_path, monkeypatch, capsys, missing):
    monkeypatch.setitem(sys.modules, missing, None)
    assert main(['evaluate', 'no-such-run', '--png', str(tmp_path / 'confusion.png')]) == 2
    assert 'error: --png needs matplotlib' in capsys.readouterr().err


@pytest.mark.parametrize(
    ('run', 'arguments'),
    [
        (main, ['table', '--runs', 'no-such-runs']),
        (bench, ['--parts', 'loading', '--out', 'bench']),
    ],
)
def test_plots_without_matplotlib_are_refused_first(tmp_path, monkeypatch, capsys, run, arguments):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(sys.modules, 'matplotlib', None)
    assert run(arguments) == 2
    output = capsys.readouterr()
    assert output.out == ''
    assert 'error: plots need matplotlib (' in output.err
