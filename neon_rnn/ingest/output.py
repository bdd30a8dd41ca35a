"""Writes a data set folder: HDF5 files in neon's layout and ``dataset.json``, whole or not at all."""

import argparse
import contextlib
import dataclasses
import errno
import math
import os
import shutil
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from neon_rnn.data import dataset
from neon_rnn.support.errors import NeonRnnError, UsageError
from neon_rnn.support.files import (
    make_folder,
    read_json,
    sha256_file,
    write_error,
    write_json,
    write_text,
)

#: What a data set folder may hold; a folder with anything else is never replaced.
KNOWN_FILES = frozenset(
    {'train.h5', 'test.h5', 'val.h5', 'dataset.json', 'contact-sheet.png', 'dropped.csv'}
)


@dataclasses.dataclass
class PartData:
    """What goes into one HDF5 file.

    Attributes
    ----------
    labels : numpy.ndarray
        (N,), class indices.
    blocks : iterable of numpy.ndarray
        uint8 (n, C*H*W) each, N rows in all, in the order of `labels`; read once, so a generator keeps memory bounded.
    source_files : sequence of str
        (N,), where each image came from.
    persons : sequence of str
        (N,), an identifier of the person shown, or empty where the source names none.
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
        ``dataset.json`` without ``schema``, ``shape``, ``counts`` and ``sha256``, which are filled in here.
    dropped : str
        Text of ``dropped.csv``, what is not used and why; not written when empty.

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
            _write_part(path, data, shape, names, description['kind'])
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


def add_out_arguments(parser: argparse.ArgumentParser) -> None:
    """The options that say where a data set is written; `check_out` reads them."""
    parser.add_argument('--out', required=True, metavar='DIR', help='the data set folder to make')
    parser.add_argument('--force', action='store_true', help='replace the data set that is there')


def check_out(arguments: argparse.Namespace, recipe: dict[str, Any] | None = None) -> None:
    """Refuse an output folder where something would be lost, before any work is done.

    Parameters
    ----------
    arguments : argparse.Namespace
        Those of `add_out_arguments`.
    recipe : dict, optional
        Entries of ``dataset.json`` that decide every byte of the data set to be written. Where they are those of the
        data set that is there, nothing is lost: it is written again without asking.

    Raises
    ------
    UsageError
        There is a data set, and neither ``--force`` nor the recipe allows to replace it; or see `check_replaceable`.
    """
    check_replaceable(arguments.out)
    if arguments.force or not os.path.isdir(arguments.out) or not os.listdir(arguments.out):
        return
    try:
        there = read_json(os.path.join(arguments.out, 'dataset.json'))
        if recipe is not None and {name: there.get(name) for name in recipe} == recipe:
            return
        counts = ', '.join(
            f'{part} {sum(classes.values()):,}' for part, classes in sorted(there['counts'].items())
        )
        held = f'the data set {there["name"]!r} ({there["source"]}, {there["kind"]}; {counts})'
    except (
        NeonRnnError,
        LookupError,
        TypeError,
        AttributeError,
    ):  # no dataset.json, or one that is no description
        held = ', '.join(sorted(os.listdir(arguments.out)))
    raise UsageError(
        f'{arguments.out}: holds {held}, which would be lost. Choose another --out, or replace it with '
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
            f'{path}: holds {others[0]!r}, which is no part of a data set, so the folder is not replaced. '
            'Choose another --out.'
        )


@contextlib.contextmanager
def replaced_folder(folder: str | os.PathLike, size: int = 0) -> Iterator[Path]:
    """A temporary folder beside `folder` that takes its place if the block succeeds, and else leaves it as it was.

    Parameters
    ----------
    folder : path
    size : int
        Bytes that have to fit on the disk.

    Yields
    ------
    Path

    Raises
    ------
    UsageError
        See `check_replaceable`.
    NeonRnnError
        The disk is full or the folder cannot be written.
    """
    check_replaceable(folder)
    path = Path(os.path.abspath(folder))
    make_folder(path.parent)
    if shutil.disk_usage(path.parent).free < size:
        raise write_error(path, OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)))
    temporary = path.with_name(f'.{path.name}.{os.getpid()}')
    try:
        temporary.mkdir()
        yield temporary
        previous = temporary.with_name(temporary.name + '.previous')
        if path.exists():
            path.rename(previous)
        try:
            temporary.rename(path)
        except OSError:
            if previous.exists():
                previous.rename(path)
            raise
        shutil.rmtree(previous, ignore_errors=True)
    except OSError as error:
        raise write_error(path, error) from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _write_part(
    path: Path, data: PartData, shape: Sequence[int], class_names: Sequence[str], kind: str
) -> None:
    """One HDF5 file. Images are single chunks: training reads them one by one in random order."""
    count, features = len(data.labels), math.prod(shape)
    try:
        with h5py.File(path, 'w') as file:
            file.attrs['class_names'] = np.array([name.encode() for name in class_names])
            file.attrs['kind'] = np.bytes_(kind.encode())
            images = file.create_dataset('input', (count, features), np.uint8, chunks=(1, features))
            images.attrs['lshape'] = np.array(shape, dtype=np.int64)
            output = file.create_dataset(
                'output', data=np.asarray(data.labels, dtype=np.int32).reshape(-1, 1)
            )
            output.attrs['nclass'] = len(class_names)
            file.create_dataset('source_file', data=_bytes(data.source_files))
            file.create_dataset('person', data=_bytes(data.persons))
            start = 0
            for block in data.blocks:
                images[start : start + len(block)] = block
                start += len(block)
            if start != count:
                raise AssertionError(f'{path.name}: {start} images for {count} labels')
    except OSError as error:
        raise _with_errno(error) from error


def _bytes(texts: Sequence[str]) -> np.ndarray:
    """Fixed-length UTF-8: the same bytes on every run, and readable by any HDF5 library."""
    encoded = [text.encode() for text in texts]
    return np.array(encoded, dtype=f'S{max(1, max(map(len, encoded), default=1))}')


def _with_errno(error: OSError) -> OSError:
    """h5py puts the cause of a failed write into the message only."""
    if error.errno is None and os.strerror(errno.ENOSPC) in str(error):
        return OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    return error
