"""One HDF5 file of a data set in neon's layout, checked when opened and read in pieces."""

import os

import h5py
import numpy as np

from neon_rnn.support.errors import NeonRnnError, UsageError


class Part:
    """One HDF5 file of a data set, read in pieces; the file is never loaded whole.

    Parameters
    ----------
    path : str
        Datasets ``input``, uint8 (N, C*H*W) with the attribute ``lshape`` = (C, H, W), and ``output``, integers (N, 1)
        with the attribute ``nclass``, as neon's ``HDF5IteratorOneHot`` reads them.

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
        try:
            self._input, self.shape = self._checked_input()
            self.count = int(self._input.shape[0])
            self.labels, self.nclass = self._checked_output()
            self.class_names, self.kind = self._own_description()
        except OSError as error:
            self.close()
            raise _damaged(self.path, error) from error
        except Exception:
            self.close()
            raise

    def _checked_input(self):
        data = self._dataset('input')
        if data.dtype != np.uint8 or len(data.shape) != 2:
            raise UsageError(
                '{}: `input` is {} {}; it has to be uint8 (N, C*H*W) with raw pixels 0..255.'.format(
                    self.path, data.dtype, data.shape
                )
            )
        if 'lshape' not in data.attrs:
            raise UsageError(
                '{}: `input` has no attribute `lshape` = (C, H, W), so the shape of an image is unknown.'.format(
                    self.path
                )
            )
        shape = tuple(int(side) for side in np.ravel(data.attrs['lshape']))
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
                "{}: has a `mean` that neon's iterator would subtract; these networks take raw pixels. "
                'Remove the dataset `mean` from the file.'.format(self.path)
            )
        return data, shape

    def _checked_output(self):
        data = self._dataset('output')
        if data.dtype.kind not in 'iu' or data.shape != (self.count, 1):
            raise UsageError(
                '{}: `output` is {} {}; it has to hold integer class indices ({}, 1), one for each image.'.format(
                    self.path, data.dtype, data.shape, self.count
                )
            )
        if 'nclass' not in data.attrs:
            raise UsageError(
                '{}: `output` has no attribute `nclass`, the number of classes.'.format(self.path)
            )
        nclass = int(np.ravel(data.attrs['nclass'])[0])
        labels = data[:, 0].astype(np.int64)
        if nclass < 2 or labels.min() < 0 or labels.max() >= nclass:
            raise UsageError(
                '{}: labels run from {} to {}, but `nclass` is {}; they have to lie in 0..nclass-1, of at '
                'least two classes.'.format(self.path, labels.min(), labels.max(), nclass)
            )
        return labels, nclass

    def _dataset(self, name):
        data = self._file.get(name)
        if not isinstance(data, h5py.Dataset):
            raise UsageError(
                "{}: has no dataset `{}`; a data set file needs `input` and `output` in neon's layout.".format(
                    self.path, name
                )
            )
        return data

    def _own_description(self):
        """Class names and kind as this project's writer notes them in the file; plain ones for files of others."""
        attributes = self._file.attrs
        names = [_text(name) for name in attributes.get('class_names', ())]
        if len(names) != self.nclass:
            names = ['class {}'.format(label) for label in range(self.nclass)]
        return names, _text(attributes.get('kind', 'unknown'))

    def read(self, indices):
        """The images at `indices`, in that order.

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
        """A dataset that this project's writer adds (``person``, ``source_file``) as an array, or None."""
        data = self._file.get(name)
        return data[()] if isinstance(data, h5py.Dataset) else None

    def close(self):
        """Close the file; the part cannot be read afterwards."""
        self._file.close()


def _open_hdf5(path):
    if not os.path.isfile(path):
        raise UsageError('{}: there is no such file.'.format(path))
    try:
        is_hdf5 = h5py.is_hdf5(path)
        if is_hdf5:
            return h5py.File(path, 'r')
    except OSError as error:
        raise _damaged(path, error) from error
    raise UsageError('{}: is not an HDF5 file.'.format(path))


def _damaged(path, error):
    return NeonRnnError(
        '{}: is truncated or damaged ({}). Make or copy it again.'.format(
            path, str(error).splitlines()[0] if str(error) else type(error).__name__
        )
    )


def _text(value):
    """A string attribute as h5py of any version hands it over."""
    return value.decode('utf-8') if isinstance(value, bytes) else str(value)
