"""Threads that each compute whole pieces of a minibatch, with one core each.

An operation that is spread over all cores ends in a barrier, and waits there for the slowest one. A
piece that a single thread computes, one operation after another, has no barrier before its end. So
a busy machine takes only the share of the speed that it takes of the cores.
"""

from __future__ import annotations

import concurrent.futures
import functools
import threading
from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar

import torch

from neon_rnn.engines.torch import waiting

_Result = TypeVar('_Result')


class Threads:
    """A fixed number of threads, in each of which PyTorch uses one core.

    Parameters
    ----------
    count : int
    """

    def __init__(self, count: int) -> None:
        self.count = count
        self._pool = concurrent.futures.ThreadPoolExecutor(count, 'piece', _use_one_core)
        threads = torch.get_num_threads()
        started = threading.Barrier(count)  # a thread that waits takes no second task
        self.run([started.wait] * count)
        # The last call decides for threads that are started later, so the number of here is set
        # again.
        torch.set_num_threads(threads)

    def run(self, tasks: Sequence[Callable[[], _Result]]) -> list[_Result]:
        """Run tasks, any number at a time; wait for all, then return their results in order.

        If any failed, the first error is raised instead.

        May be called from several threads at once. When Ctrl-C ends the wait, tasks that have begun
        are waited for and the others are dropped: a thread that still computes while the
        interpreter ends aborts the process.
        """
        begun: list[threading.Event] = []
        dropped = threading.Event()

        def begin(task: Callable[[], _Result]) -> _Result | None:
            ended = threading.Event()
            begun.append(ended)  # before the question, so that a task either is here or is dropped
            try:
                return None if dropped.is_set() else task()
            finally:
                ended.set()

        futures: list[concurrent.futures.Future] = []
        try:
            futures.extend(self._pool.submit(begin, task) for task in tasks)
            concurrent.futures.wait(futures)
        finally:
            # Not the futures: Ctrl-C may have come before the last one was in the list.
            dropped.set()
            for ended in list(begun):
                ended.wait()
        return [future.result() for future in futures]


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


def each(function: Callable[..., _Result], *arguments: Iterable) -> list[_Result]:
    """Return ``list(map(function, *arguments))``, each call computed by a thread with one core.

    All cores compute one call after another where these threads would not pay: if there is only
    one, or if PyTorch's own threads, busily waiting, would keep them from the cores
    (`waiting.BRIEFLY`).
    """
    calls = list(zip(*arguments, strict=True))
    count = torch.get_num_threads()
    if count == 1 or len(calls) == 1 or not waiting.BRIEFLY:
        return [function(*call) for call in calls]

    # Each thread has these settings of its own.
    records, infers = torch.is_grad_enabled(), torch.is_inference_mode_enabled()

    def compute(call: tuple) -> _Result:
        with torch.inference_mode(infers), torch.set_grad_enabled(records):
            return function(*call)

    return shared(count).run([functools.partial(compute, call) for call in calls])


def at_once(calls: Sequence[Callable[[], _Result]]) -> list[_Result]:
    """Make calls that do not use PyTorch's own threads, each in a thread; return their results."""
    return shared(torch.get_num_threads()).run(calls)
