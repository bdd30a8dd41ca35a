"""A data set, the same for both engines: a folder of HDF5 files and their description."""

import collections
import os

import numpy as np

from neon_rnn.data.hdf5 import Part
from neon_rnn.support import folders
from neon_rnn.support.errors import NeonRnnError, UsageError
from neon_rnn.support.files import read_json, sha256_file

SCHEMA = 1
PARTS = ('train', 'test', 'val')
KINDS = ('photographs', 'synthetic', 'unknown')


class Dataset:
    """A data set folder: its parts and its description.

    Attributes
    ----------
    folder : str
    description : dict
        ``dataset.json``, or a description derived from the files.
    train, test : Part
    val : Part or None
    shape : tuple of int
        (C, H, W).
    nclass : int
    class_names : list of str
    stated_sha256 : dict
        The hashes that ``dataset.json`` states, empty if there are none.
    """

    def __init__(self, folder):
        self.folder = str(folder)
        folders.restore(os.path.realpath(self.folder))
        if not os.path.isdir(self.folder):
            raise UsageError(
                "{}: there is no such data set folder. 'neon_rnn data demo --out {}' makes a "
                "synthetic one, 'neon_rnn data folder' one of photographs.".format(
                    self.folder, self.folder
                )
            )
        paths = collections.OrderedDict(
            (name, os.path.join(self.folder, name + '.h5')) for name in PARTS
        )
        for name in ('train', 'test'):
            if not os.path.isfile(paths[name]):
                raise UsageError(
                    '{}: there is no {}.h5; a data set folder holds train.h5 and test.h5 '
                    "('neon_rnn data --help' makes them).".format(self.folder, name)
                )
        self.parts = collections.OrderedDict(
            (name, Part(path)) for name, path in paths.items() if os.path.isfile(path)
        )
        self.train, self.test = self.parts['train'], self.parts['test']
        self.val = self.parts.get('val')
        self.shape, self.nclass = self.train.shape, self.train.nclass
        for part in self.parts.values():
            if (part.shape, part.nclass) != (self.shape, self.nclass):
                raise UsageError(
                    '{}: images {} in {} classes, but {} has {} in {}; the parts of a data set '
                    'have to agree.'.format(
                        part.path, part.shape, part.nclass, self.train.path, self.shape, self.nclass
                    )
                )
        self._sha256 = None
        self.description_path = os.path.join(self.folder, 'dataset.json')
        derived = self._derive_description()
        self.stated_sha256 = {}
        if os.path.exists(self.description_path):
            self.description = read_json(self.description_path)
            self._check_description(derived)
            self.stated_sha256 = self.description.get('sha256', {})
        else:
            self.description = dict(derived, sha256=self.sha256())
        self.class_names = self.description['class_names']

    def check_unchanged(self):
        """Check that the files are still those that were opened.

        Raises
        ------
        NeonRnnError
            A file was removed, replaced or written to; names it.
        """
        for part in self.parts.values():
            part.check_unchanged()

    def _counts(self, names):
        return {
            part_name: {name: int(np.sum(part.labels == label)) for label, name in enumerate(names)}
            for part_name, part in self.parts.items()
        }

    def _derive_description(self):
        names = self.train.class_names
        counts = self._counts(names)
        return {
            'schema': SCHEMA,
            'name': os.path.basename(os.path.abspath(self.folder)),
            'source': 'unknown',
            'kind': self.train.kind,
            'class_names': names,
            'shape': list(self.shape),
            'counts': counts,
            'filters': [],
            'split': 'as found',
            'seed': None,
            'note': 'Derived from the HDF5 files: there is no dataset.json.',
        }

    def _check_description(self, derived):
        """Check that ``dataset.json`` is a description, and describes these files."""
        path, found = self.description_path, self.description
        if not isinstance(found, dict) or found.get('schema') != SCHEMA:
            schema = found.get('schema') if isinstance(found, dict) else None
            raise UsageError(
                '{}: schema {!r} is not known to this version, which reads schema {}. Import the '
                'data set again.'.format(path, schema, SCHEMA)
            )
        missing = sorted(set(derived) - {'seed', 'filters', 'split', 'note'} - set(found))
        if missing:
            raise UsageError(
                '{}: lacks {}. Import the data set again, or remove the file to derive it.'.format(
                    path, ', '.join(missing)
                )
            )
        found.setdefault('filters', [])
        for key, kind in (
            ('name', str),
            ('source', str),
            ('filters', list),
            ('sha256', dict),
            ('listed', int),
        ):
            if key in found and not isinstance(found[key], kind):
                raise UsageError(
                    '{}: `{}` is {!r:.80}, which is not a {}. Import the data set again.'.format(
                        path, key, found[key], kind.__name__
                    )
                )
        for entry in found['filters']:
            if not isinstance(entry, dict) or not (
                isinstance(entry.get('reason'), str) and isinstance(entry.get('dropped'), int)
            ):
                raise UsageError(
                    '{}: `filters` has {!r:.80}; each entry has to have a `reason` and a count '
                    '`dropped`. Import the data set again.'.format(path, entry)
                )
        names = found['class_names']
        if (
            not isinstance(names, list)
            or len(names) != self.nclass
            or len(set(map(str, names))) != self.nclass
            or not all(isinstance(name, str) for name in names)
        ):
            raise UsageError(
                '{}: `class_names` {!r} does not name the {} classes of the files.'.format(
                    path, names, self.nclass
                )
            )
        if found['kind'] not in KINDS:
            raise UsageError(
                '{}: `kind` is {!r}; it has to be one of {}.'.format(
                    path, found['kind'], ', '.join(KINDS)
                )
            )
        for key, value in (('shape', list(self.shape)), ('counts', self._counts(names))):
            if found[key] != value:
                raise UsageError(
                    '{}: says {} {}, the files hold {}. Files and description do not belong '
                    'together: import the data set again.'.format(path, key, found[key], value)
                )

    def sha256(self):
        """Return the sha256 of each file, ``{'train.h5': hexadecimal digits, ...}``.

        Raises
        ------
        NeonRnnError
            A file is not the one that ``dataset.json`` describes.
        """
        if self._sha256 is None:
            found = {name + '.h5': sha256_file(part.path) for name, part in self.parts.items()}
            stated = self.stated_sha256 or found
            for name in sorted(set(found) | set(stated)):
                if found.get(name) != stated.get(name):
                    raise NeonRnnError(
                        '{}: its sha256 is {}, {} says {}. The file was changed or damaged: import '
                        'the data set again.'.format(
                            os.path.join(self.folder, name),
                            found.get(name),
                            self.description_path,
                            stated.get(name),
                        )
                    )
            self._sha256 = found
        return dict(self._sha256)

    def close(self):
        """Close the files."""
        for part in self.parts.values():
            part.close()


def open_dataset(folder, check_hashes=True):
    """Open a data set folder without trusting its files.

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
        The folder or a file is missing, or it is not a data set; the message says what is wrong.
    NeonRnnError
        A file is damaged, or not the one that ``dataset.json`` describes.
    """
    dataset = Dataset(folder)
    if check_hashes:
        dataset.sha256()
    return dataset
