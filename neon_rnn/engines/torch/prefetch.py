"""Reading ahead in a thread, so that the next minibatch is ready when it is asked for."""

import queue
import threading


def prefetch(iterable, depth=2):
    """Iterate `iterable` in a thread that stays up to `depth` items ahead.

    An exception in `iterable` is raised here, in its place. When the consumer leaves (closes the generator, breaks out
    of its loop, raises), the thread stops at its next item and is waited for; a generator as `iterable` is closed.

    Parameters
    ----------
    iterable : iterable
        Used in the thread only; reading HDF5 there is safe, h5py takes turns.
    depth : int
        Items held besides the one in use; bounds the memory.

    Yields
    ------
    The items, in order.
    """
    if depth < 1:
        raise ValueError('depth is {}; at least 1 item has to be read ahead'.format(depth))
    ready = queue.Queue(maxsize=depth)
    stopped = threading.Event()

    def put(message):
        """Wait for room, but not for a consumer that has left."""
        while not stopped.is_set():
            try:
                ready.put(message, timeout=0.1)
                return True
            except queue.Full:
                continue
        return False

    def read():
        items = iter(iterable)
        try:
            for item in items:
                if not put((item, None)):
                    break
            else:
                put((None, StopIteration()))
        except BaseException as error:  # handed over to the consumer, whatever it is
            put((None, error))
        finally:
            if hasattr(items, 'close'):
                items.close()

    thread = threading.Thread(target=read, name='prefetch', daemon=True)
    thread.start()
    try:
        while True:
            item, error = ready.get()
            if isinstance(error, StopIteration):
                return
            if error is not None:
                raise error
            yield item
    finally:
        stopped.set()
        thread.join()
