"""Write files atomically; read and write JSON; hash files; lock folders."""

import contextlib
import errno
import hashlib
import json
import os
import re

from neon_rnn.support import system
from neon_rnn.support.errors import NeonRnnError, UsageError

try:
    import fcntl
except ImportError:  # Windows, which `system.check` refuses
    fcntl = None  # type: ignore[assignment]


@contextlib.contextmanager
def atomic_file(path, mode='wb'):
    """Open a temporary file beside `path` that replaces it on success; on an error nothing changes.

    Parameters
    ----------
    path : str or os.PathLike
    mode : str
        ``'wb'`` or ``'w'`` (UTF-8, newlines as written).

    Raises
    ------
    NeonRnnError
        The disk is full or the folder cannot be written; names the file.
    """
    path = str(path)
    encoding, newline = (None, None) if 'b' in mode else ('utf-8', '')
    temporary = None
    try:
        temporary, handle = _create_beside(path)
        with os.fdopen(handle, mode, encoding=encoding, newline=newline) as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
            os.replace(temporary, path)  # before the file is closed, which ends its lock
            temporary = None
    except OSError as error:
        raise write_error(path, error)
    finally:
        if temporary is not None and os.path.exists(temporary):
            os.unlink(temporary)


def _create_beside(path):
    """Create a new file beside `path`, locked by this process; return its name and its handle.

    Those that killed processes left there are removed: nobody locks them any more.

    Not tempfile.mkstemp, whose files nobody else may read: the umask, which would have to be
    applied to them, can only be read by setting it, for all threads of the process.
    """
    folder, name = os.path.split(path)
    pattern = re.compile(re.escape('.{}.'.format(name)) + r'[0-9a-f]{12}')
    with contextlib.suppress(OSError):  # a folder that may not be listed
        for entry in os.listdir(folder or '.'):
            if pattern.fullmatch(entry):
                _remove_unlocked(os.path.join(folder, entry))
    while True:
        temporary = os.path.join(folder, '.{}.{}'.format(name, os.urandom(6).hex()))
        handle = os.open(temporary, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
        # Before it is locked, another process can take it for one that was left.
        if _locked(handle) is not False and os.path.exists(temporary):
            return temporary, handle
        os.close(handle)


def _remove_unlocked(path):
    with contextlib.suppress(OSError):  # gone, or of somebody else
        handle = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        try:
            if _locked(handle):
                os.unlink(path)
        finally:
            os.close(handle)


def _locked(handle):
    """Lock a file; return False where another process holds it, None where there are no locks."""
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return None
    return True


def check_writable(path):
    """Check, before long work, that its result can be written to `path`; change nothing there.

    Raises
    ------
    UsageError
        `path` is a folder, or its folder is not there.
    NeonRnnError
        The folder cannot be written.
    """
    path = str(path)
    folder = os.path.dirname(path) or '.'
    if os.path.isdir(path):
        raise UsageError('{}: is a folder; name a file to write.'.format(path))
    if not os.path.isdir(folder):
        raise UsageError('{}: there is no folder {}; make it first.'.format(path, folder))
    try:
        probe, handle = _create_beside(path)
        os.unlink(probe)
        os.close(handle)
    except OSError as error:
        raise write_error(path, error)


def write_error(path, error):
    """Return the `NeonRnnError` that explains an `OSError` met while writing `path`."""
    if error.errno == errno.ENOSPC:
        return NeonRnnError(
            '{}: the disk is full; nothing there was changed. Free some space and run the command '
            'again.'.format(path)
        )
    if error.errno in (errno.EACCES, errno.EROFS, errno.EPERM):
        return NeonRnnError(
            '{}: no permission to write there ({}). Choose another folder or change its '
            'permissions.'.format(path, error.strerror)
        )
    return NeonRnnError('{}: could not be written ({}).'.format(path, error.strerror or error))


def make_folder(path):
    """Create a folder and its parents; an existing one is fine."""
    try:
        os.makedirs(str(path), exist_ok=True)
    except OSError as error:
        raise write_error(path, error)
    return str(path)


def write_text(path, text):
    """Write a text file atomically (UTF-8)."""
    with atomic_file(path, 'w') as file:
        file.write(text)


def write_json(path, value):
    """Write JSON atomically: sorted keys, two spaces of indentation, no NaN."""
    write_text(
        path,
        json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False, allow_nan=False) + '\n',
    )


def open_regular(path, mode='r', **options):
    """Open a file to read it, as `open` does.

    Raises
    ------
    OSError
        Also for a pipe or a device: reading it may never end.
    """
    check_regular(path)
    return open(str(path), mode, **options)


def check_regular(path):
    """Raise an OSError for a pipe or a device."""
    path = str(path)
    if os.path.exists(path) and not os.path.isfile(path) and not os.path.isdir(path):
        raise OSError(errno.EINVAL, 'it is not a regular file')


def read_json(path):
    """Read a JSON file.

    Raises
    ------
    NeonRnnError
        There is no such file, or it is not whole JSON; names the file.
    """
    try:
        with open_regular(path, encoding='utf-8') as file:
            return json.load(file)
    except OSError as error:
        raise NeonRnnError('{}: cannot be read ({}).'.format(path, error.strerror))
    except (ValueError, RecursionError) as error:
        raise NeonRnnError(
            '{}: is not valid JSON ({}); it may have been cut short.'.format(path, error)
        )


def check_stored(path, archive):
    """Check that a zip archive without compression, as NumPy and PyTorch write them, is one.

    Parameters
    ----------
    path : str or os.PathLike
    archive : zipfile.ZipFile

    Raises
    ------
    NeonRnnError
        Its members are larger than the file, so they would fill the memory.
    """
    total = sum(member.file_size for member in archive.infolist())
    if total > os.path.getsize(str(path)):
        raise NeonRnnError(
            '{}: would unpack to {:,} bytes, more than it holds; neither neon_rnn nor PyTorch '
            'compresses such files. Get it again.'.format(path, total)
        )


def sha256_file(path):
    """Return the sha256 of a file in hexadecimal digits."""
    digest = hashlib.sha256()
    with open(str(path), 'rb') as file:
        for block in iter(lambda: file.read(1 << 20), b''):
            digest.update(block)
    return digest.hexdigest()


@contextlib.contextmanager
def folder_lock(folder, purpose):
    """Hold a folder for this process; the lock ends with the process, however it ends.

    Raises
    ------
    NeonRnnError
        Another process holds it, or it cannot be locked.
    """
    system.check()
    path = os.path.join(str(folder), '.lock')
    try:
        file = open(path, 'a')
    except OSError as error:
        raise write_error(path, error)
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise NeonRnnError(
                '{}: another process is {} there. Wait for it to end or choose another '
                'folder.'.format(folder, purpose)
            )
        except OSError as error:  # a file system without locks
            raise write_error(path, error)
        yield
