"""Threads that each compute whole pieces of a minibatch, with one core each.

An operation that is spread over all cores ends in a barrier, and waits there for the slowest one. A
piece that a single thread computes from the pixels to the probabilities has no barrier. So a busy
machine takes only the share of the speed that it takes of the cores.
"""

from __future__ import annotations

import concurrent.futures
import threading
from collections.abc import Callable, Sequence
from typing import Any

import torch

Task = Callable[[], Any]


class Threads:
    """A fixed number of threads, in each of which PyTorch uses one core.

    Parameters
    ----------
    count : int
    """

    def __init__(self, count: int) -> None:
        self.count = count
        self._pool = concurrent.futures.ThreadPoolExecutor(count, 'predicting', _use_one_core)
        threads = torch.get_num_threads()
        started = threading.Barrier(count)  # a thread that waits takes no second task
        self.run([started.wait] * count)
        # The last call decides for threads that are started later, so the number of here is set
        # again.
        torch.set_num_threads(threads)

    def run(self, tasks: Sequence[Task]) -> None:
        """Run tasks, any number at a time; wait for all, then raise the first error if any.

        May be called from several threads at once. When Ctrl-C ends the wait, tasks that have begun
        are waited for and the others are dropped: a thread that still computes while the
        interpreter ends aborts the process.
        """
        begun: list[threading.Event] = []
        dropped = threading.Event()

        def begin(task: Task) -> None:
            ended = threading.Event()
            begun.append(ended)  # before the question, so that a task either is here or is dropped
            try:
                if not dropped.is_set():
                    task()
            finally:
                ended.set()

        waiting: list[concurrent.futures.Future] = []
        try:
            waiting.extend(self._pool.submit(begin, task) for task in tasks)
            concurrent.futures.wait(waiting)
        finally:
            # Not the futures: Ctrl-C may have come before the last one was in the list.
            dropped.set()
            for ended in list(begun):
                ended.wait()
        for future in waiting:
            future.result()


def _use_one_core() -> None:
    torch.get_num_threads()  # or the first operation would set the number of all threads here
    torch.set_num_threads(1)


_threads: Threads | None = None


def shared(count: int) -> Threads:
    """Return the threads of this process; they are made anew if another number is asked for."""
    global _threads
    if _threads is None or _threads.count != count:
        _threads = Threads(count)
    return _threads
