"""Classify photographs with a trained run: a line an image, its most probable class and how
probable that is.

    neon_rnn predict results/own/runs/<run id> photo.jpg more/*.png --json predictions.json

What such a model must not be used for: it guesses, from one cropped photograph and two labels of a
data set, what annotators wrote down. It does not know anybody's gender. Do not use it to decide
anything about a person, to label or monitor people, or to infer gender identity; do not rely on it
for groups and pictures unlike its training data. It is here to reproduce and compare training
results.
"""

import json
import sys

import numpy as np
from tqdm import tqdm

from neon_rnn.commands import options
from neon_rnn.data import images
from neon_rnn.runs import trained_run
from neon_rnn.support.files import check_writable, write_json


def add_arguments(parser):
    """Add the run and the photographs."""
    parser.add_argument('run', metavar='RUN', help='a run folder with its checkpoint')
    parser.add_argument('images', metavar='IMAGE', nargs='+', help='image files of any size')
    options.add_engine(parser, trained=True)
    options.add_backend(parser)
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


def run(arguments):
    """Print one line per image; return status 1 if some could not be read."""
    if arguments.json and arguments.json != '-':
        check_writable(arguments.json)
    trained = trained_run.load_run(
        arguments.run, arguments.engine, arguments.backend, arguments.batch_size
    )
    names = trained.record['dataset']['class_names']
    preprocessing = _preprocessing(trained.record['dataset'])
    if arguments.json != '-' and trained.record['dataset']['kind'] == 'synthetic':
        sys.stderr.write(
            'note: this run was trained on synthetic portraits; its answers on photographs mean '
            'nothing\n'
        )
    results, failed = [], 0
    size = arguments.batch_size
    with tqdm(
        total=len(arguments.images), desc='predicting', unit='img', leave=False, disable=None
    ) as bar:
        for first in range(0, len(arguments.images), size):
            paths = arguments.images[first : first + size]
            loaded = [_load(path, preprocessing) for path in paths]
            usable = [pixels for pixels, _ in loaded if pixels is not None]
            probabilities = iter(
                trained.nn.predict(trained.model, np.stack(usable)) if usable else ()
            )
            for path, (pixels, problem) in zip(paths, loaded):
                if pixels is None:
                    result = {'image': path, 'error': problem}
                else:
                    result = _result(path, names, next(probabilities))
                results.append(result)
                failed += pixels is None
                if arguments.json != '-':
                    tqdm.write(_line(result), file=sys.stderr if pixels is None else sys.stdout)
            bar.update(len(paths))
    if arguments.json == '-':
        print(json.dumps(results, indent=2, sort_keys=True, ensure_ascii=False))
    elif arguments.json:
        write_json(arguments.json, results)
    return 1 if failed else 0


def _preprocessing(recorded):
    """Return the preprocessing of the training's photographs; without one, the default of that
    size.
    """
    if recorded.get('preprocessing'):
        return images.Preprocessing.of(recorded['preprocessing'])
    _, height, width = recorded['shape']
    return images.Preprocessing(height=height, width=width)


def _load(path, preprocessing):
    """Return (flat uint8 pixels, None), or (None, the problem of the file)."""
    try:
        return images.load(path, preprocessing).reshape(-1), None
    except images.ImageError as error:
        return None, str(error)


def _result(path, names, probabilities):
    best = int(np.argmax(probabilities))
    return {
        'image': path,
        'class': names[best],
        'probability': round(float(probabilities[best]), 6),
        'probabilities': {
            name: round(float(value), 6) for name, value in zip(names, probabilities)
        },
    }


def _line(result):
    if 'error' in result:
        return '{}: {}'.format(result['image'], result['error'])
    return '{}: {} {:.1f}%'.format(result['image'], result['class'], 100 * result['probability'])
