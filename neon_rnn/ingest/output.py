"""Writes a data set folder, HDF5 files and ``dataset.json``, whole or not at all."""

import contextlib
import dataclasses
import errno
import math
import os
import shutil
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from neon_rnn.data import dataset
from neon_rnn.ingest.hdf5_writer import write_part
from neon_rnn.support import folders
from neon_rnn.support.errors import NeonRnnError, UsageError
from neon_rnn.support.files import (
    make_folder,
    read_json,
    sha256_file,
    write_error,
    write_json,
    write_text,
)

#: The files of a data set folder. A folder with any other file is never replaced.
KNOWN_FILES = frozenset(
    {'train.h5', 'test.h5', 'val.h5', 'dataset.json', 'contact-sheet.png', 'dropped.csv'}
)


@dataclasses.dataclass
class PartData:
    """The content of one HDF5 file.

    Attributes
    ----------
    labels : numpy.ndarray
        (N,), class indices.
    blocks : iterable of numpy.ndarray
        uint8 (n, C*H*W) each, N rows in all, in the order of `labels`. They are read once, so a
        generator keeps memory bounded.
    source_files : sequence of str
        (N,), the file of each image.
    persons : sequence of str
        (N,), an identifier of the person shown, empty where the source names nobody.
    """

    labels: np.ndarray
    blocks: Iterable[np.ndarray]
    source_files: Sequence[str]
    persons: Sequence[str]


def write_dataset(
    folder: str | os.PathLike,
    parts: dict[str, PartData],
    shape: Sequence[int],
    description: dict[str, Any],
    dropped: str = '',
) -> dict[str, Any]:
    """Write a data set folder, replacing one that is there.

    Parameters
    ----------
    folder : path
    parts : dict
        ``'train'``, ``'test'`` and optionally ``'val'``.
    shape : (C, H, W)
    description : dict
        ``dataset.json`` without ``schema``, ``shape``, ``counts`` and ``sha256``, which are added
        here.
    dropped : str
        Text of ``dropped.csv``: the files that are not used, and why. Not written if empty.

    Returns
    -------
    dict
        ``dataset.json`` as written.

    Raises
    ------
    UsageError
        `folder` holds other files than a data set's.
    NeonRnnError
        The disk is full or the folder cannot be written; nothing is left behind.
    """
    names = description['class_names']
    counts = {
        part: {name: int(np.sum(data.labels == label)) for label, name in enumerate(names)}
        for part, data in parts.items()
    }
    size = sum(len(data.labels) for data in parts.values()) * math.prod(shape)
    with replaced_folder(folder, size) as temporary:
        hashes = {}
        for part, data in parts.items():
            path = temporary / f'{part}.h5'
            write_part(
                path,
                data.labels,
                data.blocks,
                shape,
                names,
                description['kind'],
                {'source_file': data.source_files, 'person': data.persons},
            )
            hashes[path.name] = sha256_file(path)
        whole = {
            **description,
            'schema': dataset.SCHEMA,
            'shape': list(shape),
            'counts': counts,
            'sha256': hashes,
        }
        if dropped:
            write_text(temporary / 'dropped.csv', dropped)
        write_json(temporary / 'dataset.json', whole)
    return whole


def check_out(
    out: str | os.PathLike, force: bool = False, recipe: dict[str, Any] | None = None
) -> None:
    """Refuse an output folder where something would be lost, before any work is done.

    Parameters
    ----------
    out : path
    force : bool
        Allow to replace a data set.
    recipe : dict, optional
        Entries of ``dataset.json`` that decide every byte of the data set to be written. A data
        set with the same entries is written again without asking, since nothing is lost.

    Raises
    ------
    UsageError
        There is a data set that may not be replaced; or see `check_replaceable`.
    """
    folders.remove_leftovers(os.path.realpath(out))
    check_replaceable(out)
    if force or not os.path.isdir(out) or not os.listdir(out):
        return
    try:
        there = read_json(os.path.join(out, 'dataset.json'))
        if recipe is not None and {name: there.get(name) for name in recipe} == recipe:
            return
        counts = ', '.join(
            f'{part} {sum(classes.values()):,}' for part, classes in sorted(there['counts'].items())
        )
        held = f'the data set {there["name"]!r} ({there["source"]}, {there["kind"]}; {counts})'
    except (NeonRnnError, LookupError, TypeError, AttributeError):
        # There is no dataset.json, or it is not a description.
        held = ', '.join(sorted(os.listdir(out)))
    raise UsageError(
        f'{out}: holds {held}, which would be lost. Choose another --out, or replace it with '
        '--force.'
    )


def check_replaceable(folder: str | os.PathLike) -> None:
    """Refuse an output folder that holds anything but a data set, before any work is done.

    Raises
    ------
    UsageError
        It is a file, or holds other files.
    """
    path = Path(folder)
    if path.exists() and not path.is_dir():
        raise UsageError(f'{path}: is a file; --out has to name a folder.')
    others = (
        sorted(name for name in os.listdir(path) if name not in KNOWN_FILES)
        if path.is_dir()
        else []
    )
    if others:
        raise UsageError(
            f'{path}: holds {others[0]!r}, which is not part of a data set, so the folder is not '
            'replaced. Choose another --out.'
        )


@contextlib.contextmanager
def replaced_folder(folder: str | os.PathLike, size: int = 0) -> Iterator[Path]:
    """Yield a temporary folder that takes the place of `folder` if the block succeeds.

    After an error `folder` is as it was.

    Parameters
    ----------
    folder : path
    size : int
        Bytes that have to fit on the disk.

    Raises
    ------
    UsageError
        See `check_replaceable`.
    NeonRnnError
        The disk is full or the folder cannot be written.
    """
    check_replaceable(folder)
    path = Path(os.path.realpath(folder))  # a link stays, the folder it points to is replaced
    make_folder(path.parent)
    if shutil.disk_usage(path.parent).free < size:
        raise write_error(path, OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)))
    temporary = Path(folders.temporary_beside(path))
    try:
        temporary.mkdir()
        yield temporary
        folders.put_in_place(temporary, path)
    except OSError as error:
        raise write_error(path, error) from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
