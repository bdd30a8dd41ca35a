"""The way of every source into a data set folder: list, decode, select, write."""

import contextlib
import hashlib
import os
import shutil
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path, PurePosixPath

import numpy as np

from neon_rnn.data import images
from neon_rnn.data.dataset import PARTS
from neon_rnn.ingest.output import PartData, check_out, write_dataset
from neon_rnn.ingest.selection import select
from neon_rnn.ingest.settings import ImportSettings
from neon_rnn.ingest.source import Dropped, Listing, Photograph, printable
from neon_rnn.ingest.spool import Decoded, Outcome, Spool
from neon_rnn.support.errors import NeonRnnError, UsageError
from neon_rnn.support.files import folder_lock, make_folder

OUTSIDE = 'name points outside the folder'
#: Above this share of files that cannot be read, the report ends with a warning.
MISSING_SHARE = 0.05
ETHICS = (
    "Labels are the two values that the source gives. They do not state anybody's gender, which a "
    'photograph cannot show. For reproducing a published experiment, not for decisions about '
    'people.'
)


def import_photographs(
    card: dict[str, str],
    list_photographs: Callable[[Path, Dropped], Listing],
    settings: ImportSettings,
) -> dict:
    """Make a data set of the photographs that a source lists, and print what became of them.

    Parameters
    ----------
    card : dict
        The source's entries of ``dataset.json``: ``source``, ``origin``, ``terms``,
        ``label_meaning``.
    list_photographs : callable
        Gets the work folder, for what it unpacks, and a `Dropped`; returns a `Listing`.
    settings : ImportSettings

    Returns
    -------
    dict
        ``dataset.json``.

    Raises
    ------
    UsageError
        The source is not such a distribution or has no usable photographs, or a data set is
        there already.
    NeonRnnError
        The disk is full, or another process imports to the same place. Finished work is kept
        for the next attempt.
    """
    check_out(settings.out, settings.force)
    with _work_folder(settings.out) as work:
        dropped = Dropped()
        listing = list_photographs(work, dropped)
        _drop_outside(listing, dropped)
        listed = len(listing.photographs) + len(dropped)
        if not listing.photographs:
            raise UsageError(
                f'{listing.root}: no usable photographs among {listed} listed files. '
                f'{dropped.main_reason()}'
            )
        names = [photograph.name for photograph in listing.photographs]
        spool = Spool(work / 'spool', listing.root, names, settings.preprocessing())
        outcomes = spool.decode(settings.workers)
        parts = select(listing, outcomes, spool, settings, dropped)
        kept = [index for part in parts.values() for index in part]
        if listed != len(kept) + len(dropped):
            raise NeonRnnError(
                f'{listing.root}: {listed} photographs were listed, but {len(kept)} kept and '
                f'{len(dropped)} left out. This is a fault of neon_rnn; please report it.'
            )
        description = write_dataset(
            settings.out,
            {
                name: _part_data(spool, listing.photographs, indices)
                for name, indices in parts.items()
            },
            (3, settings.size, settings.size),
            {
                'name': printable(Path(os.path.abspath(settings.out)).name),
                'kind': 'photographs',
                'class_names': [printable(name) for name in listing.class_names],
                'seed': settings.seed,
                'listed': listed,
                'filters': dropped.filters(),
                'split': _split_rule(listing, settings),
                'note': ETHICS,
                **_originals([outcomes[index] for index in kept], settings),
                **card,
            },
            dropped.csv(),
        )
    _report(settings.out, description, dropped, len(names))
    return description


def _drop_outside(listing: Listing, dropped: Dropped) -> None:
    """Drop names that leave the folder: a list of names cannot be trusted either."""
    inside = []
    for photograph in listing.photographs:
        path = PurePosixPath(photograph.name)
        if path.is_absolute() or '..' in path.parts or '\0' in photograph.name:
            dropped.add(OUTSIDE, photograph.name)
        else:
            inside.append(photograph)
    listing.photographs = inside


@contextlib.contextmanager
def _work_folder(out: str | os.PathLike) -> Iterator[Path]:
    """Hold the folder of unfinished work, ``OUT.import``, for this process.

    It is removed at the end. After a failure it stays if it holds finished work.
    """
    work = Path(os.path.abspath(out) + '.import')
    make_folder(work)
    with folder_lock(work, 'importing'):
        try:
            yield work
        except BaseException:
            pixels = work / 'spool/pixels'
            if pixels.exists() and pixels.stat().st_size or any(work.glob('unpacked/*.json')):
                print(
                    f'{work} keeps what is finished; the same command continues there. '
                    'Remove the folder if you do not need it.',
                    file=sys.stderr,
                )
            else:
                shutil.rmtree(work, ignore_errors=True)
            raise
        shutil.rmtree(work, ignore_errors=True)


def _part_data(spool: Spool, photographs: Sequence[Photograph], indices: np.ndarray) -> PartData:
    chosen = [photographs[index] for index in indices]
    return PartData(
        np.array([photograph.label for photograph in chosen]),
        spool.blocks(indices),
        [printable(photograph.name) for photograph in chosen],
        [_pseudonym(photograph.person) for photograph in chosen],
    )


def _pseudonym(person: str) -> str:
    """Return a hash of a person's identifier: data sets do not name people."""
    return hashlib.sha256(printable(person).encode()).hexdigest()[:16] if person else ''


def _split_rule(listing: Listing, settings: ImportSettings) -> str:
    if listing.photographs[0].part:
        return "the source's own"
    named = any(photograph.person for photograph in listing.photographs)
    people = 'people kept apart' if named and settings.split == 'people' else 'by photograph'
    validation = f'{settings.val_fraction:g} for validation, ' if settings.val_fraction else ''
    return (
        f'random with seed {settings.seed}: {settings.test_fraction:g} for testing, {validation}'
        f'stratified, {people}'
    )


def _originals(kept: Sequence[Outcome], settings: ImportSettings) -> dict:
    """Return the entries about the size of the source's photographs, a median, and its change."""
    sizes = [(outcome.height, outcome.width) for outcome in kept if isinstance(outcome, Decoded)]
    height, width = (int(side) for side in np.median(sizes, axis=0))
    enlarged = settings.size > settings.centre * min(height, width)
    originals = f'{height}x{width} originals' + (' enlarged' if enlarged else '')
    return {
        'source_size': [height, width],
        'preprocessing': {**settings.preprocessing().describe(), 'originals': originals},
    }


def _report(out: str, description: dict, dropped: Dropped, read: int, limit: int = 20) -> None:
    """Print the first dropped files and the counts, which add up; dropped.csv names all files."""
    for number, (reason, name, detail) in enumerate(dropped.rows()):
        if number == limit:
            print(f'skipped {len(dropped) - limit} more: see {out}/dropped.csv', file=sys.stderr)
            break
        print(
            f'skipped {printable(name)}: {reason}' + (f' ({printable(detail)})' if detail else ''),
            file=sys.stderr,
        )
    print(summary(out, description))
    missing = dropped.count(images.UNREADABLE)
    if missing > MISSING_SHARE * read:
        print(
            f'warning: {missing:,} of {read:,} photographs ({missing / read:.1%}) are missing or '
            'cannot be read. Check that the source is complete.',
            file=sys.stderr,
        )


def summary(folder: str | os.PathLike, description: dict) -> str:
    """Return the counts of a data set as text."""
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
