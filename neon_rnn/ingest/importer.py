"""The way of every data source into a data set folder: list, decode, drop duplicates, split, balance, write."""

import argparse
import collections
import contextlib
import hashlib
import os
import shutil
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path, PurePosixPath

import numpy as np

from neon_rnn.data import images
from neon_rnn.data.dataset import PARTS
from neon_rnn.data.images import Preprocessing
from neon_rnn.ingest import split
from neon_rnn.ingest.output import PartData, add_out_arguments, check_out, write_dataset
from neon_rnn.ingest.shards import Shards
from neon_rnn.ingest.source import Dropped, Listing, Photograph, Source, printable
from neon_rnn.support.errors import UsageError
from neon_rnn.support.files import folder_lock, make_folder
from neon_rnn.support.machine import cores

OUTSIDE = 'name points outside the folder'
DUPLICATE = 'duplicate: the same picture again'
CONTRADICTORY = 'duplicate with another label (all copies)'
SURPLUS = 'surplus of the larger class (training part balanced)'
ETHICS = (
    "Labels are the two values that the source gives; they are no statement of anybody's gender, which a "
    'photograph cannot show. For reproducing a published experiment; not for decisions about people.'
)


def add_arguments(parser: argparse.ArgumentParser, size: int = 128) -> None:
    """The options that all sources share."""
    add_out_arguments(parser)
    parser.add_argument(
        '--size', type=int, default=size, help=f'height and width in pixels (default {size})'
    )
    parser.add_argument(
        '--fit',
        choices=('crop', 'stretch'),
        default='crop',
        help='cut the largest central square out, or squeeze the whole picture (default crop)',
    )
    parser.add_argument(
        '--centre',
        type=float,
        default=1.0,
        metavar='SHARE',
        help='first keep only this central share of each side, 0.1 to 1 (default 1)',
    )
    parser.add_argument(
        '--test-fraction',
        type=float,
        default=0.2,
        metavar='SHARE',
        help='share of the photographs in the test part, where the source fixes none (default 0.2)',
    )
    parser.add_argument(
        '--balance', action='store_true', help='as many training photographs of each class'
    )
    parser.add_argument(
        '--seed', type=int, default=0, help='of the split, the balance and the order (default 0)'
    )
    parser.add_argument(
        '--workers', type=int, default=cores(), metavar='N', help='processes (default: the cores)'
    )


def run(
    source: Source, locate: Callable[[Path], list[Path]], arguments: argparse.Namespace
) -> dict:
    """Import an unpacked distribution and say what became of it.

    Parameters
    ----------
    source : module
    locate : callable
        Given the work folder (for what it unpacks), returns the folders of the distribution.
    arguments : argparse.Namespace
        Those of `add_arguments` and of the source.

    Returns
    -------
    dict
        ``dataset.json``.

    Raises
    ------
    UsageError
        The folder is not such a distribution, has no usable photographs, an option is out of range, or there is a data
        set already.
    NeonRnnError
        The disk is full, or another process imports to the same place. Finished work is kept for the next attempt.
    """
    preprocessing = Preprocessing(arguments.size, arguments.size, arguments.fit, arguments.centre)
    if not 0 < arguments.test_fraction < 1:
        raise UsageError(f'--test-fraction {arguments.test_fraction}: has to lie between 0 and 1.')
    if not 0 <= arguments.seed < 2**32:
        raise UsageError(f'--seed {arguments.seed}: has to be in 0..2**32-1.')
    if arguments.workers < 1:
        raise UsageError(f'--workers {arguments.workers}: at least one is needed.')
    check_out(arguments)
    with _unfinished(arguments.out) as work:
        dropped = Dropped()
        listing = source.listing(locate(work), arguments, dropped)
        _drop_outside(listing, dropped)
        listed = len(listing.photographs) + len(dropped)
        if not listing.photographs:
            raise UsageError(
                f'{listing.root}: no usable photographs among {listed} listed files. {_first(dropped)}'
            )
        shards = Shards(
            work / 'shards',
            listing.root,
            [photograph.name for photograph in listing.photographs],
            preprocessing,
        )
        parts = _parts(listing, shards.decode(arguments.workers), arguments, dropped)
        indices = [index for part in parts.values() for index in part]
        data = {name: _part_data(shards, listing.photographs, part) for name, part in parts.items()}
        assert listed == len(indices) + len(dropped)
        description = write_dataset(
            arguments.out,
            data,
            (3, arguments.size, arguments.size),
            {
                'name': Path(os.path.abspath(arguments.out)).name,
                'source': source.NAME,
                'kind': 'photographs',
                'class_names': listing.class_names,
                'seed': arguments.seed,
                'listed': listed,
                'filters': dropped.filters(),
                'preprocessing': preprocessing.describe(),
                'split': _split_rule(listing, arguments),
                'note': ETHICS,
                **source.CARD,
            },
            dropped.csv(),
        )
    _report(arguments.out, description, dropped)
    return description


