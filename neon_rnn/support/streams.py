"""Guard standard output and error: a closed or full one never ends a command in a traceback."""

import contextlib
import io
import os
import sys

from neon_rnn.support.errors import NeonRnnError


@contextlib.contextmanager
def guarded():
    """Within the block, both streams take any text, and standard output is an `Output`.

    A closed stream (``command >&-``) is replaced by one that discards. A character that the
    encoding of a stream lacks is written as an escape, such as ``\\u2212``.
    """
    before = sys.stdout, sys.stderr
    sys.stdout, sys.stderr = Output(_usable(sys.stdout)), _usable(sys.stderr)
    try:
        yield
    finally:
        sys.stdout, sys.stderr = before


def _usable(stream):
    """Return a stream that takes any text."""
    if stream is None:
        return open(os.devnull, 'w', encoding='utf-8')
    if hasattr(stream, 'reconfigure'):
        stream.reconfigure(errors='backslashreplace')
    elif isinstance(stream, io.TextIOWrapper):  # CPython 3.5; closed=False: the file stays open
        handle = os.fdopen(stream.fileno(), 'wb', closefd=False)
        return io.TextIOWrapper(handle, stream.encoding, 'backslashreplace', line_buffering=True)
    return stream


class Output:
    """Standard output that turns a failure to write into one clear error, or into silence.

    Parameters
    ----------
    stream : text stream

    Attributes
    ----------
    tolerant : bool
        Discard what cannot be written, after one line on standard error: long work goes on where
        the disk is full or the terminal is gone. Else a failure is an error.
    """

    def __init__(self, stream):
        self._stream = stream
        self._lost = False
        self.tolerant = False

    def write(self, text):
        """Write a text.

        Raises
        ------
        NeonRnnError
            It cannot be written, and the stream is not tolerant.
        """
        self._try(self._stream.write, text)
        return len(text)

    def flush(self):
        """Write what is buffered; raises as `write` does."""
        self._try(self._stream.flush)

    def _try(self, call, *arguments):
        if self._lost:
            return
        try:
            call(*arguments)
        except BrokenPipeError:
            if not self.tolerant:
                raise
            self._lose('its reader has gone')
        except (OSError, ValueError) as error:  # ValueError: the stream was closed
            self._lose(getattr(error, 'strerror', None) or error)

    def _lose(self, reason):
        """Discard from now on; Python itself flushes the stream at its exit."""
        self._lost = True
        discard(self._stream)
        if not self.tolerant:
            raise NeonRnnError('standard output cannot be written ({}).'.format(reason))
        sys.stderr.write('standard output is lost ({}); the work goes on.\n'.format(reason))

    def __getattr__(self, name):
        return getattr(self._stream, name)


def go_on_without_output():
    """Let the command go on where its standard output is lost, from here to its end."""
    if isinstance(sys.stdout, Output):
        sys.stdout.tolerant = True


def discard(stream):
    """Send what a stream still holds, and gets later, to nowhere."""
    with contextlib.suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
