"""A data set on a disk that is full, and one whose replacement is killed: one stands there, whole.

A small file system in memory is the disk.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from small_datasets import write_small_dataset

from neon_rnn.data.dataset import open_dataset
from neon_rnn.support import folders
from neon_rnn.support.errors import UsageError

SUPPORT = Path(__file__).resolve().parents[1] / 'support'

#: Write a data set of 6 MB, in blocks between which another program takes the rest of the disk.
WRITE = """
import os, sys
import numpy as np
import neon_rnn.ingest.output as output
from neon_rnn.cli import call
from neon_rnn.support import files
from small_datasets import part_data

def add_arguments(parser):
    pass

def fill():
    ballast = os.open(sys.argv[1] + '/ballast', os.O_CREAT | os.O_WRONLY)
    try:
        while True:
            os.write(ballast, bytes(4096))
    except OSError:
        os.close(ballast)

def blocks():
    yield np.ones((100, 3 * 64 * 64), np.uint8)
    fill()
    for _ in range(4):
        yield np.ones((100, 3 * 64 * 64), np.uint8)

def run(arguments):
    train = output.PartData(np.arange(500) % 2, blocks(), ['x'] * 500, [''] * 500)
    description = dict(name='new', source='test', kind='synthetic', class_names=['a', 'b'],
                       filters=[], split='none', seed=0, note='')
    output.write_dataset(sys.argv[1] + '/set', {'train': train, 'test': part_data(2, (3, 64, 64))},
                         (3, 64, 64), description)

if sys.argv[2] == 'unreserved':
    del os.posix_fallocate
if sys.argv[2] == 'full':
    output.shutil.disk_usage = lambda path: type('Usage', (), {'free': 1 << 40})
    fill()
sys.exit(call('__main__', 'write', ['write']))
"""

#: Replace a data set, and be killed before the n-th renaming.
REPLACE = """
import os, signal, sys
from neon_rnn.support import folders
from small_datasets import write_small_dataset

def killed_at(number, function):
    def counted(*arguments, **options):
        counted.calls += 1
        if counted.calls == number:
            os.kill(os.getpid(), signal.SIGKILL)
        return function(*arguments, **options)
    counted.calls = 0
    return counted

if sys.argv[2] != 'exchange':
    folders._exchange = lambda one, other: False
    os.rename = killed_at(int(sys.argv[3]), os.rename)
elif sys.argv[3] == '1':
    folders._exchange = killed_at(1, folders._exchange)
folders.shutil.rmtree = killed_at(1, folders.shutil.rmtree)
write_small_dataset(sys.argv[1], name='new')
"""


def python(script, *arguments):
    return subprocess.run(
        [sys.executable, '-c', script, *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
        env=dict(os.environ, PYTHONPATH=os.pathsep.join([str(SUPPORT), *filter(None, sys.path)])),
    )


@pytest.fixture
def disk(tmp_path):
    """A file system of 12 MB."""
    folder = tmp_path / 'disk'
    folder.mkdir()
    mount = ['mount', '-t', 'tmpfs', '-o', 'size=12m', 'tmpfs', str(folder)]
    try:
        done = subprocess.run(mount, capture_output=True, text=True, check=False)
        reason = done.stderr.strip() if done.returncode else ''
    except OSError as error:
        reason = str(error)
    if reason:
        pytest.skip(f'no small file system can be mounted here ({reason}); root on Linux can')
    yield folder
    subprocess.run(['umount', str(folder)], check=True)


def test_a_disk_that_fills_up_while_hdf5_is_written_does_not_matter_where_room_is_reserved(disk):
    if not hasattr(os, 'posix_fallocate'):
        pytest.skip('this system cannot reserve room for a file')
    done = python(WRITE, disk, 'reserved')
    assert (done.returncode, done.stderr) == (0, '')
    assert open_dataset(disk / 'set').description['name'] == 'new'


@pytest.mark.parametrize('how', ['full', 'unreserved'])
def test_a_full_disk_is_one_line_and_status_1_and_the_old_data_set_stays(disk, how):
    write_small_dataset(disk / 'set', name='old')
    done = python(WRITE, disk, how)
    assert done.returncode == 1, done.stderr
    assert done.stderr == (
        f'write: error: {disk}/set: the disk is full; nothing there was changed. Free some space '
        'and run the command again.\n'
    )
    assert sorted(path.name for path in disk.iterdir()) == ['ballast', 'set']
    assert open_dataset(disk / 'set').description['name'] == 'old'


@pytest.mark.parametrize(
    ('how', 'moment', 'stands'),
    [
        ('exchange', 1, 'old'),
        ('exchange', 2, 'new'),
        ('renames', 1, 'old'),
        ('renames', 2, 'old'),
        ('renames', 3, 'new'),
    ],
)
def test_a_data_set_stands_there_when_its_replacement_is_killed(tmp_path, how, moment, stands):
    write_small_dataset(tmp_path / 'sets/set', name='old')
    if how == 'exchange' and not exchanges(tmp_path):
        pytest.skip('this file system cannot exchange two folders')
    done = python(REPLACE, tmp_path / 'sets/set', how, moment)
    assert done.returncode == -9, done.stderr
    assert open_dataset(tmp_path / 'sets/set').description['name'] == stands
    folders.remove_leftovers(tmp_path / 'sets/set')
    assert [path.name for path in (tmp_path / 'sets').iterdir()] == ['set']
    assert open_dataset(tmp_path / 'sets/set').description['name'] == stands


def exchanges(tmp_path):
    for name in ('one', 'other'):
        (tmp_path / name / name).mkdir(parents=True)
    done = folders._exchange(str(tmp_path / 'one'), str(tmp_path / 'other'))
    return done and (tmp_path / 'one/other').is_dir()


def test_what_a_running_process_moved_away_is_left_to_it(tmp_path):
    write_small_dataset(tmp_path / 'set')
    (tmp_path / 'set').rename(tmp_path / f'.set.{os.getppid()}.previous')
    with pytest.raises(UsageError, match='there is no such data set folder'):
        open_dataset(tmp_path / 'set')
