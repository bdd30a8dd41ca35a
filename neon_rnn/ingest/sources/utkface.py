"""Import UTKFace (23,708 aligned and cropped faces), from folders or archives.

The labels are in the file names, [age]_[gender]_[race]_[time].jpg; there 0 is male and 1 female, the opposite of this
project's coding. Names that lack a field are dropped and counted."""

import argparse
import os
import re
import sys
from pathlib import Path

from neon_rnn.ingest import distribution
from neon_rnn.ingest.source import Dropped, Listing, Photograph

NAME = 'utkface'
CARD = {
    'origin': 'UTKFace, Zhang, Song and Qi, CVPR 2017',
    'terms': 'non-commercial research; copyright with the owners',
    'label_meaning': 'estimated by an algorithm and checked by people, says the data set; 0 female, 1 male here',
}
MALFORMED = 'malformed file name'
_NAME = re.compile(r'\d{1,3}_([01])_[0-4]_\d+\.jpg(\.chip\.jpg)?', re.ASCII)
_LABELS = {'0': 1, '1': 0}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of ``data utkface``."""
    distribution.add_arguments(parser)


def run(arguments: argparse.Namespace) -> None:
    """Import."""
    distribution.run(sys.modules[__name__], arguments)


def listing(folders: list[Path], arguments: argparse.Namespace, dropped: Dropped) -> Listing:
    """Every .jpg below the folders; UTKFace names no people."""
    root = Path(os.path.commonpath([folder.resolve() for folder in folders]))
    dropped.expect(MALFORMED)
    photographs = []
    for folder in folders:
        for path in sorted(folder.resolve().rglob('*.jpg')):
            name = str(path.relative_to(root))
            match = _NAME.fullmatch(path.name)
            if match:
                photographs.append(Photograph(name, _LABELS[match.group(1)]))
            else:
                dropped.add(MALFORMED, name)
    return Listing(root, photographs, ['female', 'male'])
