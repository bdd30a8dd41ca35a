"""Import FairFace (86,744 training and 10,954 validation faces), from its folder or zip.

Needed too: fairface_label_train.csv and fairface_label_val.csv. The validation part becomes the
test part: it is the only other part with labels. The data set names no people."""

import argparse
import os
from collections.abc import Sequence
from pathlib import Path

from neon_rnn.ingest import distribution
from neon_rnn.ingest.settings import ImportSettings
from neon_rnn.ingest.source import Dropped, Listing, Photograph

CARD = {
    'source': 'fairface',
    'origin': 'FairFace, Karkkainen and Joo, WACV 2021',
    'terms': 'CC BY 4.0; photographs from YFCC-100M',
    'label_meaning': 'apparent gender as annotated by people; 0 female, 1 male here',
}
UNKNOWN = 'gender unknown'
_LABELS = {'Female': 0, 'Male': 1}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of ``data fairface``."""
    distribution.add_arguments(parser)


def run(arguments: argparse.Namespace) -> None:
    """Import as the command line says."""
    import_fairface(arguments.source, ImportSettings.of(arguments))


def import_fairface(paths: Sequence[str | os.PathLike], settings: ImportSettings) -> dict:
    """Import the distribution in `paths`; return ``dataset.json``."""
    return distribution.import_distribution(CARD, listing, paths, settings)


def listing(paths: list[Path], dropped: Dropped) -> Listing:
    """List the rows of both CSV files; names read train/1.jpg and val/1.jpg."""
    root = distribution.need(paths, 'train').parent
    dropped.expect(UNKNOWN)
    photographs = []
    for file, part in (('fairface_label_train.csv', 'train'), ('fairface_label_val.csv', 'test')):
        for row in distribution.rows(distribution.need(paths, file), ('file', 'gender')):
            label = _LABELS.get(row['gender'].strip())
            if label is None:
                dropped.add(UNKNOWN, row['file'], row['gender'])
            else:
                photographs.append(Photograph(row['file'], label, part=part))
    return Listing(root, photographs, ['female', 'male'])
