"""The folders and archives that a data set was given as, and how the data set files in them are found."""

import argparse
import csv
from collections.abc import Iterator, Sequence
from pathlib import Path

from neon_rnn.ingest import importer
from neon_rnn.ingest.source import Source
from neon_rnn.ingest.unpack import is_archive, unpack
from neon_rnn.support.errors import NeonRnnError, UsageError


def add_arguments(parser: argparse.ArgumentParser, required: bool = True) -> None:
    """``--source``, and the options that all sources share."""
    parser.add_argument(
        '--source',
        nargs='+',
        required=required,
        metavar='PATH',
        default=[],
        help='folders and archives of the original distribution',
    )
    importer.add_arguments(parser)


def run(source: Source, arguments: argparse.Namespace) -> dict:
    """Unpack what is packed, then import.

    Raises
    ------
    UsageError, NeonRnnError
        As `unpack` and `importer.run`.
    """
    return importer.run(source, lambda work: roots(arguments.source, work), arguments)


def roots(paths: Sequence[str], work: Path) -> list[Path]:
    """The folders to look in: those given, and what the archives given hold."""
    found = []
    for path in map(Path, paths):
        if is_archive(path) and not path.is_dir():
            found.append(unpack(path, work / 'unpacked'))
        elif path.is_dir():
            found.append(path)
        else:
            raise UsageError(f'{path}: is neither a folder nor an archive (tar, tar.gz, zip).')
    return found


def find(folders: Sequence[Path], *names: str, depth: int = 3) -> Path | None:
    """The first file or folder of one of these names, near the top of the folders."""
    for name in names:
        for folder in folders:
            if folder.name == name:
                return folder
            for level in range(depth):
                for path in sorted(folder.glob('*/' * level + name)):
                    return path
    return None


def need(folders: Sequence[Path], *names: str) -> Path:
    """As `find`, but it has to be there.

    Raises
    ------
    UsageError
        It is not; names what was looked for and the archives that may hold it.
    """
    path = find(folders, *names)
    if path is None:
        packed = [
            str(file) for folder in folders for file in sorted(folder.iterdir()) if is_archive(file)
        ]
        hint = (
            f' There are archives that may hold it; give them too: --source {" ".join(packed)}'
            if packed
            else ''
        )
        raise UsageError(f'{" ".join(map(str, folders))}: no {" or ".join(names)} there.{hint}')
    return path


def lines(path: Path) -> list[str]:
    """The lines of a text file without their ends.

    Raises
    ------
    NeonRnnError
        It is no UTF-8 text.
    """
    try:
        return path.read_text(encoding='utf-8-sig').splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise NeonRnnError(f'{path}: cannot be read as text ({error}).') from error


def rows(path: Path, columns: Sequence[str], delimiter: str = ',') -> Iterator[dict[str, str]]:
    """The rows of a table with a header; a field that a short row lacks is empty.

    Raises
    ------
    UsageError
        The header lacks a column.
    """
    reader = csv.DictReader(lines(path), delimiter=delimiter, restval='')
    missing = [column for column in columns if column not in (reader.fieldnames or [])]
    if missing:
        raise UsageError(
            f'{path}: has no column {missing[0]!r}; its first line reads {reader.fieldnames}.'
        )
    yield from reader
