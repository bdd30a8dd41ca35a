"""One HDF5 file of a data set in neon's layout: checked when opened, read in pieces.

neon's ``HDF5IteratorOneHot`` reads ``input``, uint8 (N, C*H*W) with the attribute ``lshape`` =
(C, H, W), and ``output``, integers (N, 1) with the attribute ``nclass``. This project's writer,
``ingest/hdf5_writer.py``, adds the attributes ``class_names`` and ``kind`` to the file, and text
datasets such as ``source_file``.
"""

import hashlib
import os

import h5py
import numpy as np

from neon_rnn.support.errors import NeonRnnError, UsageError

#: The datasets and attributes of the layout.
INPUT, OUTPUT, SHAPE, CLASSES = 'input', 'output', 'lshape', 'nclass'
CLASS_NAMES, KIND = 'class_names', 'kind'
#: A file that claims more classes would fill the memory with their names.
MAX_CLASSES = 10000


#: Images that are read at a time where all are read.
_BLOCK = 256


class Part:
    """One HDF5 file of a data set, read in pieces; the file is never loaded whole.

    Parameters
    ----------
    path : str

    Attributes
    ----------
    count : int
    shape : tuple of int
        (C, H, W).
    nclass : int
    labels : numpy.ndarray
        int64 (N,), each in [0, nclass).

    Raises
    ------
    UsageError
        The file is missing or is not such a file.
    NeonRnnError
        The file is damaged.
    """

    def __init__(self, path):
        self.path = str(path)
        self._file = _open_hdf5(self.path)
        self._opened = _state(self.path)
        try:
            self._input, self.shape = self._checked_input()
            self.count = int(self._input.shape[0])
            self.labels, self.nclass = self._checked_output()
            self.class_names, self.kind = self._own_description()
        except NeonRnnError:
            self.close()
            raise
        except Exception as error:  # HDF5 raises errors of any type on a damaged file
            self.close()
            raise _damaged(self.path, error) from error

    def _checked_input(self):
        data = self._dataset(INPUT)
        if data.dtype != np.uint8 or len(data.shape) != 2:
            raise UsageError(
                '{}: `input` is {} {}; it has to be uint8 (N, C*H*W), raw pixels 0..255.'.format(
                    self.path, data.dtype, data.shape
                )
            )
        if SHAPE not in data.attrs:
            raise UsageError(
                '{}: `input` has no attribute `lshape` = (C, H, W), so the shape of an image is '
                'unknown.'.format(self.path)
            )
        shape = tuple(int(side) for side in np.ravel(data.attrs[SHAPE]))
        if len(shape) != 3 or min(shape) < 1 or shape[0] * shape[1] * shape[2] != data.shape[1]:
            raise UsageError(
                '{}: `lshape` {} does not match the {} values an image has in `input`.'.format(
                    self.path, shape, data.shape[1]
                )
            )
        if data.shape[0] == 0:
            raise UsageError('{}: holds no images.'.format(self.path))
        if 'mean' in self._file:
            raise UsageError(
                "{}: has a `mean` that neon's iterator would subtract; these networks take raw "
                'pixels. Remove the dataset `mean` from the file.'.format(self.path)
            )
        return data, shape

    def _checked_output(self):
        data = self._dataset(OUTPUT)
        if data.dtype.kind not in 'iu' or data.shape != (self.count, 1):
            raise UsageError(
                '{}: `output` is {} {}; it has to hold integer class indices ({}, 1), one for each '
                'image.'.format(self.path, data.dtype, data.shape, self.count)
            )
        if CLASSES not in data.attrs:
            raise UsageError(
                '{}: `output` has no attribute `nclass`, the number of classes.'.format(self.path)
            )
        nclass = int(np.ravel(data.attrs[CLASSES])[0])
        if nclass > MAX_CLASSES:
            raise UsageError(
                '{}: `nclass` is {}; more than {} classes are not supported.'.format(
                    self.path, nclass, MAX_CLASSES
                )
            )
        labels = data[:, 0].astype(np.int64)
        if nclass < 2 or labels.min() < 0 or labels.max() >= nclass:
            raise UsageError(
                '{}: labels run from {} to {}, but `nclass` is {}; they have to lie in '
                '0..nclass-1, of at least two classes.'.format(
                    self.path, labels.min(), labels.max(), nclass
                )
            )
        return labels, nclass

    def _dataset(self, name):
        data = self._file.get(name)
        if not isinstance(data, h5py.Dataset):
            raise UsageError(
                "{}: has no dataset `{}`; a data set file needs `input` and `output` in neon's "
                'layout.'.format(self.path, name)
            )
        layout = data.id.get_create_plist().get_layout()
        # Contiguous data without a place in this file are in another one. The container's h5py has
        # no call that says so.
        elsewhere = (
            layout == h5py.h5d.CONTIGUOUS
            and data.id.get_storage_size() > 0
            and data.id.get_offset() is None
        )
        if (
            isinstance(self._file.get(name, getlink=True), h5py.ExternalLink)
            or elsewhere
            or layout not in (h5py.h5d.COMPACT, h5py.h5d.CONTIGUOUS, h5py.h5d.CHUNKED)
        ):
            raise UsageError(
                '{}: `{}` is kept in other files, which its hash does not cover. Copy the data '
                'into one file.'.format(self.path, name)
            )
        return data

    def check_unchanged(self):
        """Check that the file is still the one that was opened, by its size, time and inode.

        Raises
        ------
        NeonRnnError
            It was removed, replaced or written to.
        """
        if _state(self.path) != self._opened:
            raise NeonRnnError(
                '{}: was changed while it was in use. Restore the file or import the data set '
                'again.'.format(self.path)
            )

    def picture_hashes(self):
        """Return a hash of the pixels of each image, a list of bytes (count,)."""
        hashes = []
        for start in range(0, self.count, _BLOCK):
            rows = self.read(range(start, min(start + _BLOCK, self.count)))
            hashes += [hashlib.sha256(row.tobytes()).digest()[:16] for row in rows]
        return hashes

    def _own_description(self):
        """Return class names and kind as `write_part` notes them; plain ones for other files."""
        attributes = self._file.attrs
        names = [_text(name) for name in attributes.get(CLASS_NAMES, ())]
        if len(names) != self.nclass:
            names = ['class {}'.format(label) for label in range(self.nclass)]
        return names, _text(attributes.get(KIND, 'unknown'))

    def read(self, indices):
        """Return the images at `indices`, in that order.

        Parameters
        ----------
        indices : array-like of int
            (k,), each in [0, count); repeats are allowed.

        Returns
        -------
        numpy.ndarray
            uint8 (k, C*H*W).
        """
        indices = np.asarray(indices, dtype=np.int64).ravel()
        if indices.size and (indices.min() < 0 or indices.max() >= self.count):
            raise IndexError(
                '{}: image {} asked for, there are {}'.format(
                    self.path, indices.min() if indices.min() < 0 else indices.max(), self.count
                )
            )
        images = np.empty((indices.size, self._input.shape[1]), dtype=np.uint8)
        try:
            for position, index in enumerate(indices):
                self._input.read_direct(images, np.s_[int(index)], np.s_[position])
        except (OSError, RuntimeError) as error:
            raise _damaged(self.path, error) from error
        return images

    def extra(self, name):
        """Return a text dataset of `write_part` (``person``, ``source_file``), or None."""
        data = self._file.get(name)
        return data[()] if isinstance(data, h5py.Dataset) else None

    def close(self):
        """Close the file; the part cannot be read afterwards."""
        self._file.close()


def _open_hdf5(path):
    if not os.path.isfile(path):
        raise UsageError('{}: there is no such file.'.format(path))
    try:
        with open(path, 'rb'):
            pass
    except OSError as error:
        raise NeonRnnError('{}: cannot be read ({}).'.format(path, error.strerror)) from error
    try:
        if h5py.is_hdf5(path):
            return h5py.File(path, 'r')
    except OSError as error:
        if 'unable to lock file' in str(error):
            raise NeonRnnError(
                '{}: another program has it open for writing. Close that program and run the '
                'command again.'.format(path)
            ) from error
        raise _damaged(path, error) from error
    raise UsageError('{}: is not an HDF5 file.'.format(path))


def _damaged(path, error):
    return NeonRnnError(
        '{}: is truncated or damaged ({}). Make or copy it again.'.format(
            path, str(error).splitlines()[0] if str(error) else type(error).__name__
        )
    )


def _text(value):
    """Return a string attribute as text; old versions of h5py return bytes."""
    return value.decode('utf-8') if isinstance(value, bytes) else str(value)


def _state(path):
    """Return what changes when a file is replaced or written to; None if it is gone."""
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_ino, found.st_size, found.st_mtime_ns
