"""Classify files of pictures: a thread reads and decodes them while the network computes."""

import numpy as np

from neon_rnn.data import images
from neon_rnn.support.prefetch import prefetch


def classify(paths, classifier, batch_size):
    """Classify pictures, a minibatch at a time.

    Parameters
    ----------
    paths : iterable of str
        Gone through in a thread of its own, up to three minibatches ahead.
    classifier : Classifier
    batch_size : int

    Yields
    ------
    list of dict
        A result for each picture of a minibatch, in the order of `paths`: ``image`` with ``error``,
        or with ``class``, ``probability`` and ``probabilities``.
    """
    for loaded in prefetch(_minibatches(paths, classifier.preprocessing, batch_size)):
        usable = [pixels for _, pixels, _ in loaded if pixels is not None]
        probabilities = iter(classifier.predict(np.stack(usable)) if usable else ())
        yield [
            {'image': path, 'error': problem}
            if pixels is None
            else _result(path, classifier.class_names, next(probabilities))
            for path, pixels, problem in loaded
        ]


def _minibatches(paths, preprocessing, size):
    """Yield lists of (path, flat uint8 pixels or None, the problem of the file or None)."""
    loaded = []
    for path in paths:
        pixels = problem = None
        try:
            pixels = images.load(path, preprocessing).reshape(-1)
        except images.ImageError as error:
            problem = str(error)
        loaded.append((path, pixels, problem))
        if len(loaded) == size:
            yield loaded
            loaded = []
    if loaded:
        yield loaded


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
