"""Import FairFace (86,744 training and 10,954 validation faces), from its folder or zip and its two CSV files.

Its validation part is the test part here: it is the only other one with labels. The data set names no people."""

import argparse
import sys
from pathlib import Path

from neon_rnn.ingest import distribution
from neon_rnn.ingest.source import Dropped, Listing, Photograph

NAME = 'fairface'
CARD = {
    'origin': 'FairFace, Karkkainen and Joo, WACV 2021',
    'terms': 'CC BY 4.0; photographs from YFCC-100M',
    'label_meaning': 'apparent gender as annotated by people; 0 female, 1 male here',
}
UNKNOWN = 'gender unknown'
_LABELS = {'Female': 0, 'Male': 1}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of ``data fairface``."""
    distribution.add_arguments(parser)


def run(arguments: argparse.Namespace) -> None:
    """Import."""
    distribution.run(sys.modules[__name__], arguments)


def listing(folders: list[Path], arguments: argparse.Namespace, dropped: Dropped) -> Listing:
    """The rows of both CSV files; names read train/1.jpg and val/1.jpg."""
    root = distribution.need(folders, 'train').parent
    dropped.expect(UNKNOWN)
    photographs = []
    for file, part in (('fairface_label_train.csv', 'train'), ('fairface_label_val.csv', 'test')):
        for row in distribution.rows(distribution.need(folders, file), ('file', 'gender')):
            label = _LABELS.get(row['gender'].strip())
            if label is None:
                dropped.add(UNKNOWN, row['file'], row['gender'])
            else:
                photographs.append(Photograph(row['file'], label, part=part))
    return Listing(root, photographs, ['female', 'male'])
