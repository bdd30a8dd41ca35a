"""Measure a trained run on a data set: accuracy with its 95% interval, classes, confusion matrix.

neon_rnn evaluate results/own/runs/<run id> --data data/faces --json figures.json --png plot.png
"""

import importlib
import sys

from neon_rnn.commands import options
from neon_rnn.data import dataset
from neon_rnn.runs import evaluation, trained_run
from neon_rnn.support.errors import UsageError
from neon_rnn.support.files import check_writable, write_json


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
):
    """Evaluate a run, print the figures, and write them to files.

    Parameters
    ----------
    folder, data, part, engine, backend, batch_size, precision
        As `trained_run.evaluate` takes them.
    json, png : str, optional
        Files for the figures and for the plot of the confusion matrix.

    Raises
    ------
    UsageError
        A file cannot be written where it is asked for, or matplotlib is missing for the plot; and
        the errors of `trained_run.evaluate`.
    """
    for path in (json, png):
        if path:
            check_writable(path)
    write_plot = _plotter() if png else None
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
