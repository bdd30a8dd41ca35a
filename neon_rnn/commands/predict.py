"""Classify photographs with a trained run: a line an image, its most probable class and how
probable that is.

    neon_rnn predict results/own/runs/<run id> photo.jpg more/*.png --json predictions.json
    neon_rnn predict results/own/runs/<run id> FOLDER --csv predictions.csv

A folder stands for all pictures below it. --csv writes as it goes; the same command again goes on
after an interruption, and skips what has a line already.

What such a model must not be used for: it guesses, from one cropped photograph and two labels of a
data set, what annotators wrote down. It does not know anybody's gender. Do not use it to decide
anything about a person, to label or monitor people, or to infer gender identity; do not rely on it
for groups and pictures unlike its training data. It is here to reproduce and compare training
results.
"""

import importlib
import json
import sys

from tqdm import tqdm

from neon_rnn.commands import options
from neon_rnn.data import images, pictures
from neon_rnn.runs import classifier, predictions
from neon_rnn.runs.prediction_table import PredictionTable
from neon_rnn.support.errors import UsageError
from neon_rnn.support.files import check_writable, write_json
from neon_rnn.support.wording import counted


def add_arguments(parser):
    """Add the run and the photographs."""
    parser.add_argument(
        'run', metavar='RUN', help='a run folder with its checkpoint, or an exported .onnx file'
    )
    parser.add_argument(
        'images', metavar='IMAGE', nargs='+', help='image files of any size, or folders of them'
    )
    options.add_engine(parser, trained=True)
    options.add_backend(parser)
    options.add_precision(parser)
    parser.add_argument(
        '-z',
        '--batch_size',
        type=int,
        default=32,
        metavar='N',
        help='images at a time (default: %(default)s)',
    )
    parser.add_argument(
        '--json', metavar='FILE', help='write the predictions as JSON (- for standard output)'
    )
    parser.add_argument(
        '--csv',
        metavar='FILE',
        help='write the predictions as CSV, line by line, instead of printing them',
    )


def run(arguments):
    """Print one line per image; return status 1 if some could not be read."""
    if arguments.json and arguments.json != '-':
        check_writable(arguments.json)
    if arguments.csv and arguments.json:
        raise UsageError('--csv and --json: choose one of them.')
    opened = _opened(arguments)
    if arguments.json != '-':
        options.note_synthetic(opened.kind)
    total = sum(1 for _ in pictures.find(arguments.images))
    if not total:
        raise UsageError('{}: no pictures there.'.format(', '.join(arguments.images)))
    if arguments.csv:
        return _into_table(arguments, opened, total)
    kept, failed = [], 0
    for results in _minibatches(arguments, opened, total):
        failed += sum('error' in result for result in results)
        if arguments.json:
            kept += results
        if arguments.json != '-':
            for result in results:
                tqdm.write(_line(result), file=sys.stderr if 'error' in result else sys.stdout)
    if arguments.json == '-':
        print(json.dumps(kept, indent=2, sort_keys=True, ensure_ascii=False))
    elif arguments.json:
        write_json(arguments.json, kept)
    return 1 if failed else 0


def _opened(arguments):
    """Open the run, or the file that `export` wrote."""
    if not arguments.run.endswith('.onnx'):
        return classifier.of_run(
            arguments.run,
            arguments.engine,
            arguments.backend,
            arguments.batch_size,
            arguments.precision,
        )
    if arguments.engine or arguments.backend != 'cpu' or arguments.precision != 'float32':
        raise UsageError(
            '{}: is computed by ONNX Runtime on the processor; leave out --engine, -b and '
            '--precision.'.format(arguments.run)
        )
    if arguments.batch_size < 1:
        raise UsageError('-z {}: has to be at least 1.'.format(arguments.batch_size))
    onnx_file = importlib.import_module('neon_rnn.export.onnx_file')
    return onnx_file.open_classifier(arguments.run)


def _into_table(arguments, opened, total):
    """Write the predictions of all images that have no line yet, a minibatch at a time."""
    table = PredictionTable(arguments.csv, opened.class_names, opened.source)
    before = len(table.done)
    if before:
        sys.stderr.write(
            'note: {} has {} already; going on\n'.format(arguments.csv, counted(before, 'image'))
        )
    failed = 0
    for results in _minibatches(arguments, opened, total, table.done):
        table.add(results)
        failed += sum('error' in result for result in results)
    print('{}: {}'.format(arguments.csv, counted(len(table.done), 'image')))
    if failed:
        sys.stderr.write(
            '{} could not be read; the column error says why\n'.format(counted(failed, 'image'))
        )
    return 1 if failed else 0


def _minibatches(arguments, opened, total, done=frozenset()):
    """Yield the results of the images, minibatch by minibatch, and show the progress.

    Parameters
    ----------
    done : set of bytes
        Images to skip, as `PredictionTable.key` gives them.
    """
    # A thread reads ahead, while the table grows: what was there at first is skipped.
    before = frozenset(done)
    paths = (
        path
        for path in pictures.find(arguments.images)
        if not before or PredictionTable.key(path) not in before
    )
    with tqdm(
        total=total,
        initial=min(len(before), total),
        desc='predicting',
        unit='img',
        leave=False,
        disable=None,
    ) as bar:
        for results in predictions.classify(paths, opened, arguments.batch_size, reader()):
            yield results
            bar.update(len(results))


def reader():
    """Return what decodes a file: `images.load`, or what does it faster on modern Python."""
    if sys.version_info < (3, 10):
        return images.load
    return importlib.import_module('neon_rnn.ingest.decoding').load


def _line(result):
    if 'error' in result:
        return '{}: {}'.format(result['image'], result['error'])
    return '{}: {} {:.1f}%'.format(result['image'], result['class'], 100 * result['probability'])
