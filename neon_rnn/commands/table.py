"""Regenerate the comparison table, the plots and the page from the run records.

Writes TABLE.md, table.csv, table.json, report.html and plots/ into the folder named by --out. The
same records always give the same files. With --check nothing is written, and the command ends with
status 1 if the files there differ.
"""

import sys
from pathlib import Path

from neon_rnn.commands import options
from neon_rnn.support import paths
from neon_rnn.support.errors import NeonRnnError


def add_arguments(parser):
    """Add the folders, and the choice to compare only."""
    parser.add_argument(
        '--runs',
        default=paths.in_home('results/runs'),
        metavar='FOLDER',
        help='the folder of run folders (default: %(default)s)',
    )
    options.add_out(parser, paths.in_home('results'), 'for the files')
    parser.add_argument(
        '--check', action='store_true', help='compare with the files that are there, write nothing'
    )


def run(arguments):
    """Write the files, or compare them."""
    (check if arguments.check else write)(arguments.runs, arguments.out)


def write(runs, out):
    """Write the report of the records in the folder `runs` into the folder `out`.

    Raises
    ------
    UsageError
        There is no such folder of runs, or matplotlib is missing.
    NeonRnnError
        A file cannot be written.
    """
    runs, out = Path(runs), Path(out)
    build, files, choice = _built(runs, out)
    build.write(files, out)
    print(build.summary(choice))
    collection = choice.collection
    for folder, reason in collection.unreadable + collection.duplicates:
        sys.stderr.write('left out: {}: {}\n'.format(runs / folder, reason))
    if collection.unreadable or collection.duplicates:
        sys.stderr.write('The table says so too; restore these records, or remove their folders.\n')
    names = ', '.join(sorted(files))
    print('{} records; wrote {} to {}'.format(len(collection.runs), names, out))


def check(runs, out):
    """Compare the files in `out` with what the records give.

    Raises
    ------
    UsageError
        There is no such folder of runs, or matplotlib is missing.
    NeonRnnError
        A file differs or is missing; names each.
    """
    runs, out = Path(runs), Path(out)
    build, files, _ = _built(runs, out)
    differences = build.differences(files, out)
    if differences:
        raise NeonRnnError(
            'the report is not what the records give: {}. Regenerate it: ./run.sh table --runs {} '
            '--out {}'.format('; '.join(differences), runs, out)
        )
    print('{}: all {} files are what the records give.'.format(out, len(files)))


def _built(runs, out):
    """Return the module `report.build`, the files that it makes, and the choice of runs in them."""
    from neon_rnn import report  # modern Python, which the container does not have

    report.check_matplotlib()
    from neon_rnn.report import build  # matplotlib takes a second to load

    choice, files = build.build(runs, out)
    return build, files, choice
