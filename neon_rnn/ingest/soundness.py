"""Say whether a data set is sound; the exit status is 0 if it is and 1 if not.

Checked: the files against their hashes and counts, whether listed and dropped photographs add up, whether every class
is in every part, and whether a picture or a person is on both sides of the split. Writes a contact sheet."""

import argparse
import hashlib
from collections.abc import Iterator

import numpy as np
from tqdm import tqdm

from neon_rnn.data.dataset import Dataset, open_dataset
from neon_rnn.data.hdf5 import Part
from neon_rnn.ingest import show
from neon_rnn.ingest.importer import summary


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of ``data verify``."""
    show.add_arguments(parser)


def run(arguments: argparse.Namespace) -> int:
    """Check, report; returns the exit status."""
    dataset = open_dataset(arguments.folder)
    print(summary(arguments.folder, dataset.description))
    for name, part in dataset.parts.items():
        shares = np.bincount(part.labels, minlength=part.nclass) / part.count
        print(
            f'{name}: always answering {dataset.class_names[int(shares.argmax())]!r} is right {shares.max():.1%} of the '
            'time'
        )
    problems = list(check(dataset))
    for problem in problems:
        print('UNSOUND:', problem)
    print('contact sheet:', show.write_sheet(dataset, arguments.sheet, arguments.sheet_seed))
    if not problems:
        print('sound: hashes, counts, classes, no picture and no person on both sides')
    return 1 if problems else 0


def check(dataset: Dataset) -> Iterator[str]:
    """What is wrong with a data set, one line each; hashes and counts were checked when it was opened."""
    description = dataset.description
    if 'listed' in description:
        kept = sum(part.count for part in dataset.parts.values())
        dropped = sum(entry['dropped'] for entry in description['filters'])
        if description['listed'] != kept + dropped:
            yield f'{description["listed"]:,} listed, but {kept:,} kept and {dropped:,} dropped make {kept + dropped:,}'
    for name, part in dataset.parts.items():
        for label, class_name in enumerate(dataset.class_names):
            if not np.any(part.labels == label):
                yield f'{name} has no image of class {class_name!r}'
    pictures = {name: _pictures(name, part) for name, part in dataset.parts.items()}
    people = {name: _people(part) for name, part in dataset.parts.items()}
    names = list(dataset.parts)
    for index, first in enumerate(names):
        if len(set(pictures[first])) < len(pictures[first]):
            yield f'{len(pictures[first]) - len(set(pictures[first])):,} duplicates in {first}'
        for second in names[index + 1 :]:
            for what, of in (('pictures', pictures), ('people', people)):
                both = set(of[first]) & set(of[second])
                if both:
                    yield f'{len(both):,} {what} are in {first} and in {second}'


def _pictures(name: str, part: Part, block: int = 256) -> list[bytes]:
    """The hash of each picture's pixels."""
    hashes = []
    with tqdm(
        total=part.count, unit='image', desc=f'hashing {name}', leave=False, disable=None
    ) as progress:
        for start in range(0, part.count, block):
            rows = part.read(range(start, min(start + block, part.count)))
            hashes += [hashlib.sha256(row).digest()[:16] for row in rows]
            progress.update(len(rows))
    return hashes


def _people(part: Part) -> set[bytes]:
    persons = part.extra('person')
    return set() if persons is None else set(persons.tolist()) - {b''}
