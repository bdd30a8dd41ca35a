"""Measure a trained run on a data set: accuracy with its 95% interval, classes, confusion matrix.

neon_rnn evaluate results/own/runs/<run id> --data data/faces --json figures.json --png plot.png
neon_rnn evaluate results/own/runs/<run id> --worst 24

--worst writes a sheet of the pictures with the highest probability of a wrong class, into
results/own/worst, which git ignores: it can show photographs of people.
"""

import argparse
import importlib
import os
import sys

from neon_rnn.commands import options
from neon_rnn.data import dataset
from neon_rnn.runs import evaluation, trained_run
from neon_rnn.support import paths
from neon_rnn.support.errors import UsageError
from neon_rnn.support.files import check_writable, write_json

#: Below `paths.home`: where sheets go by default.
OWN_SHEETS = os.path.join('results', 'own', 'worst')


def add_arguments(parser):
    """Add the run, the data to measure it on, and the files to write."""
    add = parser.add_argument
    add('run', metavar='RUN', help='a run folder with its checkpoint')
    add('--data', metavar='DIR', help='a data set folder (default: the one it was trained on)')
    add('--part', default='test', choices=dataset.PARTS, help='default: %(default)s')
    options.add_engine(parser, trained=True)
    options.add_backend(parser)
    options.add_precision(parser)
    add('-z', '--batch_size', type=int, metavar='N', help='images at a time (default: as trained)')
    add('--json', metavar='FILE', help='write the figures as JSON')
    add('--png', metavar='FILE', help='plot the confusion matrix (needs matplotlib)')
    add('--worst', type=_count, metavar='N', help='write a sheet of the N most wrong pictures')
    add('--sheet', metavar='FILE', help='the sheet of --worst (default: below results/own/worst)')


def _count(text):
    """Read a number of at least 1 and at most 600, which one picture can hold."""
    if not text.isdigit() or not 1 <= int(text) <= 600:
        raise argparse.ArgumentTypeError('{}: has to be from 1 to 600'.format(text))
    return int(text)


def run(arguments):
    """Print the figures; write them where asked."""
    measure(
        arguments.run,
        arguments.data,
        arguments.part,
        arguments.engine,
        arguments.backend,
        arguments.batch_size,
        arguments.precision,
        json=arguments.json,
        png=arguments.png,
        worst=arguments.worst,
        sheet=arguments.sheet,
    )


def measure(
    folder,
    data=None,
    part='test',
    engine=None,
    backend='cpu',
    batch_size=None,
    precision='float32',
    json=None,
    png=None,
    worst=None,
    sheet=None,
):
    """Evaluate a run, print the figures, and write them to files.

    Parameters
    ----------
    folder, data, part, engine, backend, batch_size, precision
        As `trained_run.evaluate` takes them.
    json, png : str, optional
        Files for the figures and for the plot of the confusion matrix.
    worst : int, optional
        Write a sheet of so many pictures: the most wrong ones.
    sheet : str, optional
        Its file; default: below ``results/own/worst``, in a folder that git ignores.

    Raises
    ------
    UsageError
        A file cannot be written where it is asked for, or something is missing for the plot or the
        sheet; and the errors of `trained_run.evaluate`.
    """
    if sheet and not worst:
        raise UsageError('--sheet: is the file of --worst N; add that.')
    for path in (json, png, sheet):
        if path:
            check_writable(path)
    write_plot = _plotter() if png else None
    write_sheet = options.modern('neon_rnn.explain.worst', '--worst').write_sheet if worst else None
    result = trained_run.evaluate(
        folder, data, part, engine, backend, batch_size, precision, progress=True
    )
    print('{} on {} ({})'.format(result.run_id, result.path, result.kind))
    if list(result.data_class_names) != list(result.class_names):
        print(
            'the classes {} of the data are taken as those of the run, {}'.format(
                *(
                    ', '.join(sorted(names))
                    for names in (result.data_class_names, result.class_names)
                )
            )
        )
    print(evaluation.format_text(result.figures, result.class_names))
    if result.seen:
        sys.stderr.write(
            'warning: the run was trained on {} of these {} images; the accuracy says little about '
            'new ones.\n'.format(result.seen, result.figures['count'])
        )
    if json:
        write_json(
            json,
            dict(
                result.figures,
                run_id=result.run_id,
                data=result.data,
                part=part,
                sha256=result.sha256,
            ),
        )
    if write_plot:
        write_plot(png, result.figures, result.class_names)
    if write_sheet:
        _write_worst(write_sheet, sheet, result, part, worst)


def _write_worst(write_sheet, path, result, part, count):
    """Write the sheet of the most wrong pictures, and print where it is."""
    if not path:
        name = '{}-{}-{}.png'.format(
            result.run_id, os.path.basename(os.path.abspath(result.data)), part
        )
        path = os.path.join(paths.in_home(OWN_SHEETS), name)
    title = '{} on {}, {}: highest probability of a wrong class'.format(
        result.run_id, result.data, part
    )
    shown = write_sheet(
        path,
        result.part,
        [title],
        result.probabilities,
        result.labels,
        result.class_names,
        count,
    )
    print('{}: the {} most wrong pictures of {}'.format(path, shown, len(result.labels)))


def _plotter():
    """Return the function that plots a confusion matrix.

    Raises
    ------
    UsageError
        It cannot be imported here.
    """
    try:
        importlib.import_module('neon_rnn.report')  # chooses the backend of matplotlib
        importlib.import_module('matplotlib')
        return importlib.import_module('neon_rnn.report.plots').write_confusion
    except (ImportError, SyntaxError) as error:  # CPython 3.5 cannot even parse the module
        raise UsageError(
            '--png needs matplotlib and Python 3.10 or newer, outside the container of neon ({}); '
            '--json works without.'.format(error)
        )