def _drop_outside(listing: Listing, dropped: Dropped) -> None:
    """A list of names is not to be trusted either: a name that leaves the folder is not opened."""
    inside = []
    for photograph in listing.photographs:
        path = PurePosixPath(photograph.name)
        if path.is_absolute() or '..' in path.parts or '\0' in photograph.name:
            dropped.add(OUTSIDE, photograph.name)
        else:
            inside.append(photograph)
    listing.photographs = inside


def work_folder(out: str | os.PathLike) -> Path:
    """Where unfinished work is kept: beside the data set."""
    return Path(os.path.abspath(out) + '.import')


@contextlib.contextmanager
def _unfinished(out: str | os.PathLike) -> Iterator[Path]:
    """The work folder, held for this process; removed at the end, after a failure only if nothing was finished in it."""
    work = work_folder(out)
    make_folder(work)
    with folder_lock(work, 'importing'):
        try:
            yield work
        except BaseException as error:
            if not any(path.is_file() and path.name != '.lock' for path in work.rglob('*')):
                shutil.rmtree(work, ignore_errors=True)
            elif isinstance(error, KeyboardInterrupt):
                print(
                    f'\n{work} keeps what is finished; the same command goes on from there.',
                    file=sys.stderr,
                )
            raise
        shutil.rmtree(work, ignore_errors=True)


def _parts(
    listing: Listing,
    outcomes: Sequence[str | tuple[str, str]],
    arguments: argparse.Namespace,
    dropped: Dropped,
) -> dict[str, np.ndarray]:
    """Which photographs (indices) each part gets, in file order."""
    photographs = listing.photographs
    dropped.expect(
        images.UNREADABLE, images.NOT_AN_IMAGE, images.DAMAGED, images.TOO_LARGE, images.TOO_SMALL
    )
    usable = []
    for index, outcome in enumerate(outcomes):
        if isinstance(outcome, str):
            usable.append(index)
        else:
            dropped.add(outcome[0], photographs[index].name, outcome[1])
    usable = _without_duplicates(usable, photographs, outcomes, dropped)
    if not usable:
        raise UsageError(f'{listing.root}: no usable photographs. {_first(dropped)}')
    kept = np.array(usable)
    labels = np.array([photographs[index].label for index in usable])
    names = np.array([photographs[index].part for index in usable])
    if not names.all():
        in_test = split.split_people(
            labels,
            [photographs[index].person for index in usable],
            arguments.test_fraction,
            arguments.seed,
        )
        names = np.where(in_test, split.TEST, split.TRAIN)
    if arguments.balance:
        train = np.flatnonzero(names == split.TRAIN)
        surplus = train[~split.balanced(labels[train], arguments.seed)]
        for index in kept[surplus]:
            dropped.add(SURPLUS, photographs[index].name)
        rest = np.setdiff1d(np.arange(len(kept)), surplus)
        kept, labels, names = kept[rest], labels[rest], names[rest]
    for label, class_name in enumerate(listing.class_names):
        for part in (split.TRAIN, split.TEST):
            if not np.any((labels == label) & (names == part)):
                raise UsageError(
                    f'{listing.root}: no usable photograph of class {class_name!r} for the {part} part; '
                    f'each part needs every class. {_first(dropped)}'
                )
    return {
        part: kept[names == part][
            split.file_order(int(np.sum(names == part)), arguments.seed, number)
        ]
        for number, part in enumerate(PARTS)
        if np.any(names == part)
    }


