"""Programs of tests that run side by side, as many at a time as there are cores."""

import concurrent.futures
import contextlib

from neon_rnn.support import machine


def each(function, items):
    """Return the results of a function for all items, in their order."""
    with concurrent.futures.ThreadPoolExecutor(machine.cores()) as pool:
        return list(pool.map(function, items))


@contextlib.contextmanager
def for_chosen_tests(function, request, *names):
    """Call a function for the parameters of the tests that were chosen in a module.

    Parameters
    ----------
    function : callable
        Called in threads, for each combination of values once.
    request : pytest.FixtureRequest
        Of a fixture of that module.
    *names : str
        The parameters, in the order in which the function gets them.

    Yields
    ------
    dict
        The values -> the future of the result.
    """
    chosen = {
        tuple(item.callspec.params[name] for name in names)
        for item in request.session.items
        if item.module is request.module
        and hasattr(item, 'callspec')
        and set(names) <= set(item.callspec.params)
    }
    with concurrent.futures.ThreadPoolExecutor(machine.cores()) as pool:
        yield {values: pool.submit(function, *values) for values in sorted(chosen)}
        pool.shutdown(wait=True, cancel_futures=True)
