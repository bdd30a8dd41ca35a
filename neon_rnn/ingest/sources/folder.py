"""Make a data set from a folder with one sub-folder of photographs for each class.

Sub-folders may be nested. Every file that cannot be used is skipped, named and counted (dropped.csv)."""

import argparse
import os
import sys
from pathlib import Path

from neon_rnn.ingest import importer
from neon_rnn.ingest.source import Dropped, Listing, Photograph
from neon_rnn.support.errors import UsageError

NAME = 'folder'
CARD = {
    'origin': 'a folder of photographs',
    'terms': 'those of whoever owns the photographs',
    'label_meaning': 'name of the sub-folder',
}
NO_PICTURE = 'no picture by its name'
NOT_IN_A_CLASS = 'not in the folder of a class'
#: Class index 0 and 1 where the sub-folders are so named, in either case.
FEMALE = {'female', 'females', 'woman', 'women', 'f'}
MALE = {'male', 'males', 'man', 'men', 'm'}
SUFFIXES = {
    '.jpg',
    '.jpeg',
    '.jpe',
    '.jfif',
    '.png',
    '.bmp',
    '.gif',
    '.webp',
    '.tif',
    '.tiff',
    '.ppm',
    '.pgm',
    '.pbm',
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of ``data folder``."""
    parser.add_argument('folder', metavar='DIR', help='holds one sub-folder for each class')
    parser.add_argument(
        '--classes',
        metavar='A,B',
        help='the sub-folders to use, in the order of the class indices '
        '(default: all; 0 female, 1 male if so named, else sorted)',
    )
    importer.add_arguments(parser)


def run(arguments: argparse.Namespace) -> None:
    """Import the folder."""
    if not Path(arguments.folder).is_dir():
        raise UsageError(f'{arguments.folder}: there is no such folder.')
    importer.run(sys.modules[__name__], lambda work: [Path(arguments.folder)], arguments)


def listing(folders: list[Path], arguments: argparse.Namespace, dropped: Dropped) -> Listing:
    """Every file below the class folders, in sorted order."""
    folder = folders[0]
    names = sorted(
        entry.name
        for entry in os.scandir(folder)
        if entry.is_dir() and not entry.name.startswith('.')
    )
    if arguments.classes:
        classes = [name.strip() for name in arguments.classes.split(',')]
        missing = [name for name in classes if name not in names]
        if missing or len(set(classes)) != len(classes):
            raise UsageError(
                f'--classes {arguments.classes}: {missing[0] if missing else classes[0]!r} is '
                f'{"no sub-folder" if missing else "named twice"} of {folder}, which has '
                f'{", ".join(names) or "none"}.'
            )
    else:
        classes = class_order(names)
    if len(classes) < 2:
        raise UsageError(
            f'{folder}: has {len(classes)} class folder{"" if len(classes) == 1 else "s"}'
            f'{" (" + classes[0] + ")" if classes else ""}; two or more are needed, one for each class, '
            f'such as {folder}/female and {folder}/male.'
        )
    photographs = []
    for path, inner, files in os.walk(folder):
        inner.sort()
        relative = Path(path).relative_to(folder)
        for file in sorted(files):
            name = str(relative / file)
            if not relative.parts or relative.parts[0] not in classes:
                dropped.add(NOT_IN_A_CLASS, name)
            elif Path(file).suffix.lower() not in SUFFIXES:
                dropped.add(NO_PICTURE, name)
            else:
                photographs.append(Photograph(name, classes.index(relative.parts[0])))
    return Listing(folder, photographs, classes)


def class_order(names: list[str]) -> list[str]:
    """Female before male where two folders are so named (the project's coding), else as sorted."""
    if len(names) == 2:
        first, second = (name.casefold() for name in names)
        if first in MALE and second in FEMALE:
            return [names[1], names[0]]
    return names
