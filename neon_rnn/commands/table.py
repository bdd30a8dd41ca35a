"""Make the comparison table, the plots and the page from the run records.

    neon_rnn table                your runs beside the published ones, in results/own
    neon_rnn table --published    the published runs alone: the files in results that git tracks
    neon_rnn table --check        compare these files with what their records give; write nothing

Writes TABLE.md, table.csv, table.json, report.html and plots/. The same records always give the
same files.
"""

import os
import sys
from pathlib import Path

from neon_rnn.support import paths
from neon_rnn.support.errors import NeonRnnError


def add_arguments(parser):
    """Add the choice of runs, and the folders."""
    parser.add_argument(
        '--published', action='store_true', help='the published runs alone, into results'
    )
    parser.add_argument(
        '--check',
        action='store_true',
        help='compare the published files with their records; status 1 if they differ',
    )
    parser.add_argument(
        '--runs', metavar='FOLDER', help='another folder of runs, without those of the repository'
    )
    parser.add_argument('--out', metavar='FOLDER', help='another folder for the files')


def run(arguments):
    """Write the files, or compare them."""
    published, own = paths.in_home(paths.PUBLISHED_RUNS), paths.in_home(paths.OWN_RUNS)
    alone = arguments.published or arguments.check
    runs = arguments.runs or (published if alone else own)
    out = arguments.out or os.path.dirname(published if alone else own)
    if arguments.check:
        check(runs, out)
    elif alone or arguments.runs:
        write(runs, out)
    else:
        write_beside_published(runs, out)


def write_beside_published(runs, out):
    """Write the report of the runs in a folder and of the published ones, see `write`."""
    published = paths.in_home(paths.PUBLISHED_RUNS)
    others = [published] if os.path.isdir(published) else []
    if os.path.isdir(runs) or not others:
        write(runs, out, *[other for other in others if not _same(other, runs)])
    else:
        write(published, out)


def _same(one, other):
    return os.path.realpath(one) == os.path.realpath(other)


def write(runs, out, *others):
    """Write the report of the records in the folder `runs`, and in other ones, into `out`.

    Raises
    ------
    UsageError
        There is no such folder of runs, or matplotlib is missing.
    NeonRnnError
        A file cannot be written.
    """
    runs, out = Path(runs), Path(out)
    build, files, choice = _built(runs, out, *map(Path, others))
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


def _built(runs, out, *others):
    """Return the module `report.build`, the files that it makes, and the choice of runs in them."""
    from neon_rnn import report  # modern Python, which the container does not have

    report.check_matplotlib()
    from neon_rnn.report import build  # matplotlib takes a second to load

    choice, files = build.build(runs, out, *others)
    return build, files, choice
