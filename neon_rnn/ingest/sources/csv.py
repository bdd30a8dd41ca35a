"""Make a data set from photographs whose labels stand in a CSV file.

    neon_rnn data csv labels.csv --images photos --image_column file --label_column gender \\
        --split_column part --person_column who --out data/mine

The file begins with a line of column names. Each further line names a photograph, relative to the
folder of --images, and its label. --split_column holds train, test or val (also training,
validation ...); without it the split is random. --person_column keeps the photographs of a person
in one part. Lines that cannot be used are named and counted (dropped.csv)."""

import argparse
import os
from collections.abc import Sequence
from pathlib import Path

from neon_rnn.ingest import classes as class_choice
from neon_rnn.ingest import distribution, settings
from neon_rnn.ingest.importer import import_photographs
from neon_rnn.ingest.settings import ImportSettings
from neon_rnn.ingest.source import Dropped, Listing, Photograph
from neon_rnn.ingest.sources.folder import PARTS
from neon_rnn.support.errors import UsageError
from neon_rnn.support.wording import counted

CARD = {
    'source': 'csv',
    'origin': 'photographs with labels in a CSV file',
    'terms': 'those of the owners of the photographs',
    'label_meaning': 'the label in the file',
}
NO_NAME = 'line without the name of a photograph'
NO_LABEL = 'line without a label'
OTHER_LABEL = 'label of another class'
NO_PART = 'line without a known part'


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of ``data csv``."""
    add = parser.add_argument
    add('labels', metavar='LABELS.csv', help='a table with a line of column names')
    add('--images', metavar='DIR', required=True, help='the folder that the names are relative to')
    add('--image_column', default='image', metavar='NAME', help='default: %(default)s')
    add('--label_column', default='label', metavar='NAME', help='default: %(default)s')
    add('--split_column', metavar='NAME', help='train, test or val (default: a random split)')
    add('--person_column', metavar='NAME', help='who is shown (default: not known)')
    add('--delimiter', default=',', metavar='CHARACTER', help='between columns (default: a comma)')
    class_choice.add_option(parser, 'labels')
    settings.add_arguments(parser)


def run(arguments: argparse.Namespace) -> None:
    """Import as the command line says."""
    import_csv(
        arguments.labels,
        arguments.images,
        ImportSettings.of(arguments),
        image_column=arguments.image_column,
        label_column=arguments.label_column,
        split_column=arguments.split_column,
        person_column=arguments.person_column,
        classes=arguments.classes,
        delimiter=arguments.delimiter,
    )


def import_csv(
    labels: str | os.PathLike,
    images: str | os.PathLike,
    settings: ImportSettings,
    image_column: str = 'image',
    label_column: str = 'label',
    split_column: str | None = None,
    person_column: str | None = None,
    classes: Sequence[str] | None = None,
    delimiter: str = ',',
) -> dict:
    """Import the photographs that a CSV file lists.

    Parameters
    ----------
    labels : path
        The CSV file, UTF-8, with a line of column names.
    images : path
        The folder that the names in the file are relative to.
    settings : ImportSettings
    image_column, label_column : str
        The columns of the photograph's name and of its label.
    split_column, person_column : str, optional
        The columns of the part and of the person shown.
    classes : sequence of str, optional
        The labels to use, in the order of the class indices.
    delimiter : str
        The character between the columns.

    Returns
    -------
    dict
        ``dataset.json``.

    Raises
    ------
    UsageError
        A file, folder or column is missing, there are not two classes, or see
        `import_photographs`.
    """
    path, root = Path(labels), Path(images)
    if not path.is_file():
        raise UsageError(f'{path}: there is no such file.')
    if not root.is_dir():
        raise UsageError(f'--images {root}: there is no such folder.')
    if len(delimiter) != 1:
        raise UsageError(f'--delimiter {delimiter!r}: has to be one character.')
    columns = [image_column, label_column, *filter(None, (split_column, person_column))]

    def listing(work: Path, dropped: Dropped) -> Listing:
        rows = list(distribution.rows(path, columns, delimiter))
        found = sorted({row[label_column].strip() for row in rows} - {''})
        chosen = _checked(path, label_column, found, classes)
        splits = (
            [PARTS.get(row[split_column].strip().casefold()) for row in rows]
            if split_column
            else [''] * len(rows)
        )
        if split_column and 'test' not in splits:  # as for the folders of parts
            splits = ['test' if part == 'val' else part for part in splits]
        photographs = []
        dropped.expect(NO_NAME, NO_LABEL)
        for number, (row, part) in enumerate(zip(rows, splits, strict=True), 2):
            name, label = row[image_column].strip(), row[label_column].strip()
            if not name:
                dropped.add(NO_NAME, f'{path.name}, row {number}')
            elif not label:
                dropped.add(NO_LABEL, name)
            elif label not in chosen:
                dropped.add(OTHER_LABEL, name, label)
            elif part is None:
                dropped.add(NO_PART, name, row[split_column or ''].strip())
            else:
                person = row[person_column].strip() if person_column else ''
                photographs.append(Photograph(name, chosen.index(label), person, part))
        return Listing(root, photographs, chosen)

    return import_photographs(CARD, listing, settings)


def _checked(path: Path, column: str, found: list[str], classes: Sequence[str] | None) -> list[str]:
    """Return the classes to use; refuse those that no line has, and fewer than two."""
    chosen = class_choice.choose(found, classes, 'label', path)
    if len(chosen) < 2:
        raise UsageError(
            f'{path}: the column {column!r} holds {counted(len(chosen), "label")}'
            f'{" (" + chosen[0] + ")" if chosen else ""}; two or more are needed.'
        )
    return chosen
