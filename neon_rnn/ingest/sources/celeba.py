"""Import CelebA (202,599 aligned faces of 10,177 people), from its folder or img_align_celeba.zip and its lists.

Needed: img_align_celeba (or the zip), list_attr_celeba.txt, list_eval_partition.txt (its own split into train, val and
test), and identity_CelebA.txt if there (to check that people are on one side)."""

import argparse
import sys
from pathlib import Path

from neon_rnn.ingest import distribution
from neon_rnn.ingest.source import Dropped, Listing, Photograph
from neon_rnn.support.errors import NeonRnnError

NAME = 'celeba'
CARD = {
    'origin': 'CelebA, Liu, Luo, Wang and Tang, ICCV 2015',
    'terms': 'non-commercial research only',
    'label_meaning': 'attribute Male of the data set, 1 male, -1 female; 0 female, 1 male here',
}
NO_PART = 'in no part of list_eval_partition.txt'
UNKNOWN = 'gender unknown'
_PARTS = {'0': 'train', '1': 'val', '2': 'test'}
_LABELS = {'-1': 0, '1': 1}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of ``data celeba``."""
    distribution.add_arguments(parser)


def run(arguments: argparse.Namespace) -> None:
    """Import."""
    distribution.run(sys.modules[__name__], arguments)


def listing(folders: list[Path], arguments: argparse.Namespace, dropped: Dropped) -> Listing:
    """The rows of list_attr_celeba.txt: a line with their count, a line with the columns, then the rows."""
    path = distribution.need(folders, 'list_attr_celeba.txt')
    images = distribution.need(folders, 'img_align_celeba', 'img_align_celeba_png')
    parts = _pairs(distribution.need(folders, 'list_eval_partition.txt'))
    identities = distribution.find(folders, 'identity_CelebA.txt')
    people = _pairs(identities) if identities else {}
    count, header, *rows = [line.split() for line in distribution.lines(path)] + [[], []]
    rows = [row for row in rows if row]
    if 'Male' not in header or not count or count[0] != str(len(rows)):
        raise NeonRnnError(
            f'{path}: is no whole list_attr_celeba.txt; it says {" ".join(count) or "no"} rows and has '
            f'{len(rows)}, columns {" ".join(header)[:60]!r}. Get it again.'
        )
    column = 1 + header.index('Male')
    dropped.expect(UNKNOWN, NO_PART)
    photographs = []
    for row in rows:
        label = _LABELS.get(row[column] if len(row) > column else '')
        if label is None:
            dropped.add(UNKNOWN, row[0])
        elif parts.get(row[0]) not in _PARTS:
            dropped.add(NO_PART, row[0])
        else:
            photographs.append(
                Photograph(row[0], label, people.get(row[0], ''), _PARTS[parts[row[0]]])
            )
    return Listing(images, photographs, ['female', 'male'])


def _pairs(path: Path) -> dict[str, str]:
    """A list of a file name and a value on each line."""
    pairs = [line.split() for line in distribution.lines(path)]
    return {pair[0]: pair[1] for pair in pairs if len(pair) == 2}
