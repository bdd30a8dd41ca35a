"""Measure a trained run on a data set: accuracy with its 95% interval, classes, confusion matrix.

neon_rnn evaluate results/runs/<run id> --data data/faces --json figures.json --png confusion.png
"""

import importlib

from neon_rnn import engines
from neon_rnn.data import dataset
from neon_rnn.runs import evaluation, trained_run
from neon_rnn.support import paths
from neon_rnn.support.errors import UsageError
from neon_rnn.support.files import check_writable, write_json


def add_arguments(parser):
    """What to measure, on what, and where to write it."""
    parser.add_argument('run', metavar='RUN', help='a run folder with its checkpoint')
    parser.add_argument(
        '--data', metavar='DIR', help='a data set folder (default: the one it was trained on)'
    )
    parser.add_argument(
        '--part', default='test', choices=dataset.PARTS, help='default: %(default)s'
    )
    parser.add_argument(
        '--engine',
        choices=engines.ENGINES,
        help='default: the one it was trained with, if installed',
    )
    parser.add_argument(
        '-b',
        '--backend',
        default='cpu',
        choices=('gpu', 'cpu', 'mkl', 'numpy'),
        help='default: cpu',
    )
    parser.add_argument(
        '-z', '--batch_size', type=int, metavar='N', help='images at a time (default: as trained)'
    )
    parser.add_argument('--json', metavar='FILE', help='write the figures as JSON')
    parser.add_argument(
        '--png', metavar='FILE', help='draw the confusion matrix (needs matplotlib)'
    )


def run(arguments):
    """Print the figures; write them where asked."""
    plots = _check_targets(arguments)
    trained = trained_run.load_run(
        arguments.run, arguments.engine, arguments.backend, arguments.batch_size
    )
    data = dataset.open_dataset(
        arguments.data or paths.from_recorded(trained.record['dataset']['folder'])
    )
    part = data.parts.get(arguments.part)
    if part is None:
        raise UsageError(
            '{}: has no part {}; it has {}.'.format(
                data.folder, arguments.part, ', '.join(data.parts)
            )
        )
    expected = tuple(trained.record['dataset']['shape'])
    if part.shape != expected:
        raise UsageError(
            '{}: its images are {}, the run was trained on {}; import the data set with that size.'.format(
                part.path, part.shape, expected
            )
        )
    if data.class_names != trained.record['dataset']['class_names']:
        raise UsageError(
            '{}: its classes are {}, those of the run {}.'.format(
                data.folder,
                ', '.join(data.class_names),
                ', '.join(trained.record['dataset']['class_names']),
            )
        )
    size = arguments.batch_size or trained.record['hyperparameters']['batch_size']
    probabilities = trained_run.predict_part(trained.nn, trained.model, part, size, progress=True)
    figures = evaluation.summarise(probabilities, part.labels, data.class_names)
    print('{} on {} ({})'.format(trained.record['run_id'], part.path, data.description['kind']))
    print(evaluation.format_text(figures, data.class_names))
    if arguments.json:
        write_json(
            arguments.json,
            dict(
                figures,
                run_id=trained.record['run_id'],
                data=data.folder,
                part=arguments.part,
                sha256=data.sha256(),
            ),
        )
    if arguments.png:
        plots.write_confusion(arguments.png, figures, data.class_names)


def _check_targets(arguments):
    """Refuse what could not be written, before the work; returns the module that draws, if it is needed."""
    for path in (arguments.json, arguments.png):
        if path:
            check_writable(path)
    if not arguments.png:
        return None
    try:
        importlib.import_module('matplotlib')
        return importlib.import_module('neon_rnn.report.plots')
    except (
        ImportError,
        SyntaxError,
    ) as error:  # the container's Python cannot even read the module
        raise UsageError(
            '--png needs matplotlib and Python 3.10 or newer, outside the container of neon ({}); --json works '
            'without.'.format(error)
        )
