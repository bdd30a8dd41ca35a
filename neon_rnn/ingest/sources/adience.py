"""Import Adience (19,487 faces in its five fold lists, from 2,284 albums).

Needed: its folder ``faces`` or ``aligned``, or the archive, and fold_0_data.txt .. fold_4_data.txt.
The five folds are its protocol: one is the test part, the other four are trained on. A figure to
compare is the mean over --fold 0 to 4."""

import argparse
import os
from collections.abc import Sequence
from pathlib import Path

from neon_rnn.ingest import distribution
from neon_rnn.ingest.settings import ImportSettings
from neon_rnn.ingest.source import Dropped, Listing, Photograph

CARD = {
    'source': 'adience',
    'origin': 'Adience, Eidinger, Enbar and Hassner, IEEE TIFS 2014',
    'terms': 'research; photographs from Flickr',
    'label_meaning': 'annotated by people, m or f; 0 female, 1 male here',
}
UNKNOWN = 'gender unknown'
MALFORMED = 'malformed line'
FOLDS = range(5)
_LABELS = {'f': 0, 'm': 1}
_COLUMNS = ('user_id', 'original_image', 'face_id', 'gender')
_PREFIXES = {'faces': 'coarse_tilt_aligned_face', 'aligned': 'landmark_aligned_face'}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of ``data adience``."""
    distribution.add_arguments(parser)
    parser.add_argument(
        '--fold', type=int, default=0, choices=FOLDS, help='the fold to test on (default 0)'
    )


def run(arguments: argparse.Namespace) -> None:
    """Import as the command line says."""
    import_adience(arguments.source, ImportSettings.of(arguments), arguments.fold)


def import_adience(
    paths: Sequence[str | os.PathLike], settings: ImportSettings, fold: int = 0
) -> dict:
    """Import the distribution in `paths`, tested on `fold`; return ``dataset.json``."""
    return distribution.import_distribution(
        CARD, lambda found, dropped: listing(found, fold, dropped), paths, settings
    )


def listing(paths: list[Path], fold: int, dropped: Dropped) -> Listing:
    """List the rows of the five files; an album (user_id) counts as a person."""
    folder = distribution.need(paths, *_PREFIXES)
    prefix = _PREFIXES.get(folder.name, _PREFIXES['faces'])
    dropped.expect(MALFORMED, UNKNOWN)
    photographs = []
    for number in FOLDS:
        path = distribution.need(paths, f'fold_{number}_data.txt')
        for line, row in enumerate(distribution.rows(path, _COLUMNS, '\t'), start=2):
            user, image, face, gender = (row[column].strip() for column in _COLUMNS)
            name = f'{user}/{prefix}.{face}.{image}'
            if not (user and image and face):
                dropped.add(MALFORMED, f'{path.name} line {line}')
            elif gender not in _LABELS:
                dropped.add(UNKNOWN, name, gender)
            else:
                part = 'test' if number == fold else 'train'
                photographs.append(Photograph(name, _LABELS[gender], user, part))
    names = [photograph.name for photograph in photographs]
    root = distribution.photograph_root(paths, names, folder.name)
    return Listing(root, photographs, ['female', 'male'])
