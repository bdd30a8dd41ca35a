"""Regenerate the comparison table, the plots and the page from the run records.

Writes TABLE.md, table.csv, table.json, report.html and plots/ into the folder named by --out. The same records always
give the same files; with --check nothing is written, and the command ends with status 1 if the files there are others.
"""

import argparse
import sys
from pathlib import Path

from neon_rnn import report
from neon_rnn.support import paths
from neon_rnn.support.errors import NeonRnnError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of the command."""
    parser.add_argument(
        '--runs',
        type=Path,
        default=Path(paths.in_home('results/runs')),
        metavar='FOLDER',
        help='the folder of run folders (default: %(default)s)',
    )
    parser.add_argument(
        '--out',
        type=Path,
        default=Path(paths.in_home('results')),
        metavar='FOLDER',
        help='where the files go (default: %(default)s)',
    )
    parser.add_argument(
        '--check', action='store_true', help='compare with the files that are there, write nothing'
    )


def run(arguments: argparse.Namespace) -> None:
    """Make the files, or compare them."""
    report.check_matplotlib()
    from neon_rnn.report import build, table  # matplotlib takes a second to load

    choice, files = build.build(arguments.runs, arguments.out)
    if arguments.check:
        differences = build.differences(files, arguments.out)
        if differences:
            raise NeonRnnError(
                'the report is not what the records give: {}. Regenerate it: ./run.sh table --runs {} '
                '--out {}'.format('; '.join(differences), arguments.runs, arguments.out)
            )
        print(f'{arguments.out}: all {len(files)} files are what the records give.')
        return
    build.write(files, arguments.out)
    data = table.table_data(choice)
    print(summary(data))
    collection = choice.collection
    for folder, reason in collection.unreadable + collection.duplicates:
        print(f'left out: {arguments.runs / folder}: {reason}', file=sys.stderr)
    if collection.unreadable or collection.duplicates:
        print(
            'The table says so too; restore these records, or remove their folders.',
            file=sys.stderr,
        )
    print(f'{len(collection.runs)} records; wrote {", ".join(sorted(files))} to {arguments.out}')


def summary(data: dict) -> str:
    """The eleven rows as lines for a terminal.

    Parameters
    ----------
    data
        What `table.table_data` returns.
    """
    from neon_rnn.report.table import accuracy_text, number, signed

    lines = [f'{"row":<22}{"published":>10}{"ours":>16}{"difference":>12}  status']
    lines += [
        f'{row["row"]:<22}{number(row["published_accuracy"]):>10}{accuracy_text(row):>16}'
        f'{signed(row["difference"]):>12}  {row["status"]}'
        for row in data['rows'] + data['beside']
    ]
    return '\n'.join(lines)
