"""Worker processes that end with their parent, however the parent ends."""

import concurrent.futures
import concurrent.futures.process
import multiprocessing
import multiprocessing.connection
import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

from neon_rnn.support.errors import NeonRnnError
from neon_rnn.support.prefetch import in_order

_Result = TypeVar('_Result')


def ordered_map(
    function: Callable[..., _Result], items: Sequence[tuple], workers: int
) -> Iterator[_Result]:
    """Yield ``function(*item)`` for each item, in the order of the items.

    At most twice as many items as workers are under way, so results do not pile up.
    With one worker or one item, everything happens in this process.

    Raises
    ------
    NeonRnnError
        A worker was killed.
    """
    if workers <= 1 or len(items) <= 1:
        for item in items:
            yield function(*item)
        return
    # Processes are started afresh: they inherit neither threads nor open files.
    executor = concurrent.futures.ProcessPoolExecutor(
        min(workers, len(items)), multiprocessing.get_context('spawn'), _start_worker
    )
    try:
        yield from in_order(lambda item: executor.submit(function, *item), items, 2 * workers)
    except concurrent.futures.process.BrokenProcessPool as error:
        raise NeonRnnError(
            'a worker process was ended from outside (out of memory?). Run the command again to '
            'continue, with fewer --workers if it happens again.'
        ) from error
    finally:
        executor.shutdown(wait=True, cancel_futures=True)


def isolated(function: Callable[..., _Result], *arguments: object) -> _Result:
    """Return ``function(*arguments)``, computed in a process of its own.

    For readers of other libraries, which a damaged file can crash.

    Raises
    ------
    Crashed
        The process was ended by a crash.
    """
    context = multiprocessing.get_context('spawn')
    with concurrent.futures.ProcessPoolExecutor(1, context, _start_worker) as executor:
        try:
            return executor.submit(function, *arguments).result()
        except concurrent.futures.process.BrokenProcessPool as error:
            raise Crashed('the process that read it crashed') from error


class Crashed(Exception):
    """A process of `isolated` ended without a result."""


def _start_worker() -> None:
    """Leave Ctrl-C to the parent, and end when the parent is gone.

    A worker would otherwise wait for work for ever: it holds both ends of the queue itself.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_end_with, args=(parent.sentinel,), daemon=True).start()


def _end_with(sentinel: int) -> None:
    multiprocessing.connection.wait([sentinel])
    os._exit(1)
