"""Errors that a user meets: each names the file or value at fault and says what to do."""

import contextlib


class NeonRnnError(Exception):
    """A failure that a user can understand; the command exits with status 1."""

    exit_status = 1


class Diverged(NeonRnnError):
    """A cost or a weight is not finite; the training ends, and its record says ``diverged``."""


class UsageError(NeonRnnError):
    """The user's request is invalid; the command exits with status 2."""

    exit_status = 2


@contextlib.contextmanager
def naming(path):
    """Name a file before the errors of the block, where the block cannot know which file it is."""
    try:
        yield
    except NeonRnnError as error:
        raise type(error)('{}: {}'.format(path, error))
