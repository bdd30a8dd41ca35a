"""Make a data set from a folder with one sub-folder of photographs for each class.

Sub-folders may be nested and may be links. A folder of parts, such as Training and Validation, each
with the same class folders, is a split that is given. So are --train, --test and --val, which name
the folders of the parts wherever they lie. Every file that cannot be used is skipped,
named and counted (dropped.csv)."""

import argparse
import itertools
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from neon_rnn.data import dataset
from neon_rnn.data.pictures import is_picture
from neon_rnn.ingest import classes as class_choice
from neon_rnn.ingest import settings
from neon_rnn.ingest.distribution import files_below
from neon_rnn.ingest.importer import import_photographs
from neon_rnn.ingest.settings import ImportSettings
from neon_rnn.ingest.source import Dropped, Listing, Photograph
from neon_rnn.support.errors import UsageError
from neon_rnn.support.wording import counted

CARD = {
    'source': 'folder',
    'origin': 'a folder of photographs',
    'terms': 'those of the owners of the photographs',
    'label_meaning': 'name of the sub-folder',
}
NO_PICTURE = 'not a picture by its name'
NOT_IN_A_CLASS = 'not in the folder of a class'
#: Names of folders that are parts of a split, in any case.
PARTS = {
    'train': 'train',
    'training': 'train',
    'test': 'test',
    'testing': 'test',
    'val': 'val',
    'valid': 'val',
    'validation': 'val',
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of ``data folder``."""
    parser.add_argument(
        'folder', metavar='DIR', nargs='?', help='holds one sub-folder for each class'
    )
    for part, use in (('train', 'training'), ('test', 'testing'), ('val', 'validation')):
        parser.add_argument(
            '--' + part, metavar='DIR', help=f'in place of DIR: such a folder, for {use} only'
        )
    class_choice.add_option(parser, 'sub-folders')
    settings.add_arguments(parser)


def run(arguments: argparse.Namespace) -> None:
    """Import as the command line says."""
    parts = {part: getattr(arguments, part) for part in dataset.PARTS}
    parts = {part: folder for part, folder in parts.items() if folder}
    if bool(arguments.folder) == bool(parts) or (parts and {'train', 'test'} - set(parts)):
        raise UsageError(
            'give one folder of photographs, or the folders of the parts with --train, --test and, '
            'if there is one, --val.'
        )
    settings = ImportSettings.of(arguments)
    if parts:
        import_parts(parts, settings, arguments.classes)
    else:
        import_folder(arguments.folder, settings, arguments.classes)


def import_folder(
    folder: str | os.PathLike, settings: ImportSettings, classes: Sequence[str] | None = None
) -> dict:
    """Import a folder of class folders.

    Parameters
    ----------
    folder : path
    settings : ImportSettings
    classes : sequence of str, optional
        The sub-folders to use, in the order of the class indices.

    Returns
    -------
    dict
        ``dataset.json``.

    Raises
    ------
    UsageError
        There are not two class folders, the data set would lie among them, or see
        `import_photographs`.
    """
    _check_folder(folder, settings)
    return import_photographs(
        CARD, lambda work, dropped: listing(Path(folder), classes, dropped), settings
    )


def import_parts(
    folders: Mapping[str, str | os.PathLike],
    settings: ImportSettings,
    classes: Sequence[str] | None = None,
) -> dict:
    """Import folders of class folders, each one a part of the data set.

    Parameters
    ----------
    folders : dict
        ``'train'``, ``'test'`` and optionally ``'val'``; none lies in another.
    settings, classes
        As for `import_folder`.

    Returns
    -------
    dict
        ``dataset.json``.

    Raises
    ------
    UsageError
        The folders do not hold the same class folders, one lies in another, or as for
        `import_folder`.
    """
    for folder in folders.values():
        _check_folder(folder, settings)
    return import_photographs(
        CARD, lambda work, dropped: parts_listing(folders, classes, dropped), settings
    )


def _check_folder(folder: str | os.PathLike, settings: ImportSettings) -> None:
    if not Path(folder).is_dir():
        raise UsageError(f'{folder}: there is no such folder.')
    if Path(folder).resolve() in Path(settings.out).resolve().parents:
        raise UsageError(
            f'{settings.out}: lies inside the folder of photographs, where it would be taken for a '
            'class. Choose another --out.'
        )


def listing(folder: Path, classes: Sequence[str] | None, dropped: Dropped) -> Listing:
    """List every file below the class folders, in sorted order."""
    parts = {} if classes and set(classes) <= set(_sub_folders(folder)) else _parts(folder)
    chosen = _chosen_classes(folder / next(iter(parts)) if parts else folder, classes)
    photographs: list[Photograph] = []
    for name in files_below(folder):
        inner = name.split(os.sep)
        part = inner.pop(0) if parts else ''
        if parts and part not in parts:
            dropped.add(NOT_IN_A_CLASS, name)
        else:
            _list_file(photographs, name, inner, chosen, parts.get(part, ''), dropped)
    return Listing(folder, photographs, chosen)


def parts_listing(
    folders: Mapping[str, str | os.PathLike], classes: Sequence[str] | None, dropped: Dropped
) -> Listing:
    """List every file below the class folders of each part, in sorted order."""
    places = {part: Path(os.path.abspath(folder)) for part, folder in folders.items()}
    for one, other in itertools.permutations(places, 2):
        inner, outer = places[one].resolve(), places[other].resolve()
        if inner == outer or outer in inner.parents:
            raise UsageError(
                f'--{one} {folders[one]}: lies in --{other} {folders[other]}, so its photographs '
                'would be in both parts. Give folders that lie apart.'
            )
    root = Path(os.path.commonpath(places.values()))
    found = {part: _chosen_classes(place, classes) for part, place in places.items()}
    chosen = found['train']
    for part, names in found.items():
        if names != chosen:
            raise UsageError(
                f'{folders[part]}: holds the class folders {", ".join(names)}, but '
                f'{folders["train"]} holds {", ".join(chosen)}. Name those to use with --classes.'
            )
    photographs: list[Photograph] = []
    for part, place in places.items():
        for name in files_below(place):
            whole = os.path.join(place.relative_to(root), name)
            _list_file(photographs, whole, name.split(os.sep), chosen, part, dropped)
    return Listing(root, photographs, chosen)


def _list_file(
    photographs: list[Photograph],
    name: str,
    inner: Sequence[str],
    chosen: list[str],
    part: str,
    dropped: Dropped,
) -> None:
    """Add a file to the photographs, or to those left out; `inner` begins with its class folder."""
    if len(inner) < 2 or inner[0] not in chosen:
        dropped.add(NOT_IN_A_CLASS, name)
    elif not is_picture(name):
        dropped.add(NO_PICTURE, name)
    else:
        photographs.append(Photograph(name, chosen.index(inner[0]), part=part))


def _chosen_classes(folder: Path, classes: Sequence[str] | None) -> list[str]:
    """Return the class folders to use, in the order of the class indices."""
    chosen = class_choice.choose(_sub_folders(folder), classes, 'sub-folder', folder)
    if len(chosen) < 2:
        raise UsageError(
            f'{folder}: has {counted(len(chosen), "class folder")}'
            f'{" (" + chosen[0] + ")" if chosen else ""}; two or more are needed, one for each '
            f'class, such as {folder}/female and {folder}/male.'
        )
    return chosen


def _sub_folders(folder: Path) -> list[str]:
    return sorted(
        entry.name
        for entry in os.scandir(folder)
        if entry.is_dir() and not entry.name.startswith('.')
    )


def _parts(folder: Path) -> dict[str, str]:
    """Return the sub-folders that are parts of a given split: name -> part; else an empty dict.

    Where validation is the only other part, it is the test part.

    Raises
    ------
    UsageError
        Sub-folders are named like parts, but do not hold the same class folders.
    """
    parts = {
        name: PARTS[name.casefold()] for name in _sub_folders(folder) if name.casefold() in PARTS
    }
    if 'train' not in parts.values() or len(set(parts.values())) < 2:
        return {}
    inner = {name: _sub_folders(folder / name) for name in parts}
    if len(set(map(tuple, inner.values()))) > 1 or len(set(parts.values())) < len(parts):
        held = '; '.join(f'{name}: {", ".join(names) or "none"}' for name, names in inner.items())
        raise UsageError(
            f'{folder}: {", ".join(parts)} are named like the parts of a split, but do not hold '
            f'the same class folders ({held}). Give each part the same class folders, or '
            f'say --classes {",".join(parts)} if they are classes.'
        )
    if 'test' not in parts.values():
        parts = {name: 'test' if part == 'val' else part for name, part in parts.items()}
    return parts
