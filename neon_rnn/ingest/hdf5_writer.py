"""Writes one HDF5 file of a data set in the layout that `neon_rnn.data.hdf5` reads."""

import atexit
import contextlib
import errno
import os
import sys
from collections.abc import Iterable, Mapping, Sequence

import h5py
import numpy as np

from neon_rnn.data.hdf5 import CLASS_NAMES, CLASSES, INPUT, KIND, OUTPUT, SHAPE

#: About twice the bytes that HDF5 takes for the place of an image and its label.
_INDEX_BYTES = 128

#: Bytes that HDF5 takes at most for everything else.
_HEADER_BYTES = 1 << 16

#: The system's reasons why there is no room.
_CAUSES = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)

#: The errors that left a file open, see `_hold`.
_unclosable: list[Exception] = []


def write_part(
    path: str | os.PathLike,
    labels: np.ndarray,
    blocks: Iterable[np.ndarray],
    shape: Sequence[int],
    class_names: Sequence[str],
    kind: str,
    texts: Mapping[str, Sequence[str]],
) -> None:
    """Write one HDF5 file.

    Images are single chunks, because training reads them one by one in random order. The same
    arguments give the same bytes. When the function returns, the file is on the disk.

    Parameters
    ----------
    path : path
    labels : numpy.ndarray
        (N,), class indices.
    blocks : iterable of numpy.ndarray
        uint8 (n, C*H*W) each, N rows in all, in the order of `labels`.
    shape : (C, H, W)
    class_names : sequence of str
    kind : str
    texts : dict
        Name of a dataset -> sequence of str (N,).

    Raises
    ------
    OSError
        The file cannot be written; ``errno`` is ENOSPC if the disk is full.
    ValueError
        The blocks do not have N rows.
    """
    count, features = len(labels), int(np.prod(shape))
    file = None
    extras = {name: _fixed_length(texts[name]) for name in sorted(texts, reverse=True)}
    try:
        with h5py.File(str(path), 'w') as file:
            size = _HEADER_BYTES + count * (features + _INDEX_BYTES)
            size += sum(each.nbytes for each in extras.values())
            _reserve(path, size)
            file.attrs[CLASS_NAMES] = np.array([name.encode('utf-8') for name in class_names])
            file.attrs[KIND] = np.bytes_(kind.encode('utf-8'))
            images = file.create_dataset(INPUT, (count, features), np.uint8, chunks=(1, features))
            images.attrs[SHAPE] = np.array(shape, dtype=np.int64)
            output = file.create_dataset(OUTPUT, data=np.asarray(labels, np.int32).reshape(-1, 1))
            output.attrs[CLASSES] = len(class_names)
            for name, values in extras.items():
                file.create_dataset(name, data=values)
            start = 0
            for block in blocks:
                images[start : start + len(block)] = block
                start += len(block)
            if start != count:
                raise ValueError(f'{path}: {start} images for {count} labels')
            file.flush()
            size = file.id.get_filesize()
        with open(path, 'r+b') as written:
            written.truncate(size)
            os.fsync(written.fileno())
    except (OSError, RuntimeError) as error:
        if file:  # still open, since HDF5 could not close it
            _hold(error)
        if isinstance(error, OSError) and error.errno:
            raise
        # h5py puts the cause of a failed write into the message only.
        cause = next((code for code in _CAUSES if os.strerror(code) in str(error)), errno.EIO)
        raise OSError(cause, os.strerror(cause)) from error


def _reserve(path: str | os.PathLike, size: int) -> None:
    """Take the room for a file on the disk, so that writing it cannot fill the disk.

    Some systems and file systems cannot do that; there, writing may fail.
    """
    if hasattr(os, 'posix_fallocate'):
        with open(path, 'r+b') as file:
            try:
                os.posix_fallocate(file.fileno(), 0, max(size, 1))
            except OSError as error:
                if error.errno in _CAUSES:
                    raise


def _hold(error: Exception) -> None:
    """Keep the objects of a file that HDF5 could not close, and end the process without them.

    HDF5 crashes the interpreter when they are freed, at its end at the latest. The traceback refers
    to all of them.
    """
    if not _unclosable:
        atexit.register(_leave)
    _unclosable.append(error)


def _leave() -> None:
    """End the process at once, with the status of a failure."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(Exception):
            stream.flush()
    os._exit(1)


def _fixed_length(texts: Sequence[str]) -> np.ndarray:
    """Return UTF-8 texts of fixed length, which any HDF5 library reads."""
    encoded = [text.encode('utf-8') for text in texts]
    return np.array(encoded, dtype=f'S{max([1] + [len(text) for text in encoded])}')
