"""The two decorators of pytools that neon's gpu backend imports."""

import functools


def memoize(function):
    """Remember the results of a function."""
    results = {}

    @functools.wraps(function)
    def remembering(*args):
        if args not in results:
            results[args] = function(*args)
        return results[args]

    return remembering


def memoize_method(method):
    """Remember the results of a method, in the object."""
    name = '_memoized_' + method.__name__

    @functools.wraps(method)
    def remembering(self, *args):
        results = self.__dict__.setdefault(name, {})
        if args not in results:
            results[args] = method(self, *args)
        return results[args]

    return remembering
