"""Where the defaults lie: in the repository, from whatever folder a command is started."""
import os

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
