"""Reading ahead in threads, so that the next minibatch is ready when it is asked for."""

import collections
import concurrent.futures
import functools
import itertools
import queue
import threading


class _End(Exception):
    """The iterable has no more items."""


def prefetch(iterable, depth=2):
    """Iterate over `iterable` in a thread that stays up to `depth` items ahead.

    An exception of `iterable` is raised here, in its place. When the consumer leaves (closes the
    generator, breaks out of its loop, raises), the thread stops at its next item and is waited for.
    If `iterable` is a generator, it is closed.

    Parameters
    ----------
    iterable : iterable
        Used in the thread only. Reading HDF5 there is safe: h5py lets one thread in at a time.
    depth : int
        Items held besides the one in use; limits the memory.

    Yields
    ------
    The items, in order.
    """
    if depth < 1:
        raise ValueError('depth is {}; at least 1 item has to be read ahead'.format(depth))
    ready = queue.Queue(maxsize=depth)  # type: queue.Queue
    stopped = threading.Event()

    def put(item, error=None):
        """Wait for room; return False if the consumer has left."""
        while not stopped.is_set():
            try:
                ready.put((item, error), timeout=0.1)
                return True
            except queue.Full:
                continue
        return False

    def read():
        items = iter(iterable)
        try:
            if all(put(item) for item in items):
                put(None, _End())
        except BaseException as error:  # every error is handed over to the consumer
            put(None, error)
        finally:
            if hasattr(items, 'close'):
                items.close()

    thread = threading.Thread(target=read, name='prefetch', daemon=True)
    thread.start()
    try:
        while True:
            item, error = ready.get()
            if isinstance(error, _End):
                return
            if error is not None:
                raise error
            yield item
    finally:
        stopped.set()
        thread.join()


def map_ahead(function, items, ahead, threads):
    """Iterate over ``map(function, items)``, computed by threads up to `ahead` items ahead.

    An exception of `function` is raised here, in its place. When the consumer leaves, calls that
    have begun are waited for, and the others are dropped.

    Parameters
    ----------
    function : callable
        Called in several threads at once.
    items : iterable
        Gone through in the thread of the consumer.
    ahead : int
        Results held besides the one in use; limits the memory.
    threads : int

    Yields
    ------
    The results, in the order of the items.
    """
    if ahead < 1:
        raise ValueError('ahead is {}; at least 1 item has to be read ahead'.format(ahead))
    with concurrent.futures.ThreadPoolExecutor(threads) as pool:
        yield from in_order(functools.partial(pool.submit, function), items, ahead)


def in_order(submit, items, ahead):
    """Iterate over the results of calls that are under way, in the order of the items.

    When the consumer leaves, or a call fails, calls that have not begun are dropped.

    Parameters
    ----------
    submit : callable
        Takes an item; returns the future of its call.
    items : iterable
    ahead : int
        Calls under way besides the one whose result is in use.

    Yields
    ------
    The results.
    """
    items = iter(items)
    waiting = collections.deque()  # type: collections.deque
    try:
        waiting.extend(map(submit, itertools.islice(items, ahead)))
        while waiting:
            result = waiting.popleft().result()
            waiting.extend(map(submit, itertools.islice(items, 1)))
            yield result
    finally:
        for future in waiting:
            future.cancel()
