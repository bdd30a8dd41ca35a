"""Import UTKFace (23,708 aligned and cropped faces), from folders or archives.

The labels are in the file names, [age]_[gender]_[race]_[time].jpg. There 0 is male and 1 female,
the opposite of this project's coding. Names that lack a field are dropped and counted."""

import argparse
import os
import re
from collections.abc import Sequence
from pathlib import Path

from neon_rnn.ingest import distribution
from neon_rnn.ingest.settings import ImportSettings
from neon_rnn.ingest.source import Dropped, Listing, Photograph

CARD = {
    'source': 'utkface',
    'origin': 'UTKFace, Zhang, Song and Qi, CVPR 2017',
    'terms': 'non-commercial research; copyright with the owners',
    'label_meaning': 'estimated by an algorithm and checked by people, says the data set; '
    '0 female, 1 male here',
}
MALFORMED = 'malformed file name'
# Some names of the original have a space before the ending, one lacks its dot.
_NAME = re.compile(r'\d{1,3}_([01])_[0-4]_\d+ ?\.?jpg(\.chip\.jpg)?', re.ASCII)
_LABELS = {'0': 1, '1': 0}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of ``data utkface``."""
    distribution.add_arguments(parser)


def run(arguments: argparse.Namespace) -> None:
    """Import as the command line says."""
    import_utkface(arguments.source, ImportSettings.of(arguments))


def import_utkface(paths: Sequence[str | os.PathLike], settings: ImportSettings) -> dict:
    """Import the distribution in `paths`; return ``dataset.json``."""
    return distribution.import_distribution(CARD, listing, paths, settings)


def listing(paths: list[Path], dropped: Dropped) -> Listing:
    """List every .jpg below the folders; UTKFace names no people."""
    folders = [path.resolve() for path in paths if path.is_dir()]
    root = Path(os.path.commonpath(folders or [path.resolve() for path in paths]))
    dropped.expect(MALFORMED)
    photographs = []
    for folder in folders:
        for path in map(folder.joinpath, distribution.files_below(folder)):
            name = str(path.relative_to(root))
            match = _NAME.fullmatch(path.name)
            if match:
                photographs.append(Photograph(name, _LABELS[match.group(1)]))
            elif path.suffix == '.jpg':
                dropped.add(MALFORMED, name)
    return Listing(root, photographs, ['female', 'male'])
