"""One training in several processes, started by torchrun: the first rank keeps the run, the others
keep silent.

Every rank runs the same loop; the others' records go to a folder of their own that is thrown away.
"""

import contextlib
import os
import shutil
import sys
import tempfile


def first():
    """Return whether this is the first rank, or the only process."""
    several = int(os.environ.get('WORLD_SIZE', '1')) > 1  # else RANK belongs to another program
    return not several or int(os.environ.get('RANK', '0')) == 0


def silence_others():
    """Discard what the other ranks print from now on; their errors are still shown."""
    if not first():
        sys.stdout.flush()
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)


@contextlib.contextmanager
def own_folder(folder, copy=False):
    """Yield the folder itself to the first rank, a scratch folder to the others.

    Parameters
    ----------
    folder : str
    copy : bool
        Begin with a copy of what the folder holds.
    """
    if first():
        yield folder
        return
    scratch = tempfile.mkdtemp(prefix='neon_rnn-rank-')
    try:
        own = os.path.join(scratch, 'run')
        if copy:
            shutil.copytree(folder, own, ignore=shutil.ignore_patterns('.lock'))
        yield own
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
