"""How the work of a function grows, counted in calls and so the same on every machine."""

import sys


def calls_of(function, *arguments):
    """Return what a function returns, and how many functions were called for it."""
    calls = 0

    def count(frame, event, argument):
        nonlocal calls
        calls += event in ('call', 'c_call')

    before = sys.getprofile()
    sys.setprofile(count)
    try:
        result = function(*arguments)
    finally:
        sys.setprofile(before)
    return result, calls