def _without_duplicates(
    usable: Iterable[int], photographs: Sequence[Photograph], outcomes: Sequence, dropped: Dropped
) -> list[int]:
    """One of each picture: a test copy before a validation copy before a training copy, else the first listed.

    Copies that contradict each other in their label are all dropped: there is no telling which is right.
    """
    copies: dict[str, list[int]] = collections.defaultdict(list)
    for index in usable:
        copies[outcomes[index]].append(index)
    dropped.expect(DUPLICATE, CONTRADICTORY)
    preference = {'test': 0, 'val': 1, 'train': 2, '': 3}
    kept = []
    for same in copies.values():
        same.sort(key=lambda index: (preference[photographs[index].part], index))
        if len({photographs[index].label for index in same}) > 1:
            for index in same:
                dropped.add(CONTRADICTORY, photographs[index].name, photographs[same[0]].name)
            continue
        kept.append(same[0])
        for index in same[1:]:
            dropped.add(DUPLICATE, photographs[index].name, photographs[same[0]].name)
    return sorted(kept)


def _part_data(shards: Shards, photographs: Sequence[Photograph], indices: np.ndarray) -> PartData:
    chosen = [photographs[index] for index in indices]
    return PartData(
        np.array([photograph.label for photograph in chosen]),
        shards.blocks(indices),
        [printable(photograph.name) for photograph in chosen],
        [_pseudonym(photograph.person) for photograph in chosen],
    )


def _pseudonym(person: str) -> str:
    """People are told apart in the data set, not named."""
    return hashlib.sha256(printable(person).encode()).hexdigest()[:16] if person else ''


def _split_rule(listing: Listing, arguments: argparse.Namespace) -> str:
    if listing.photographs[0].part:
        return "the source's own"
    people = (
        'people kept apart'
        if any(photograph.person for photograph in listing.photographs)
        else 'by photograph'
    )
    return f'drawn from seed {arguments.seed}: {arguments.test_fraction:g} for testing, stratified, {people}'


def _first(dropped: Dropped) -> str:
    """The first thing that was left out, as a hint."""
    for reason, name, _ in dropped.rows():
        return f'The first one left out: {printable(name)} ({reason}).'
    return ''


def _report(out: str, description: dict, dropped: Dropped, limit: int = 20) -> None:
    """Every dropped file by name (the first ones here, all in dropped.csv), and the counts, which add up."""
    for number, (reason, name, detail) in enumerate(dropped.rows()):
        if number == limit:
            print(f'skipped {len(dropped) - limit} more: see {out}/dropped.csv', file=sys.stderr)
            break
        print(
            f'skipped {printable(name)}: {reason}' + (f' ({printable(detail)})' if detail else ''),
            file=sys.stderr,
        )
    print(summary(out, description))


def summary(folder: str | os.PathLike, description: dict) -> str:
    """The counts of a data set as text."""
    lines = [
        f'{folder}: {description["name"]}, {description["kind"]}, '
        f'{"x".join(map(str, description["shape"]))}, source {description["source"]}'
    ]
    if 'listed' in description:
        lines.append(f'  {description["listed"]:>8,}  listed')
    lines += [
        f'- {entry["dropped"]:>8,}  {entry["reason"]}'
        for entry in description['filters']
        if entry['dropped']
    ]
    for part in (part for part in PARTS if part in description['counts']):
        counts = description['counts'][part]
        classes = ', '.join(f'{count:,} {name}' for name, count in counts.items())
        lines.append(f'= {sum(counts.values()):>8,}  {part}: {classes}')
    return '\n'.join(lines)
