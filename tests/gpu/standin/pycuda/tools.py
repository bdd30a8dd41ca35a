"""Memory of a function's results, by context."""

import functools

from pycuda.driver import Context


def context_dependent_memoize(function):
    """Remember results for as long as the context is the same one.

    They are kept in pycuda's own place, an attribute of the function; neon deletes it.
    """

    @functools.wraps(function)
    def remembering(*args, **more):
        results = function.__dict__.setdefault('_pycuda_ctx_dep_memoize_dic', {})
        key = (Context.get_current(), args, tuple(sorted(more.items())))
        if key not in results:
            results[key] = function(*args, **more)
        return results[key]

    return remembering
