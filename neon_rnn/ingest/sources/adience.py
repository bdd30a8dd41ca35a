"""Import Adience (26,580 faces from 2,284 albums), from its folder or archive and fold_0_data.txt .. fold_4_data.txt.

The five folds are its protocol: one is the test part, the other four are trained on; a figure to compare is the mean
over --fold 0 to 4."""

import argparse
import sys
from pathlib import Path

from neon_rnn.ingest import distribution
from neon_rnn.ingest.source import Dropped, Listing, Photograph

NAME = 'adience'
CARD = {
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
    """The options of ``data adience``."""
    distribution.add_arguments(parser)
    parser.add_argument(
        '--fold', type=int, default=0, choices=FOLDS, help='the fold to test on (default 0)'
    )


def run(arguments: argparse.Namespace) -> None:
    """Import."""
    distribution.run(sys.modules[__name__], arguments)


def listing(folders: list[Path], arguments: argparse.Namespace, dropped: Dropped) -> Listing:
    """The rows of the five files; an album (user_id) counts as a person."""
    root = distribution.need(folders, *_PREFIXES)
    dropped.expect(MALFORMED, UNKNOWN)
    photographs = []
    for fold in FOLDS:
        path = distribution.need(folders, f'fold_{fold}_data.txt')
        for number, row in enumerate(distribution.rows(path, _COLUMNS, '\t'), start=2):
            user, image, face, gender = (row[column].strip() for column in _COLUMNS)
            name = f'{user}/{_PREFIXES.get(root.name, _PREFIXES["faces"])}.{face}.{image}'
            if not (user and image and face):
                dropped.add(MALFORMED, f'{path.name} line {number}')
            elif gender not in _LABELS:
                dropped.add(UNKNOWN, name, gender)
            else:
                photographs.append(
                    Photograph(
                        name, _LABELS[gender], user, 'test' if fold == arguments.fold else 'train'
                    )
                )
    return Listing(root, photographs, ['female', 'male'])
