"""Name a run, and make the folder of that name."""

import datetime
import errno
import os

from neon_rnn.support.errors import NeonRnnError, UsageError
from neon_rnn.support.files import write_error

#: The file that makes a folder that of a run.
RECORD = 'record.json'


def now():
    """Return the time in UTC as records hold it, such as ``'2026-11-23T10:15:00Z'``."""
    return datetime.datetime.now(datetime.timezone.utc).strftime('%Y-%m-%dT%H:%M:%SZ')


def unused_run_id(parent, model, engine, backend, seed):
    """Return a name of `new_run_id` that no run below `parent` has yet."""
    name = new_run_id(model, engine, backend, seed)
    names = (name if number == 1 else '{}-{}'.format(name, number) for number in range(1, 1000))
    return next(name for name in names if not os.path.lexists(os.path.join(str(parent), name)))


def new_run_id(model, engine, backend, seed, started=None):
    """Return a name for a run, such as ``'rnn-torch-cpu-s0-20261123-101500'``.

    Parameters
    ----------
    model, engine, backend : str
        As the record names them.
    seed : int
    started : str, optional
        As `now` returns it; default: now.
    """
    time = (started or now()).replace('-', '').replace(':', '').replace('T', '-').rstrip('Z')
    return '{}-{}-{}-s{}-{}'.format(model, engine, backend, seed, time)


def check_run_id(parent, run_id):
    """Check that a run of this name can be made.

    Raises
    ------
    UsageError
        The name is not one of a folder below `parent`, or it is taken.
    """
    plain = run_id == os.path.basename(run_id) and run_id.isprintable()
    if not run_id or not plain or run_id.startswith('.'):
        raise UsageError(
            '{!r} cannot name a run: use letters, digits, and - _ . inside.'.format(run_id)
        )
    if os.path.lexists(os.path.join(str(parent), run_id)):
        raise UsageError(
            '{}: there is a run of this name already; resume it or choose another name.'.format(
                os.path.join(str(parent), run_id)
            )
        )


def new_folder(parent, name, counted):
    """Make a new folder; if `counted`, add a number to a name that is taken."""
    for attempt in range(1, 1000):
        folder = os.path.join(parent, name if attempt == 1 else '{}-{}'.format(name, attempt))
        try:
            os.mkdir(folder)  # fails for one of two processes that take the same name
            return folder
        except OSError as error:
            if error.errno != errno.EEXIST or not counted:
                raise write_error(folder, error)
    raise NeonRnnError('{}: holds a thousand runs named {}.'.format(parent, name))


def run_folder(path):
    """Return the folder of a run that is named by it, or by a file of the run inside it.

    Parameters
    ----------
    path : str or os.PathLike
        The folder, or such as ``RUN/checkpoint.npz``.

    Raises
    ------
    UsageError
        It is a file that does not lie in the folder of a run.
    """
    path = str(path)
    if not os.path.isfile(path):
        return path
    folder = os.path.dirname(path) or '.'
    if not os.path.isfile(os.path.join(folder, RECORD)):
        raise UsageError(
            '{}: is a file. Name the folder of a run, which holds {} beside the checkpoint.'.format(
                path, RECORD
            )
        )
    return folder
