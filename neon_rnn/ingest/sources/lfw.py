"""Import Labeled Faces in the Wild (13,233 faces of 5,749 people), from its folder or archive.

Needed too: male_names.txt and female_names.txt with image names, or lfw_attributes.txt, whose
column Male is positive for a man. A person occurs in several images: the split keeps people in
one part."""

import argparse
import os
from collections.abc import Sequence
from pathlib import Path

from neon_rnn.ingest import distribution
from neon_rnn.ingest.settings import ImportSettings
from neon_rnn.ingest.source import Dropped, Listing, Photograph
from neon_rnn.support.errors import UsageError

CARD = {
    'source': 'lfw',
    'origin': 'Labeled Faces in the Wild, Huang et al., 2007',
    'terms': 'research; press photographs',
    'label_meaning': 'gender lists of the data set, or the sign of the attribute Male; '
    '0 female, 1 male here',
}
UNLISTED = 'in no gender list'
CONTRADICTORY = 'in both gender lists'
UNKNOWN = 'gender unknown'
_FOLDERS = ('lfw', 'lfw-deepfunneled', 'lfw_funneled')


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of ``data lfw``."""
    distribution.add_arguments(parser)


def run(arguments: argparse.Namespace) -> None:
    """Import as the command line says."""
    import_lfw(arguments.source, ImportSettings.of(arguments))


def import_lfw(paths: Sequence[str | os.PathLike], settings: ImportSettings) -> dict:
    """Import the distribution in `paths`; return ``dataset.json``."""
    return distribution.import_distribution(CARD, listing, paths, settings)


def listing(paths: list[Path], dropped: Dropped) -> Listing:
    """List every image of the lists, and those in the folder that no list names."""
    distribution.need(paths, *_FOLDERS)
    attributes = distribution.find(paths, 'lfw_attributes.txt')
    dropped.expect(CONTRADICTORY, UNKNOWN, UNLISTED)
    if distribution.find(paths, 'male_names.txt', 'female_names.txt') or not attributes:
        labels = _from_lists(
            distribution.need(paths, 'female_names.txt'),
            distribution.need(paths, 'male_names.txt'),
            dropped,
        )
    else:
        labels = _from_attributes(attributes, dropped)
    photographs = [
        Photograph(f'{_person(name)}/{name}', label, _person(name))
        for name, label in sorted(labels.items())
        if label is not None
    ]
    names = [photograph.name for photograph in photographs]
    root = distribution.photograph_root(paths, names, *_FOLDERS)
    for path in sorted(root.glob('*/*.jpg')):
        if path.name not in labels:
            dropped.add(UNLISTED, f'{path.parent.name}/{path.name}')
    return Listing(root, photographs, ['female', 'male'])


def _person(image: str) -> str:
    """Return Aaron_Eckhart for Aaron_Eckhart_0001.jpg."""
    return image.rpartition('_')[0]


def _from_lists(female: Path, male: Path, dropped: Dropped) -> dict[str, int | None]:
    """Return the label of each image; None where the lists contradict each other."""
    names = [
        {line.strip() for line in distribution.lines(path) if line.strip()}
        for path in (female, male)
    ]
    labels: dict[str, int | None] = {
        name: label for label, listed in enumerate(names) for name in listed
    }
    for name in sorted(names[0] & names[1]):
        labels[name] = None
        dropped.add(CONTRADICTORY, name)
    return labels


def _from_attributes(path: Path, dropped: Dropped) -> dict[str, int | None]:
    """Read lfw_attributes.txt, which has tabs; its second header line names the columns."""
    rows = [line.split('\t') for line in distribution.lines(path)]
    header = next((row[1:] for row in rows if row[0].strip() == '#' and 'Male' in row), None)
    if header is None or header[:2] != ['person', 'imagenum']:
        raise UsageError(f'{path}: has no line with the columns person, imagenum and Male.')
    labels: dict[str, int | None] = {}
    for row in rows:
        if row[0].startswith('#') or len(row) < 3:
            continue
        name = f'{row[0].replace(" ", "_")}_{int(row[1]):04d}.jpg' if row[1].isdecimal() else row[0]
        try:
            score = float(row[header.index('Male')])
        except (ValueError, IndexError):
            score = 0.0
        labels[name] = None if not score or score != score else int(score > 0)
        if labels[name] is None:
            dropped.add(UNKNOWN, name)
    return labels
