"""Threads that each compute whole pieces of a minibatch, with one core each.

An operation that is spread over all cores ends in a barrier, and waits there for the slowest one. A
piece that a single thread computes from the pixels to the probabilities has no barrier. So a busy
machine takes only the share of the speed that it takes of the cores.
"""

from __future__ import annotations

import queue
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
        self._tasks: queue.SimpleQueue[tuple[Task, queue.SimpleQueue]] = queue.SimpleQueue()
        ready = threading.Barrier(count + 1)
        for number in range(count):
            threading.Thread(
                target=self._work, args=(ready,), name=f'predicting-{number}', daemon=True
            ).start()
        threads = torch.get_num_threads()
        ready.wait()
        # The last call decides for threads that are started later, so the number of here is set
        # again.
        torch.set_num_threads(threads)

    def _work(self, ready: threading.Barrier) -> None:
        torch.get_num_threads()  # or the first operation would set the number of all threads here
        torch.set_num_threads(1)
        ready.wait()
        while True:
            task, done = self._tasks.get()
            try:
                task()
                done.put(None)
            except BaseException as error:  # handed over to the caller
                done.put(error)

    def run(self, tasks: Sequence[Task]) -> None:
        """Run tasks, any number at a time; wait for all, then raise the first error if any.

        May be called from several threads at once.
        """
        done: queue.SimpleQueue[BaseException | None] = queue.SimpleQueue()
        for task in tasks:
            self._tasks.put((task, done))
        errors = [error for error in [done.get() for _ in tasks] if error is not None]
        if errors:
            raise errors[0]


_threads: Threads | None = None


def shared(count: int) -> Threads:
    """Return the threads of this process; they are made anew if another number is asked for."""
    global _threads
    if _threads is None or _threads.count != count:
        _threads = Threads(count)
    return _threads
