"""Warnings are ignored inside, and as before outside, in any order of entering and leaving."""

import threading
import warnings

import pytest

from neon_rnn.support.quiet import Quiet


def test_warnings_are_ignored_inside_only():
    quiet = Quiet()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter('always')
        warnings.warn('outside', stacklevel=1)
        with quiet, quiet:
            warnings.warn('inside', stacklevel=1)
        with pytest.raises(KeyError), quiet:
            raise KeyError
        warnings.warn('outside again', stacklevel=1)
    assert [str(each.message) for each in caught] == ['outside', 'outside again']


def test_threads_that_overlap_leave_the_filters_as_they_were():
    """The first one to enter leaves first."""
    quiet, before = Quiet(), list(warnings.filters)
    entered, left = threading.Event(), threading.Event()

    def second():
        with quiet:
            entered.set()
            assert left.wait(5)
            warnings.warn('inside', stacklevel=1)  # an error otherwise, see pyproject.toml

    thread = threading.Thread(target=second)
    with quiet:
        thread.start()
        assert entered.wait(5)
    left.set()
    thread.join()
    assert list(warnings.filters) == before
