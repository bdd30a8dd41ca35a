"""Atomic writes, what happens when a disk is full or a folder closed, and the lock of a folder."""

import errno
import hashlib
import os
import signal
import stat
import subprocess
import sys
import textwrap

import pytest

import neon_rnn
from neon_rnn.ingest.sources import imdb_wiki
from neon_rnn.runs import checkpoint, tables
from neon_rnn.support import files
from neon_rnn.support.errors import NeonRnnError
from neon_rnn.weights import formats, neon_prm

ROOT = os.path.dirname(os.path.dirname(neon_rnn.__file__))


def failing(number):
    def call(*arguments):
        raise OSError(number, os.strerror(number))

    return call


# Atomic writes
# ----------------------------------------------------------------------


@pytest.mark.parametrize(('mode', 'content'), [('wb', b'\x00new\n'), ('w', 'new \u00e9\r\n')])
def test_a_file_is_replaced_only_when_it_is_whole(tmp_path, mode, content):
    path = tmp_path / 'record.json'
    path.write_bytes(b'old')
    with files.atomic_file(path, mode) as file:
        file.write(content)
        file.flush()
        assert path.read_bytes() == b'old'
    assert path.read_bytes() == (content if mode == 'wb' else content.encode('utf-8'))
    assert os.listdir(tmp_path) == ['record.json']


@pytest.mark.parametrize('end', [ZeroDivisionError, KeyboardInterrupt])
def test_an_error_or_ctrl_c_in_between_leaves_the_old_file_and_nothing_else(tmp_path, end):
    path = tmp_path / 'record.json'
    path.write_bytes(b'old')
    with pytest.raises(end), files.atomic_file(path) as file:
        file.write(b'half')
        raise end
    assert path.read_bytes() == b'old'
    assert os.listdir(tmp_path) == ['record.json']


def test_a_killed_writer_leaves_the_old_file(tmp_path):
    path = tmp_path / 'record.json'
    path.write_bytes(b'old')
    code = textwrap.dedent("""
        import os, signal, sys
        from neon_rnn.support import files
        with files.atomic_file(sys.argv[1]) as file:
            file.write(b'half')
            file.flush()
            os.kill(os.getpid(), signal.SIGKILL)
    """)
    done = subprocess.run([sys.executable, '-c', code, str(path)], cwd=ROOT, check=False)
    assert done.returncode == -signal.SIGKILL
    assert path.read_bytes() == b'old'


def test_the_next_writer_removes_what_killed_ones_left_and_nothing_else(tmp_path):
    path = tmp_path / 'table.md'
    left = [tmp_path / '.table.md.0123456789ab', tmp_path / '.table.md.ffffffffffff']
    others = [tmp_path / '.table.md.notes', tmp_path / '.tableXmd.0123456789ab']
    for each in left + others:
        each.write_bytes(b'half')
    with files.atomic_file(path) as file:
        file.write(b'slow')
        files.write_text(path, 'fast')  # does not remove what is in work
    assert path.read_bytes() == b'slow'
    assert sorted(tmp_path.iterdir()) == sorted([path, *others])


def test_a_file_system_without_locks_keeps_what_is_left(tmp_path, monkeypatch):
    left = tmp_path / '.a.0123456789ab'
    left.write_bytes(b'half')
    monkeypatch.setattr('fcntl.flock', failing(errno.ENOLCK))
    files.write_text(tmp_path / 'a', 'x')
    assert sorted(path.name for path in tmp_path.iterdir()) == [left.name, 'a']


@pytest.mark.parametrize(('mask', 'mode'), [(0o022, 0o644), (0o077, 0o600)])
def test_files_get_the_permissions_of_the_umask(tmp_path, mask, mode):
    before = os.umask(mask)
    try:
        files.write_text(tmp_path / 'a', 'x')
    finally:
        assert os.umask(before) == mask, 'the umask was changed'
    assert stat.S_IMODE((tmp_path / 'a').stat().st_mode) == mode


