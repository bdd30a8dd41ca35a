"""Classify files of pictures: threads read and decode them while the network computes."""

import contextlib
import functools
import itertools

import numpy as np

from neon_rnn.data import images
from neon_rnn.support import machine
from neon_rnn.support.prefetch import map_ahead


def classify(paths, classifier, batch_size, load=images.load):
    """Classify pictures, a minibatch at a time.

    Parameters
    ----------
    paths : iterable of str
    classifier : Classifier
    batch_size : int
        Files are decoded up to three minibatches ahead, by a thread for each core.
    load : callable
        Decodes a file, as `images.load` does.

    Yields
    ------
    list of dict
        A result for each picture of a minibatch, in the order of `paths`: ``image`` with ``error``,
        or with ``class``, ``probability`` and ``probabilities``.
    """
    decode = functools.partial(_loaded, load, classifier.preprocessing)
    ahead = map_ahead(decode, paths, 3 * batch_size, machine.cores())
    with contextlib.closing(ahead):
        for loaded in iter(lambda: list(itertools.islice(ahead, batch_size)), []):
            usable = [pixels for _, pixels, _ in loaded if pixels is not None]
            probabilities = iter(classifier.predict(np.stack(usable)) if usable else ())
            yield [
                {'image': path, 'error': problem}
                if pixels is None
                else _result(path, classifier.class_names, next(probabilities))
                for path, pixels, problem in loaded
            ]


def _loaded(load, preprocessing, path):
    """Return (path, flat uint8 pixels or None, the problem of the file or None)."""
    try:
        return path, load(path, preprocessing).reshape(-1), None
    except images.ImageError as error:
        return path, None, str(error)


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
