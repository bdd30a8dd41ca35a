"""Data sets: a folder of HDF5 files in neon's layout, the order of an epoch, and its minibatches.

Both engines read the same files through this module, so both see the same images in the same order.
"""
import collections
import os

import h5py
import numpy as np

from neon_rnn.errors import NeonRnnError, UsageError
from neon_rnn.files import read_json, sha256_file

SCHEMA = 1
PARTS = ('train', 'test', 'val')
KINDS = ('photographs', 'synthetic', 'unknown')

#: ``inputs`` uint8 (batch, C*H*W); ``labels`` int64 (batch,); ``count``: how many of them are not padding.
Minibatch = collections.namedtuple('Minibatch', 'inputs labels count')


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
        except OSError as error:
            raise _damaged(self.path, error) from error
        self.class_names, self.kind = self._own_description()

    def _checked_input(self):
        data = self._dataset('input')
        if data.dtype != np.uint8 or len(data.shape) != 2:
            raise UsageError("{}: `input` is {} {}; it has to be uint8 (N, C*H*W) with raw pixels 0..255."
                             .format(self.path, data.dtype, data.shape))
        if 'lshape' not in data.attrs:
            raise UsageError("{}: `input` has no attribute `lshape` = (C, H, W), so the shape of an image is unknown."
                             .format(self.path))
        shape = tuple(int(side) for side in np.ravel(data.attrs['lshape']))
        if len(shape) != 3 or min(shape) < 1 or shape[0] * shape[1] * shape[2] != data.shape[1]:
            raise UsageError("{}: `lshape` {} does not match the {} values an image has in `input`."
                             .format(self.path, shape, data.shape[1]))
        if data.shape[0] == 0:
            raise UsageError('{}: holds no images.'.format(self.path))
        if 'mean' in self._file:
            raise UsageError("{}: has a `mean` that neon's iterator would subtract; these networks take raw pixels. "
                             "Remove the dataset `mean` from the file.".format(self.path))
        return data, shape

    def _checked_output(self):
        data = self._dataset('output')
        if data.dtype.kind not in 'iu' or data.shape != (self.count, 1):
            raise UsageError("{}: `output` is {} {}; it has to hold integer class indices ({}, 1), one for each image."
                             .format(self.path, data.dtype, data.shape, self.count))
        if 'nclass' not in data.attrs:
            raise UsageError("{}: `output` has no attribute `nclass`, the number of classes.".format(self.path))
        nclass = int(np.ravel(data.attrs['nclass'])[0])
        labels = data[:, 0].astype(np.int64)
        if nclass < 2 or labels.min() < 0 or labels.max() >= nclass:
            raise UsageError('{}: labels run from {} to {}, but `nclass` is {}; they have to lie in 0..nclass-1, of at '
                             'least two classes.'.format(self.path, labels.min(), labels.max(), nclass))
        return labels, nclass

    def _dataset(self, name):
        data = self._file.get(name)
        if not isinstance(data, h5py.Dataset):
            raise UsageError("{}: has no dataset `{}`; a data set file needs `input` and `output` in neon's layout."
                             .format(self.path, name))
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
            raise IndexError('{}: image {} asked for, there are {}'.format(
                self.path, indices.min() if indices.min() < 0 else indices.max(), self.count))
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


