"""The errors that a user meets: each names the file or value at fault and says what to do."""

import contextlib


class NeonRnnError(Exception):
    """Something went wrong that a user can understand; the command ends with status 1."""

    exit_status = 1


class Diverged(NeonRnnError):
    """A cost or a weight that is not a number: the training ends, and its record says that it has diverged."""


class UsageError(NeonRnnError):
    """The command was asked for something that cannot be; it ends with status 2."""

    exit_status = 2


@contextlib.contextmanager
def naming(path):
    """Put the file at fault before errors met in the block that cannot know which one it is."""
    try:
        yield
    except NeonRnnError as error:
        raise type(error)('{}: {}'.format(path, error))
