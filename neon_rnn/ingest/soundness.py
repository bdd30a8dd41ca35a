"""Say whether a data set is sound; the exit status is 0 if it is and 1 if not.

Checked: the files against their hashes and counts, the sum of listed and dropped photographs, the
classes of each part, and that no picture and no person is in two parts. Near copies in two parts
are counted too, without judgement: look at them. Writes a contact sheet."""

import argparse
import hashlib
import itertools
from collections.abc import Iterator

import numpy as np
from tqdm import tqdm

from neon_rnn.data.dataset import Dataset, open_dataset
from neon_rnn.data.hdf5 import Part
from neon_rnn.ingest import show
from neon_rnn.ingest.importer import summary
from neon_rnn.ingest.near_duplicates import near_groups, signature


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of ``data verify``."""
    show.add_arguments(parser)


def run(arguments: argparse.Namespace) -> int:
    """Check and report; return the exit status."""
    dataset = open_dataset(arguments.folder)
    print(summary(arguments.folder, dataset.description))
    for name, part in dataset.parts.items():
        shares = np.bincount(part.labels, minlength=part.nclass) / part.count
        print(
            f'{name}: always answering {dataset.class_names[int(shares.argmax())]!r} is right '
            f'{shares.max():.1%} of the time'
        )
    problems = list(check(dataset))
    for problem in problems:
        print('UNSOUND:', problem)
    for note in near_copies(dataset):
        print('NEAR COPIES:', note)
    print('contact sheet:', show.write_sheet(dataset, arguments.sheet, arguments.sheet_seed))
    if not problems:
        hashes = 'hashes, ' if set(dataset.sha256()) <= set(dataset.stated_sha256) else ''
        print(f'sound: {hashes}counts, classes, no picture and no person on both sides')
        if not hashes:
            print('dataset.json states no hashes, so the files may have been changed')
    return 1 if problems else 0


def check(dataset: Dataset) -> Iterator[str]:
    """Yield a line for each fault; hashes and counts were checked when the set was opened."""
    description = dataset.description
    if 'listed' in description:
        kept = sum(part.count for part in dataset.parts.values())
        dropped = sum(entry['dropped'] for entry in description['filters'])
        if description['listed'] != kept + dropped:
            yield (
                f'{description["listed"]:,} listed, but {kept:,} kept and {dropped:,} dropped make '
                f'{kept + dropped:,}'
            )
    for name, part in dataset.parts.items():
        for label, class_name in enumerate(dataset.class_names):
            if not np.any(part.labels == label):
                yield f'{name} has no image of class {class_name!r}'
    pictures = {
        name: [
            hashlib.sha256(row.tobytes()).digest()[:16] for row in _rows(part, f'hashing {name}')
        ]
        for name, part in dataset.parts.items()
    }
    people = {name: _people(part) for name, part in dataset.parts.items()}
    for name, hashes in pictures.items():
        if len(set(hashes)) < len(hashes):
            yield f'{len(hashes) - len(set(hashes)):,} duplicates in {name}'
    for first, second in itertools.combinations(dataset.parts, 2):
        for what, of in (('pictures', pictures), ('people', people)):
            both = set(of[first]) & set(of[second])
            if both:
                yield f'{len(both):,} {what} are in {first} and in {second}'


def near_copies(dataset: Dataset) -> Iterator[str]:
    """Yield a line for each two parts that hold near copies of the same pictures."""
    names, parts = list(dataset.parts), list(dataset.parts.values())
    counts = [part.count for part in parts]
    owner = np.repeat(np.arange(len(parts)), counts)
    place = np.concatenate([np.arange(count) for count in counts])
    signatures = [
        signature(row.reshape(dataset.shape))
        for name, part in dataset.parts.items()
        for row in _rows(part, f'comparing {name}')
    ]
    groups = near_groups(
        np.array(signatures),
        lambda pair: np.concatenate([parts[owner[k]].read([place[k]]) for k in pair]),
    )
    for first, second in itertools.combinations(range(len(parts)), 2):
        copies = [
            (members[owner[members] == first][0], k)
            for members in map(np.array, groups)
            if len(members) > 1 and first in owner[members]
            for k in members[owner[members] == second]
        ]
        if copies:
            copied, copy = (_file(parts[owner[k]], place[k]) for k in copies[0])
            yield (
                f'{len(copies):,} pictures of {names[second]} are near copies of pictures of '
                f'{names[first]}, such as {copy} of {copied}'
            )


def _file(part: Part, index: int) -> str:
    """Return the name of the file that an image came from, or its index."""
    files = part.extra('source_file')
    return f'image {index}' if files is None else files[index].decode('utf-8', 'replace')


def _rows(part: Part, task: str, block: int = 256) -> Iterator[np.ndarray]:
    """Yield the images of a part one by one, showing the progress."""
    with tqdm(total=part.count, unit='image', desc=task, leave=False, disable=None) as progress:
        for start in range(0, part.count, block):
            yield from part.read(range(start, min(start + block, part.count)))
            progress.update(min(block, part.count - start))


def _people(part: Part) -> set[bytes]:
    persons = part.extra('person')
    return set() if persons is None else set(persons.tolist()) - {b''}
