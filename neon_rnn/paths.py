"""Where the defaults lie: in the repository, from whatever folder a command is started."""
import os

from neon_rnn.errors import UsageError

#: The repository (or wherever the package's parent folder is).
ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


def default(path):
    """A path of the repository, as short as it can be written from the working directory.

    Parameters
    ----------
    path : str
        Relative to the repository, such as ``'results/runs'``.
    """
    return path if os.path.realpath(os.getcwd()) == os.path.realpath(ROOT) else os.path.join(ROOT, path)


def recorded(path):
    """A path as records hold it: relative to the repository if it lies inside, so that the record means the same elsewhere.

    Parameters
    ----------
    path : str
        Absolute, or relative to the working directory.
    """
    path = os.path.realpath(str(path))
    inside = path.startswith(os.path.realpath(ROOT) + os.sep)
    return os.path.relpath(path, os.path.realpath(ROOT)) if inside else path


def found(path):
    """The way back: a recorded path as one that can be opened."""
    return default(path) if not os.path.isabs(path) else path


def check_program(path, option):
    """Make sure that the value of an option is a file that can be run.

    Raises
    ------
    UsageError
        It is not.
    """
    if not (os.path.isfile(path) and os.access(path, os.X_OK)):
        raise UsageError('{}: {} cannot be run.'.format(option, path))


def child_environment():
    """The environment in which a child process finds ``-m neon_rnn`` from any working directory."""
    return dict(os.environ, PYTHONPATH=os.pathsep.join(filter(None, [ROOT, os.environ.get('PYTHONPATH')])))