class Dataset:
    """A data set folder: its parts and its description.

    Attributes
    ----------
    folder : str
    description : dict
        ``dataset.json``, or what can be derived from the files without it.
    train, test : Part
    val : Part or None
    shape : tuple of int
        (C, H, W).
    nclass : int
    class_names : list of str
    """

    def __init__(self, folder):
        self.folder = str(folder)
        if not os.path.isdir(self.folder):
            raise UsageError("{}: there is no such data set folder. 'neon_rnn data demo --out {}' draws one; 'neon_rnn "
                             "data folder' makes one from photographs.".format(self.folder, self.folder))
        paths = collections.OrderedDict((name, os.path.join(self.folder, name + '.h5')) for name in PARTS)
        for name in ('train', 'test'):
            if not os.path.isfile(paths[name]):
                raise UsageError("{}: there is no {}.h5; a data set folder holds train.h5 and test.h5 ('neon_rnn data "
                                 "--help' makes them).".format(self.folder, name))
        self.parts = collections.OrderedDict((name, Part(path)) for name, path in paths.items() if os.path.isfile(path))
        self.train, self.test, self.val = (self.parts.get(name) for name in PARTS)
        self.shape, self.nclass = self.train.shape, self.train.nclass
        for part in self.parts.values():
            if (part.shape, part.nclass) != (self.shape, self.nclass):
                raise UsageError('{}: images {} in {} classes, but {} has {} in {}; the parts of a data set have to '
                                 'agree.'.format(part.path, part.shape, part.nclass, self.train.path, self.shape,
                                                 self.nclass))
        self._sha256 = None
        self.description_path = os.path.join(self.folder, 'dataset.json')
        derived = self._derive_description()
        if os.path.exists(self.description_path):
            self.description = read_json(self.description_path)
            self._check_description(derived)
        else:
            self.description = dict(derived, sha256=self.sha256())
        self.class_names = self.description['class_names']

    def _counts(self, names):
        return {part_name: {name: int(np.sum(part.labels == label)) for label, name in enumerate(names)}
                for part_name, part in self.parts.items()}

    def _derive_description(self):
        names = self.train.class_names
        counts = self._counts(names)
        return {'schema': SCHEMA, 'name': os.path.basename(os.path.abspath(self.folder)), 'source': 'unknown',
                'kind': self.train.kind, 'class_names': names, 'shape': list(self.shape), 'counts': counts,
                'filters': [], 'split': 'as found', 'seed': None,
                'note': 'Derived from the HDF5 files: there is no dataset.json.'}

    def _check_description(self, derived):
        """`dataset.json` has to be one, and to describe these files."""
        path, found = self.description_path, self.description
        if not isinstance(found, dict) or found.get('schema') != SCHEMA:
            schema = found.get('schema') if isinstance(found, dict) else None
            raise UsageError('{}: schema {!r} is not known to this version, which reads schema {}. Import the data '
                             'set again.'.format(path, schema, SCHEMA))
        missing = sorted(set(derived) - {'seed', 'filters', 'split', 'note'} - set(found))
        if missing:
            raise UsageError('{}: lacks {}. Import the data set again, or remove the file to have it derived.'
                             .format(path, ', '.join(missing)))
        names = found['class_names']
        if (not isinstance(names, list) or len(names) != self.nclass or len(set(map(str, names))) != self.nclass
                or not all(isinstance(name, str) for name in names)):
            raise UsageError('{}: `class_names` {!r} does not name the {} classes of the files.'
                             .format(path, names, self.nclass))
        if found['kind'] not in KINDS:
            raise UsageError('{}: `kind` is {!r}; it has to be one of {}.'
                             .format(path, found['kind'], ', '.join(KINDS)))
        for key, value in (('shape', list(self.shape)), ('counts', self._counts(names))):
            if found[key] != value:
                raise UsageError('{}: says {} {}, the files hold {}. Files and description do not belong together: '
                                 'import the data set again.'.format(path, key, found[key], value))

    def sha256(self):
        """The sha256 of each file, ``{'train.h5': hexadecimal digits, ...}``, checked against ``dataset.json``.

        Raises
        ------
        NeonRnnError
            A file is not the one that ``dataset.json`` describes.
        """
        if self._sha256 is None:
            found = {name + '.h5': sha256_file(part.path) for name, part in self.parts.items()}
            stated = self.description.get('sha256', found) if hasattr(self, 'description') else found
            for name in sorted(set(found) | set(stated)):
                if found.get(name) != stated.get(name):
                    raise NeonRnnError('{}: its sha256 is {}, {} says {}. The file was changed or damaged: import the '
                                       'data set again.'.format(os.path.join(self.folder, name), found.get(name),
                                                                self.description_path, stated.get(name)))
            self._sha256 = found
        return dict(self._sha256)

    def close(self):
        """Close the files."""
        for part in self.parts.values():
            part.close()


def open_dataset(folder, check_hashes=True):
    """Open a data set folder, defensively.

    Parameters
    ----------
    folder : str or os.PathLike
        Holds ``train.h5``, ``test.h5``, optionally ``val.h5`` and ``dataset.json``.
    check_hashes : bool
        Compare the sha256 of the files with ``dataset.json`` (reads them through once).

    Returns
    -------
    Dataset

    Raises
    ------
    UsageError
        The folder or a file is missing, or is no data set; names it and what is wrong.
    NeonRnnError
        A file is damaged, or not the one that ``dataset.json`` describes.
    """
    dataset = Dataset(folder)
    if check_hashes:
        dataset.sha256()
    return dataset


def epoch_order(count, seed, epoch, shuffle=True):
    """The order in which an epoch shows the images; depends on the seed and the epoch alone.

    Returns
    -------
    numpy.ndarray
        int64 (count,): a permutation from ``RandomState([seed, epoch])``, or 0, 1, 2, ... without `shuffle`.
    """
    if not shuffle:
        return np.arange(count, dtype=np.int64)
    return np.random.RandomState([seed, epoch]).permutation(count).astype(np.int64)


class Minibatches:
    """The minibatches of one epoch, all of the same size.

    The last one is filled up from the start of `order`; its ``count`` says how many items are not filling.

    Parameters
    ----------
    part : Part
    batch_size : int
    order : array-like of int
        (n,), indices into the part.

    Raises
    ------
    UsageError
        `order` is shorter than one minibatch.
    """

    def __init__(self, part, batch_size, order):
        if batch_size < 1:
            raise UsageError('the batch size is {}; it has to be at least 1.'.format(batch_size))
        if len(order) < batch_size:
            raise UsageError('{}: {} images do not fill one minibatch of {}; choose -z {} or less, or more data.'
                             .format(part.path, len(order), batch_size, len(order)))
        self.part, self.batch_size, self.order = part, batch_size, np.asarray(order, dtype=np.int64)

    def __len__(self):
        return -(-len(self.order) // self.batch_size)

    def __iter__(self):
        for start in range(0, len(self.order), self.batch_size):
            indices = self.order[start:start + self.batch_size]
            count = len(indices)
            indices = np.concatenate([indices, self.order[:self.batch_size - count]])
            yield Minibatch(self.part.read(indices), self.part.labels[indices], count)


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
    return NeonRnnError('{}: is truncated or damaged ({}). Make or copy it again.'.format(
        path, str(error).splitlines()[0] if str(error) else type(error).__name__))


def _text(value):
    """A string attribute as h5py of any version hands it over."""
    return value.decode('utf-8') if isinstance(value, bytes) else str(value)
