"""Figures of an evaluation: accuracy, interval, confusion matrix. NumPy only, for both engines."""

import math

import numpy as np

from neon_rnn.support.errors import NeonRnnError

#: Quantile of the normal distribution for a two-sided 95% interval.
Z95 = 1.959963984540054


def wilson_interval(correct, count, z=Z95):
    """Return the Wilson score interval of a proportion (E. B. Wilson, JASA 22, 1927).

    Parameters
    ----------
    correct, count : int
        Successes among `count` > 0 trials.
    z : float
        Quantile of the normal distribution; the default gives 95%.

    Returns
    -------
    list of float
        Lower and upper bound, within [0, 1].
    """
    if not 0 <= correct <= count or count == 0:
        raise ValueError('{} of {} is not a proportion'.format(correct, count))
    share = correct / count
    scale = 1 + z * z / count
    centre = (share + z * z / (2 * count)) / scale
    half = z * math.sqrt(share * (1 - share) / count + z * z / (4.0 * count * count)) / scale
    lower = 0.0 if correct == 0 else max(0.0, centre - half)
    upper = 1.0 if correct == count else min(1.0, centre + half)
    return [lower, upper]


def summarise(probabilities, labels, class_names):
    """Return accuracy, its interval, the majority baseline and the confusion matrix.

    The prediction is the class of the highest probability. Among equal ones it is the first, as in
    the metrics of neon.

    Parameters
    ----------
    probabilities : array, float, (count, classes)
    labels : array, int, (count,)
    class_names : list of str
        Position = class index.

    Returns
    -------
    dict
        The `final` part of a run record, in plain Python numbers: `accuracy`, `correct`, `count`,
        `interval` (Wilson, 95%), `majority` (share of the most frequent class: the accuracy of
        always naming it), `per_class` (name -> count, correct, accuracy, which is None for a class
        without images), `confusion` (rows: true class, columns: predicted class) and `ties` (images
        whose highest probability is shared by several classes).

    Raises
    ------
    NeonRnnError
        There is nothing to evaluate, sizes do not fit, labels are outside the classes, or
        probabilities are not numbers.
    """
    probabilities = np.asarray(probabilities, dtype=np.float64)
    labels = np.asarray(labels).reshape(-1)
    classes = len(class_names)
    _check(probabilities, labels, class_names)
    labels = labels.astype(np.int64)
    predicted = probabilities.argmax(axis=1)
    ties = int(np.sum((probabilities == probabilities.max(axis=1)[:, np.newaxis]).sum(axis=1) > 1))
    confusion = np.zeros((classes, classes), dtype=np.int64)
    np.add.at(confusion, (labels, predicted), 1)
    per_class = {}
    for index, name in enumerate(class_names):
        count, correct = int(confusion[index].sum()), int(confusion[index, index])
        per_class[name] = {
            'count': count,
            'correct': correct,
            'accuracy': correct / count if count else None,
        }
    count, correct = int(confusion.sum()), int(np.trace(confusion))
    return {
        'accuracy': correct / count,
        'correct': correct,
        'count': count,
        'interval': wilson_interval(correct, count),
        'majority': int(confusion.sum(axis=1).max()) / count,
        'per_class': per_class,
        'confusion': confusion.tolist(),
        'ties': ties,
    }


def _check(probabilities, labels, class_names):
    """Refuse input that cannot be evaluated; the error says why."""
    classes = len(class_names)
    if len(set(class_names)) != classes or not classes:
        raise NeonRnnError('the class names {} are not distinct names.'.format(list(class_names)))
    if not len(labels):
        raise NeonRnnError('there are no images to evaluate.')
    if probabilities.shape != (len(labels), classes):
        raise NeonRnnError(
            'probabilities of shape {} do not fit {} labels of {} classes ({}).'.format(
                probabilities.shape, len(labels), classes, ', '.join(class_names)
            )
        )
    outside = (labels < 0) | (labels >= classes) | (labels != np.floor(labels))
    if outside.any():
        raise NeonRnnError(
            'label {} (image {}) is not one of the {} classes.'.format(
                labels[outside][0], int(np.flatnonzero(outside)[0]), classes
            )
        )
    lost = ~np.isfinite(probabilities).all(axis=1)
    if lost.any():
        raise NeonRnnError(
            '{} of {} images got probabilities that are not numbers: the weights have '
            'diverged.'.format(int(lost.sum()), len(labels))
        )


def format_text(final, class_names):
    """Return the result of `summarise` as lines of text.

    Parameters
    ----------
    final : dict
        What `summarise` returns.
    class_names : list of str

    Returns
    -------
    str
        Several lines, without a newline at the end.
    """
    lower, upper = final['interval']
    lines = [
        'accuracy {} ({} of {} images), 95% interval {} to {} (Wilson)'.format(
            percent(final['accuracy']),
            final['correct'],
            final['count'],
            percent(lower),
            percent(upper),
        ),
        'majority baseline {}: the accuracy of always naming the most frequent class'.format(
            percent(final['majority'])
        ),
    ]
    if lower <= final['majority'] <= upper:
        lines.append(
            'the baseline lies within the interval: '
            'the result does not differ from it significantly'
        )
    if final.get('ties'):
        lines.append(
            '{} images had several equal highest probabilities; '
            'the first of these classes counts'.format(final['ties'])
        )
    width = max([len(name) for name in class_names] + [len('true class')])
    columns = [max(len(name), 6) for name in class_names]
    cells = ['true class'.ljust(width)] + [
        name.rjust(size) for name, size in zip(class_names, columns)
    ]
    lines += [
        '',
        'predicted as'.rjust(width + 2 + len('predicted as')),
        '  '.join(cells + ['correct'.rjust(8)]),
    ]
    for name, row in zip(class_names, final['confusion']):
        share = final['per_class'][name]['accuracy']
        cells = [name.ljust(width)] + [
            str(number).rjust(size) for number, size in zip(row, columns)
        ]
        lines.append(
            '  '.join(cells + [('no images' if share is None else percent(share)).rjust(8)])
        )
    return '\n'.join(lines)


def percent(share):
    """Return a share as per cent with one decimal, such as ``'81.9%'``."""
    return '{:.1f}%'.format(100 * share)
