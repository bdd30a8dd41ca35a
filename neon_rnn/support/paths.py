"""Find the package, the project folder that defaults lie in, and turn paths into recorded ones and
back.
"""

import os

#: The folder of the package itself; nothing is ever written into it.
PACKAGE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))

#: The checkout that the package lies in, or the folder it is installed in.
ROOT = os.path.dirname(PACKAGE)


#: Below `home`: the runs of this machine, which git ignores, and the published ones, which it
#: tracks.
OWN_RUNS = os.path.join('results', 'own', 'runs')
PUBLISHED_RUNS = os.path.join('results', 'runs')


def is_checkout(folder):
    """Return whether a folder is a checkout of this project."""
    return all(
        os.path.isfile(os.path.join(folder, *name))
        for name in (('pyproject.toml',), ('neon_rnn', 'published.csv'))
    )


def home():
    """Return the folder in which the defaults `data/` and `results/` lie, as an absolute path.

    The checkout around the working directory; outside of one, the folder that the variable
    NEON_RNN_HOME names (run.sh sets it to its own checkout); else the working directory.
    """
    folder = here = os.path.realpath(os.getcwd())
    while True:
        if is_checkout(folder):
            return folder
        parent = os.path.dirname(folder)
        if parent == folder:
            return os.path.realpath(os.environ.get('NEON_RNN_HOME') or here)
        folder = parent


def in_home(path):
    """Return a path of the project folder, as short as it can be written from the working
    directory.

    Parameters
    ----------
    path : str
        Relative to `home`, such as ``'results/runs'``.
    """
    folder = home()
    return path if os.path.realpath(os.getcwd()) == folder else os.path.join(folder, path)


def to_recorded(path):
    """Return a path as records hold it: relative to `home` if it lies inside, so that the record
    means the same elsewhere.

    Parameters
    ----------
    path : str
        Absolute, or relative to the working directory.
    """
    path, folder = os.path.realpath(str(path)), home()
    return (
        os.path.relpath(path, folder) if path.startswith(folder.rstrip(os.sep) + os.sep) else path
    )


def from_recorded(path):
    """Return a recorded path as one that can be opened from the working directory."""
    return path if os.path.isabs(path) else in_home(path)
