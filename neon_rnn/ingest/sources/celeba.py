"""Import CelebA (202,599 aligned faces of 10,177 people).

Needed: img_align_celeba or its zip, list_attr_celeba.txt, and list_eval_partition.txt, which has
the data set's own split into train, val and test. identity_CelebA.txt is used if it is there, to
check that people are in one part. The lists may also be Kaggle's .csv files."""

import argparse
import os
from collections.abc import Sequence
from pathlib import Path

from neon_rnn.ingest import distribution
from neon_rnn.ingest.settings import ImportSettings
from neon_rnn.ingest.source import Dropped, Listing, Photograph
from neon_rnn.support.errors import NeonRnnError

CARD = {
    'source': 'celeba',
    'origin': 'CelebA, Liu, Luo, Wang and Tang, ICCV 2015',
    'terms': 'non-commercial research only',
    'label_meaning': 'attribute Male of the data set, 1 male, -1 female; 0 female, 1 male here',
}
NO_PART = 'in no part of list_eval_partition.txt'
UNKNOWN = 'gender unknown'
_FOLDERS = ('img_align_celeba', 'img_align_celeba_png')
_PARTS = {'0': 'train', '1': 'val', '2': 'test'}
_LABELS = {'-1': 0, '1': 1}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of ``data celeba``."""
    distribution.add_arguments(parser)


def run(arguments: argparse.Namespace) -> None:
    """Import as the command line says."""
    import_celeba(arguments.source, ImportSettings.of(arguments))


def import_celeba(paths: Sequence[str | os.PathLike], settings: ImportSettings) -> dict:
    """Import the distribution in `paths`; return ``dataset.json``."""
    return distribution.import_distribution(CARD, listing, paths, settings)


def listing(paths: list[Path], dropped: Dropped) -> Listing:
    """List the rows of list_attr_celeba."""
    attributes = distribution.need(paths, 'list_attr_celeba.txt', 'list_attr_celeba.csv')
    distribution.need(paths, *_FOLDERS)
    genders = _genders(attributes)
    parts = _pairs(distribution.need(paths, 'list_eval_partition.txt', 'list_eval_partition.csv'))
    identities = distribution.find(paths, 'identity_CelebA.txt', 'identity_CelebA.csv')
    people = _pairs(identities) if identities else {}
    dropped.expect(UNKNOWN, NO_PART)
    photographs = []
    for name, gender in genders:
        if gender not in _LABELS:
            dropped.add(UNKNOWN, name)
        elif parts.get(name) not in _PARTS:
            dropped.add(NO_PART, name)
        else:
            photographs.append(
                Photograph(name, _LABELS[gender], people.get(name, ''), _PARTS[parts[name]])
            )
    # The folder with PNG files has the listed names with another ending.
    for suffix in ('.jpg', '.png'):
        renamed = [
            Photograph(str(Path(each.name).with_suffix(suffix)), each.label, each.person, each.part)
            for each in photographs
        ]
        root = distribution.photograph_root(paths, [each.name for each in renamed], *_FOLDERS)
        if any((root / each.name).is_file() for each in renamed[:100]):
            return Listing(root, renamed, ['female', 'male'])
    return Listing(root, photographs, ['female', 'male'])


def _genders(path: Path) -> list[tuple[str, str]]:
    """Return each name and its attribute Male.

    The original list has a line with the count, a line with the columns, then the rows. Kaggle's
    has a header and commas.

    Raises
    ------
    NeonRnnError
        The list is cut short.
    """
    if path.suffix == '.csv':
        return [
            (row['image_id'], row['Male'].strip())
            for row in distribution.rows(path, ('image_id', 'Male'))
        ]
    count, header, *rows = [line.split() for line in distribution.lines(path)] + [[], []]
    rows = [row for row in rows if row]
    if 'Male' not in header or not count or count[0] != str(len(rows)):
        raise NeonRnnError(
            f'{path}: is not a whole list_attr_celeba.txt; it says {" ".join(count) or "no"} rows '
            f'and has {len(rows)}, columns {" ".join(header)[:60]!r}. Get it again.'
        )
    column = 1 + header.index('Male')
    return [(row[0], row[column] if len(row) > column else '') for row in rows]


def _pairs(path: Path) -> dict[str, str]:
    """Return a list of a file name and a value on each line as a dict."""
    pairs = [line.replace(',', ' ').split() for line in distribution.lines(path)]
    return {pair[0]: pair[1] for pair in pairs if len(pair) == 2}
