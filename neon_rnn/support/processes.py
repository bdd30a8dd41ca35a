"""Start other processes: programs named by the user, and this package in a Python of its own. And
end this one.
"""

import gc
import os
import sys

from neon_rnn.support import paths
from neon_rnn.support.errors import UsageError


def check_program(path, option):
    """Check that the value of an option is a file that can be run.

    Parameters
    ----------
    path : str
    option : str
        As the user types it, for the message.

    Raises
    ------
    UsageError
        `path` cannot be run.
    """
    if not (os.path.isfile(path) and os.access(path, os.X_OK)):
        raise UsageError('{}: {} cannot be run.'.format(option, path))


def package_command(python=sys.executable):
    """Return the words that run this package's command line in a Python.

    Not ``-m neon_rnn``: that would run a file neon_rnn.py of the working directory.
    """
    code = (
        'import sys; sys.path[:] = filter(None, sys.path); '
        'from neon_rnn.cli import program; sys.exit(program())'
    )
    return [python, '-c', code]


def end_soon():
    """Let Python end without looking through all objects again; with PyTorch's that takes a second.

    For the last line of a program. Objects that only refer to each other are not destroyed.
    """
    freeze = getattr(gc, 'freeze', None)  # since CPython 3.7
    if freeze:
        freeze()


def child_environment():
    """Return an environment in which a child process finds the package from any folder."""
    search = [paths.ROOT, os.environ.get('PYTHONPATH')]
    return dict(os.environ, PYTHONPATH=os.pathsep.join(filter(None, search)))


def container_script():
    """Return the script that runs a command in neon's container.

    Raises
    ------
    UsageError
        The package was installed without the checkout that holds the container's files.
    """
    script = os.path.join(paths.ROOT, 'docker', 'run-in-compose.sh')
    if not os.path.isfile(script):
        raise UsageError(
            'Intel neon is not installed in this Python ({}), and its container is built from a '
            'checkout of the '
            'project, which this installation does not have. Run the command there, or take '
            "'--engine torch'.".format(sys.executable)
        )
    return script
