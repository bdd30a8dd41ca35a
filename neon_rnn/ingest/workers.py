"""A pool of worker processes that ends with its parent, however the parent ends."""

import concurrent.futures
import concurrent.futures.process
import contextlib
import multiprocessing
import multiprocessing.connection
import os
import signal
import threading
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from neon_rnn.support.errors import NeonRnnError


@contextlib.contextmanager
def pool(workers: int) -> Iterator[concurrent.futures.Executor]:
    """Worker processes, started afresh (no threads or open files are inherited)."""
    executor = concurrent.futures.ProcessPoolExecutor(
        workers, mp_context=multiprocessing.get_context('spawn'), initializer=_start_worker
    )
    try:
        yield executor
    finally:
        executor.shutdown(wait=True, cancel_futures=True)


def _start_worker() -> None:
    """Ctrl-C is the parent's to handle; when the parent is killed its workers end too."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()
    assert parent is not None

    def end_with_parent() -> None:
        multiprocessing.connection.wait([parent.sentinel])
        os._exit(1)

    threading.Thread(target=end_with_parent, daemon=True).start()


def ordered_map(function: Callable, items: Iterable[tuple], workers: int) -> Iterator[Any]:
    """``function(*item)`` for each item, in the items' order, on `workers` processes.

    At most twice as many items as workers are under way, so that results do not pile up; with one worker or one item
    everything happens in this process.

    Raises
    ------
    NeonRnnError
        A worker was killed.
    """
    items = list(items)
    if workers <= 1 or len(items) <= 1:
        for item in items:
            yield function(*item)
        return
    with pool(min(workers, len(items))) as executor:
        pending: list[concurrent.futures.Future] = []
        try:
            for item in items:
                pending.append(executor.submit(function, *item))
                if len(pending) >= 2 * workers:
                    yield pending.pop(0).result()
            while pending:
                yield pending.pop(0).result()
        except concurrent.futures.process.BrokenProcessPool as error:
            raise NeonRnnError(
                'a worker process was ended from outside (out of memory?). Run the command again to go '
                'on, with fewer --workers if it happens again.'
            ) from error
