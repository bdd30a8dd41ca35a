"""Finds the files of a data set in the folders and archives that the user gives."""

import argparse
import csv
import itertools
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from neon_rnn.ingest import settings
from neon_rnn.ingest.importer import import_photographs
from neon_rnn.ingest.settings import ImportSettings
from neon_rnn.ingest.source import Dropped, Listing
from neon_rnn.ingest.unpack import is_archive, unpack
from neon_rnn.support.errors import NeonRnnError, UsageError

#: Folders are looked for down to this many levels below those given.
_DEPTH = 4
#: About so many listed names are tried in a folder to find out whether it holds the photographs.
_SAMPLE = 20


def add_arguments(parser: argparse.ArgumentParser, required: bool = True) -> None:
    """Add ``--source``, and the options that all sources share."""
    parser.add_argument(
        '--source',
        nargs='+',
        required=required,
        metavar='PATH',
        default=[],
        help='folders, archives and lists of the original distribution',
    )
    settings.add_arguments(parser)


def import_distribution(
    card: dict[str, str],
    listing: Callable[[list[Path], Dropped], Listing],
    paths: Sequence[str | os.PathLike],
    settings: ImportSettings,
) -> dict:
    """Unpack the archives among `paths`, list the photographs and import them.

    Parameters
    ----------
    card : dict
        See `import_photographs`.
    listing : callable
        Gets the folders and files to look in, and a `Dropped`; returns a `Listing`.
    paths : sequence of path
        Folders, archives and lists of the distribution.
    settings : ImportSettings

    Returns
    -------
    dict
        ``dataset.json``.

    Raises
    ------
    UsageError, NeonRnnError
        See `unpack` and `import_photographs`.
    """
    return import_photographs(
        card, lambda work, dropped: listing(_unpacked(paths, work), dropped), settings
    )


def _unpacked(paths: Sequence[str | os.PathLike], work: Path) -> list[Path]:
    found = []
    for path in map(Path, paths):
        if path.is_dir():
            found.append(path)
        elif not path.is_file():
            raise UsageError(f'{path}: there is no such folder, archive or list.')
        elif is_archive(path):
            found.append(unpack(path, work / 'unpacked'))
        else:
            found.append(path)
    return found


def find(paths: Sequence[Path], *names: str) -> Path | None:
    """Return the first file or folder of one of these names, near the top of `paths`."""
    for name, path in itertools.product(names, paths):
        if path.name == name:
            return path
        for level in range(_DEPTH - 1):
            for inner in sorted(path.glob('*/' * level + name)) if path.is_dir() else ():
                return inner
    return None


def need(paths: Sequence[Path], *names: str) -> Path:
    """Find a file or folder that has to be there, see `find`.

    Raises
    ------
    UsageError
        It is missing. The message names the archives that may hold it.
    """
    path = find(paths, *names)
    if path is None:
        packed = [
            str(file)
            for folder in paths
            if folder.is_dir()
            for file in sorted(folder.iterdir())
            if is_archive(file)
        ]
        hint = (
            f' There are archives that may hold it; give them too: --source {" ".join(packed)}'
            if packed
            else ''
        )
        raise UsageError(f'{" ".join(map(str, paths))}: no {" or ".join(names)} there.{hint}')
    return path


def photograph_root(paths: Sequence[Path], listed: Sequence[str], *names: str) -> Path:
    """Return the folder that the `listed` file names are relative to.

    It is the first one in which one of a sample of them exists: folders called one of `names` and
    their sub-folders are tried first, then all others. Archives that are unpacked by
    hand often end in a second folder of the same name.

    Raises
    ------
    UsageError
        No folder holds any of them, and there is no folder called one of `names`.
    """
    step = max(1, len(listed) // _SAMPLE)
    sample = [name for name in listed[::step] if '..' not in Path(name).parts]
    named = [path for name in names if (path := find(paths, name)) is not None]
    for start in (*named, *paths):
        for level in range(_DEPTH):
            for folder in sorted(start.glob('*/' * level)) if level else [start]:
                if any((folder / name).is_file() for name in sample):
                    return folder
    return need(paths, *names)


def files_below(folder: str | os.PathLike) -> Iterator[str]:
    """Yield the name of every file below a folder, relative to it, sorted, following links.

    A link to a folder above it would never end, and some folders cannot be read: these are
    yielded themselves, so that they are counted.
    """
    return _names_below(os.fspath(folder), '', ())


def _names_below(folder: str, name: str, above: tuple) -> Iterator[str]:
    """Yield the names below a folder, which itself has a name and folders above it."""
    status = os.stat(folder)
    identity = status.st_dev, status.st_ino
    try:
        entries = sorted(os.scandir(folder), key=lambda entry: (entry.is_dir(), entry.name))
    except OSError:
        entries = []
        above = (*above, identity)
    if identity in above:
        yield name or os.curdir
        return
    for entry in entries:
        inner = os.path.join(name, entry.name)
        if entry.is_dir():
            yield from _names_below(entry.path, inner, (*above, identity))
        else:
            yield inner


def lines(path: Path) -> list[str]:
    """Return the lines of a text file without their ends.

    Raises
    ------
    NeonRnnError
        It is not UTF-8 text.
    """
    if not path.is_file():  # reading a pipe or a device may never end
        raise NeonRnnError(f'{path}: is not a regular file.')
    try:
        return path.read_text(encoding='utf-8-sig').splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise NeonRnnError(f'{path}: cannot be read as text ({error}).') from error


def rows(path: Path, columns: Sequence[str], delimiter: str = ',') -> Iterator[dict[str, str]]:
    """Yield the rows of a table with a header; a field that a short row lacks is empty.

    Raises
    ------
    UsageError
        The header lacks one of `columns`.
    """
    reader = csv.DictReader(lines(path), delimiter=delimiter, restval='')
    missing = [column for column in columns if column not in (reader.fieldnames or [])]
    if missing:
        raise UsageError(
            f'{path}: has no column {missing[0]!r}; its first line reads {reader.fieldnames}.'
        )
    yield from reader