def test_the_umask_of_the_process_is_left_alone(tmp_path, monkeypatch):
    """A checkpoint's thread that sets it, even for a moment, decides the permissions of what other
    threads make.
    """
    monkeypatch.setattr(files.os, 'umask', lambda mask: pytest.fail('the umask was set'))
    files.write_text(tmp_path / 'a', 'x')
    assert (tmp_path / 'a').read_text() == 'x'


def test_a_name_without_a_folder_is_written_where_one_stands(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    files.write_text('a', 'x')
    assert (tmp_path / 'a').read_text() == 'x'


@pytest.mark.parametrize('call', ['open', 'fsync', 'replace'])
def test_a_full_disk_is_named_and_leaves_the_old_file(tmp_path, monkeypatch, call):
    path = tmp_path / 'checkpoint.npz'
    path.write_bytes(b'old')
    monkeypatch.setattr(files.os, call, failing(errno.ENOSPC))
    with pytest.raises(
        NeonRnnError, match=r'checkpoint\.npz: the disk is full; nothing there was changed'
    ) as caught:
        files.write_text(path, 'new')
    assert caught.value.exit_status == 1
    assert path.read_bytes() == b'old'
    assert os.listdir(tmp_path) == ['checkpoint.npz']


def test_a_disk_that_fills_up_during_the_write(tmp_path, monkeypatch):
    """The file object's own write fails, as it does when a buffer is flushed."""
    path = tmp_path / 'checkpoint.npz'
    path.write_bytes(b'old')
    opened = os.fdopen

    def fdopen(*arguments, **options):
        file = opened(*arguments, **options)
        file.close()
        return open('/dev/full', 'wb', buffering=0)

    monkeypatch.setattr(files.os, 'fdopen', fdopen)
    with pytest.raises(NeonRnnError, match='the disk is full'), files.atomic_file(path) as file:
        file.write(b'new')
    assert path.read_bytes() == b'old'
    assert os.listdir(tmp_path) == ['checkpoint.npz']


@pytest.mark.parametrize(
    ('number', 'message'),
    [
        (errno.EACCES, 'no permission to write there'),
        (errno.EROFS, 'no permission to write there'),
        (errno.EPERM, 'no permission to write there'),
        (errno.EIO, 'could not be written'),
    ],
)
def test_other_failures_say_what_to_do(tmp_path, monkeypatch, number, message):
    monkeypatch.setattr(files.os, 'open', failing(number))
    with pytest.raises(NeonRnnError, match=message) as caught:
        files.write_text(tmp_path / 'a', 'x')
    assert str(tmp_path / 'a') in str(caught.value)
    assert os.strerror(number) in str(caught.value)


@pytest.mark.skipif(os.geteuid() == 0, reason='root may write everywhere; run as another user')
def test_a_closed_folder(tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(NeonRnnError, match='no permission to write there'):
        files.write_text(tmp_path / 'a', 'x')


def test_a_missing_folder(tmp_path):
    with pytest.raises(NeonRnnError, match='could not be written'):
        files.write_text(tmp_path / 'missing' / 'a', 'x')


def test_make_folder(tmp_path):
    assert files.make_folder(tmp_path / 'a' / 'b') == str(tmp_path / 'a' / 'b')
    files.make_folder(tmp_path / 'a' / 'b')
    (tmp_path / 'file').write_text('x')
    with pytest.raises(NeonRnnError, match='file'):
        files.make_folder(tmp_path / 'file')


# JSON and hashes
# ----------------------------------------------------------------------


def test_json_is_sorted_readable_and_ends_with_a_line(tmp_path):
    value = {'b': [1, 0.1], 'a': {'\u00e9': None}}
    files.write_json(tmp_path / 'a.json', value)
    assert (tmp_path / 'a.json').read_bytes().decode('utf-8') == (
        '{\n  "a": {\n    "\u00e9": null\n  },\n  "b": [\n    1,\n    0.1\n  ]\n}\n'
    )
    assert files.read_json(tmp_path / 'a.json') == value


def test_json_never_holds_nan(tmp_path):
    with pytest.raises(ValueError, match='not JSON compliant'):
        files.write_json(tmp_path / 'a.json', {'cost': float('nan')})
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize('content', [b'', b'{"a": 1', b'\xff\xfe'])
def test_json_cut_short_or_not_text_is_named(tmp_path, content):
    path = tmp_path / 'record.json'
    path.write_bytes(content)
    with pytest.raises(NeonRnnError, match=r'record\.json: is not valid JSON .*cut short'):
        files.read_json(path)


def test_a_missing_json_file_is_named(tmp_path):
    with pytest.raises(NeonRnnError, match=r'record\.json: cannot be read \(No such file'):
        files.read_json(tmp_path / 'record.json')


def test_sha256_of_more_than_one_block(tmp_path):
    content = bytes(range(256)) * 8192 + b'end'
    (tmp_path / 'a').write_bytes(content)
    assert files.sha256_file(tmp_path / 'a') == hashlib.sha256(content).hexdigest()
    (tmp_path / 'empty').write_bytes(b'')
    assert (
        files.sha256_file(tmp_path / 'empty')
        == 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855'
    )


# The lock
# ----------------------------------------------------------------------

HOLD = textwrap.dedent("""
    import sys, time
    from neon_rnn.support import files
    with files.folder_lock(sys.argv[1], 'training'):
        print('held', flush=True)
        time.sleep(60)
""")


def holder(folder):
    process = subprocess.Popen(
        [sys.executable, '-c', HOLD, str(folder)], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout.readline() == 'held\n'
    return process


def test_a_second_process_is_refused_and_the_lock_dies_with_its_holder(tmp_path):
    with holder(tmp_path) as process:
        refused = pytest.raises(NeonRnnError, match='another process is training there')
        with refused as caught, files.folder_lock(tmp_path, 'training'):
            pytest.fail('both hold the folder')
        assert str(tmp_path) in str(caught.value)
        process.kill()
    with files.folder_lock(tmp_path, 'training'):
        pass


def test_the_lock_is_free_again_after_an_error(tmp_path):
    with pytest.raises(ZeroDivisionError), files.folder_lock(tmp_path, 'training'):
        raise ZeroDivisionError
    with files.folder_lock(tmp_path, 'training'):
        pass


def test_a_file_system_without_locks_is_not_taken_for_another_process(tmp_path, monkeypatch):
    monkeypatch.setattr(files.fcntl, 'flock', failing(errno.ENOLCK))
    with (
        pytest.raises(NeonRnnError, match=os.strerror(errno.ENOLCK)) as caught,
        files.folder_lock(tmp_path, 'training'),
    ):
        pytest.fail('it cannot be held')
    assert 'another process' not in str(caught.value)
    assert str(tmp_path) in str(caught.value)


def test_the_lock_of_a_missing_folder_names_it(tmp_path):
    with (
        pytest.raises(NeonRnnError, match='missing'),
        files.folder_lock(tmp_path / 'missing', 'training'),
    ):
        pytest.fail('there is nothing to hold')


# Pipes and devices
# ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ('name', 'read'),
    [
        ('dataset.json', files.read_json),
        ('minibatches.csv', lambda path: tables.read(path, (('epoch', int),))),
        ('checkpoint.npz', checkpoint.load),
        ('model.prm', neon_prm.read),
        ('model.pth', lambda path: formats.read(str(path))),
        ('model.safetensors', lambda path: formats.read(str(path))),
        ('wiki.mat', lambda path: imdb_wiki.read_metadata(path, 'wiki')),
    ],
)
def test_a_pipe_in_place_of_a_file_is_refused(tmp_path, name, read):
    os.mkfifo(tmp_path / name)
    with pytest.raises(NeonRnnError, match=f'{name}: .*not a regular file'):
        read(tmp_path / name)


@pytest.mark.parametrize('read', [files.read_json, checkpoint.load, neon_prm.read])
def test_a_device_in_place_of_a_file_is_refused(tmp_path, read):
    (tmp_path / 'zero').symlink_to('/dev/zero')
    with pytest.raises(NeonRnnError, match='zero: .*not a regular file'):
        read(tmp_path / 'zero')
