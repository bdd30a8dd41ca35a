"""Ignoring warnings in several threads at once."""

import contextlib
import threading
import warnings


class Quiet(object):
    """A context in which warnings are ignored, for any number of threads.

    ``warnings.catch_warnings`` sets the filters of the whole process. Of two threads that overlap
    in it, the later one restores the filters of the earlier one, and warnings stay ignored. Here
    the first one to enter sets the filters, and the last one to leave restores them.
    """

    def __init__(self):
        self._lock = threading.Lock()
        self._inside = 0
        self._filters = contextlib.ExitStack()

    def __enter__(self):
        with self._lock:
            if not self._inside:
                self._filters.enter_context(warnings.catch_warnings())
                warnings.simplefilter('ignore')
            self._inside += 1

    def __exit__(self, *error):
        with self._lock:
            self._inside -= 1
            if not self._inside:
                self._filters.close()
