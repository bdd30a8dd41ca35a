"""Reading ahead in a thread, so that the next minibatch is ready when it is asked for."""

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
