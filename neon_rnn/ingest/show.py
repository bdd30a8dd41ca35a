"""Print what a data set holds and write a contact sheet, a picture to look at."""

import argparse
from pathlib import Path

from neon_rnn.data.dataset import Dataset, open_dataset
from neon_rnn.ingest.contact_sheet import contact_sheet
from neon_rnn.ingest.importer import summary
from neon_rnn.support.files import atomic_file


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of ``data show``."""
    parser.add_argument('folder', metavar='DIR', help='a data set folder')
    add_sheet_arguments(parser)


def add_sheet_arguments(parser: argparse.ArgumentParser) -> None:
    """Where the contact sheet goes and which pictures it shows."""
    parser.add_argument(
        '--sheet', metavar='PNG', help='where to write the sheet (default DIR/contact-sheet.png)'
    )
    parser.add_argument(
        '--sheet-seed', type=int, default=0, metavar='N', help='another seed shows other pictures'
    )


def run(arguments: argparse.Namespace) -> None:
    """Show a data set."""
    dataset = open_dataset(arguments.folder)
    print(summary(arguments.folder, dataset.description))
    print('contact sheet:', write_sheet(dataset, arguments))


def write_sheet(dataset: Dataset, arguments: argparse.Namespace) -> Path:
    """Write the contact sheet; returns its path."""
    path = Path(arguments.sheet or Path(arguments.folder, 'contact-sheet.png'))
    sheet = contact_sheet(dataset, seed=arguments.sheet_seed)
    with atomic_file(path) as file:
        sheet.save(file, 'PNG')
    return path
