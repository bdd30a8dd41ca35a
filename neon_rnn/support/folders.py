"""Put a folder in the place of another, so that one of them stands there even after a kill."""

import contextlib
import ctypes
import os
import re
import shutil
import sys

#: Of Linux's renameat2: paths relative to the working directory; exchange the two.
_AT_FDCWD, _RENAME_EXCHANGE = -100, 2
#: Of macOS's renamex_np: exchange the two.
_RENAME_SWAP = 2


def temporary_beside(path):
    """Return a name beside `path` for the folder that this process will put in its place."""
    folder, name = os.path.split(str(path))
    return os.path.join(folder, '.{}.{}'.format(name, os.getpid()))


def put_in_place(temporary, path):
    """Move a folder to `path`, and remove the folder that was there.

    Linux and macOS exchange the two in one step, on most file systems. Elsewhere the old folder is
    moved away first: after a kill in between, `restore` puts it back.

    Parameters
    ----------
    temporary : str or os.PathLike
        As `temporary_beside` named it.
    path : str or os.PathLike

    Raises
    ------
    OSError
        It cannot be moved; `path` is as it was.
    """
    temporary, path = str(temporary), str(path)
    previous = temporary + '.previous'
    if not os.path.exists(path):
        os.rename(temporary, path)
    elif _exchange(temporary, path):
        shutil.rmtree(temporary, ignore_errors=True)
    else:
        os.rename(path, previous)
        try:
            os.rename(temporary, path)
        except OSError:
            os.rename(previous, path)
            raise
        shutil.rmtree(previous, ignore_errors=True)


def _exchange(one, other):
    """Exchange two folders in one step; return False where the system cannot."""
    library = ctypes.CDLL(None)
    one, other = os.fsencode(one), os.fsencode(other)
    if sys.platform.startswith('linux') and hasattr(library, 'renameat2'):
        return library.renameat2(_AT_FDCWD, one, _AT_FDCWD, other, _RENAME_EXCHANGE) == 0
    if sys.platform == 'darwin' and hasattr(library, 'renamex_np'):
        return library.renamex_np(one, other, _RENAME_SWAP) == 0
    return False


def restore(path):
    """Put back the folder that a killed process moved away from `path`, if none stands there."""
    if os.path.lexists(str(path)):
        return
    for leftover, moved_away in _leftovers(path):
        if moved_away:
            with contextlib.suppress(OSError):  # a read-only disk, or another process was faster
                os.rename(leftover, str(path))
            return


def remove_leftovers(path):
    """Remove what killed processes left beside `path`, after `restore`."""
    restore(path)
    for leftover, _ in _leftovers(path):
        shutil.rmtree(leftover, ignore_errors=True)


def _leftovers(path):
    """Return (path, whether it was moved away from `path`) of the folders of dead processes."""
    folder, name = os.path.split(str(path))
    if not os.path.isdir(folder or '.'):
        return []
    pattern = re.compile(re.escape('.{}.'.format(name)) + r'(\d+)(\.previous)?')
    found = (pattern.fullmatch(entry) for entry in sorted(os.listdir(folder or '.')))
    return [
        (os.path.join(folder, match.group()), match.group(2) is not None)
        for match in found
        if match is not None and not _runs(int(match.group(1)))
    ]


def _runs(process):
    try:
        os.kill(process, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except OSError:  # it runs for another user
        return True
    return True
