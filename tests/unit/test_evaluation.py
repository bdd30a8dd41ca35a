"""Accuracy, interval, baseline and confusion matrix against values worked out by hand."""

import json

import numpy as np
import pytest

from neon_rnn.runs import evaluation
from neon_rnn.support.errors import NeonRnnError

NAMES = ['female', 'male']


def one_hot(predicted, classes=2):
    return np.eye(classes, dtype=np.float32)[predicted]


@pytest.mark.parametrize(
    ('correct', 'count', 'lower', 'upper'),
    [
        (5, 10, 0.236593090512564, 0.763406909487436),
        (0, 10, 0.0, 0.277532799862889),
        (10, 10, 0.722467200137111, 1.0),
        (81, 263, 0.255288519878274, 0.366209576982800),
        (1, 1, 0.206549314377724, 1.0),
    ],
)
def test_wilson_interval(correct, count, lower, upper):
    """The roots of (share - p)^2 = z^2 p (1 - p) / n; 81 of 263 is a case of Newcombe (1998)."""
    assert evaluation.wilson_interval(correct, count) == pytest.approx([lower, upper], abs=1e-12)


@pytest.mark.parametrize(('correct', 'count'), [(1, 0), (0, 0), (3, 2), (-1, 2)])
def test_wilson_interval_of_nothing_is_an_error(correct, count):
    with pytest.raises(ValueError, match='not a proportion'):
        evaluation.wilson_interval(correct, count)


def test_summarise():
    labels = np.array([0, 0, 0, 1, 1])
    final = evaluation.summarise(one_hot([0, 0, 1, 1, 0]), labels, NAMES)
    assert final == {
        'accuracy': 0.6,
        'correct': 3,
        'count': 5,
        'majority': 0.6,
        'ties': 0,
        'interval': evaluation.wilson_interval(3, 5),
        'confusion': [[2, 1], [1, 1]],
        'per_class': {
            'female': {'count': 3, 'correct': 2, 'accuracy': 2 / 3},
            'male': {'count': 2, 'correct': 1, 'accuracy': 0.5},
        },
    }
    assert json.loads(json.dumps(final, allow_nan=False)) == final


def test_rows_of_the_confusion_matrix_are_true_classes():
    final = evaluation.summarise(one_hot([2, 2, 2], 3), [0, 0, 1], ['a', 'b', 'c'])
    assert final['confusion'] == [[0, 0, 2], [0, 0, 1], [0, 0, 0]]


def test_ties_go_to_the_first_class_and_are_counted():
    final = evaluation.summarise([[0.5, 0.5], [0.5, 0.5], [0.2, 0.8]], [0, 1, 1], NAMES)
    assert (final['ties'], final['correct'], final['confusion']) == (2, 2, [[1, 0], [1, 1]])


def test_a_class_without_images_has_no_accuracy():
    final = evaluation.summarise(one_hot([1, 1]), [[1], [1]], NAMES)
    assert final['per_class']['female'] == {'count': 0, 'correct': 0, 'accuracy': None}
    assert final['majority'] == 1.0
    assert 'no images' in evaluation.format_text(final, NAMES)


@pytest.mark.parametrize(
    ('probabilities', 'labels', 'names', 'message'),
    [
        (np.zeros((0, 2)), [], NAMES, 'no images'),
        (np.zeros((2, 3)), [0, 1], NAMES, r'shape \(2, 3\) do not fit 2 labels of 2 classes'),
        (np.zeros((3, 2)), [0, 1], NAMES, r'shape \(3, 2\) do not fit 2 labels'),
        (one_hot([0, 1]), [0, 2], NAMES, r'label 2 \(image 1\) is not one of the 2 classes'),
        (one_hot([0, 1]), [0, -1], NAMES, r'label -1 \(image 1\)'),
        (one_hot([0, 1]), [0, 0.5], NAMES, r'label 0.5 \(image 1\)'),
        (
            [[np.nan, np.nan], [1, 0]],
            [0, 1],
            NAMES,
            '1 of 2 images got probabilities that are not numbers',
        ),
        (one_hot([0, 1]), [0, 1], ['same', 'same'], 'not distinct'),
    ],
)
def test_what_cannot_be_evaluated_is_refused(probabilities, labels, names, message):
    with pytest.raises(NeonRnnError, match=message):
        evaluation.summarise(probabilities, labels, names)


def test_format_text():
    final = evaluation.summarise(one_hot([0, 0, 1, 1, 0]), [0, 0, 0, 1, 1], NAMES)
    assert evaluation.format_text(final, NAMES).split('\n') == [
        'accuracy 60.0% (3 of 5 images), 95% interval 23.1% to 88.2% (Wilson)',
        'majority baseline 60.0%: the accuracy of always naming the most frequent class',
        'the baseline lies within the interval: the result does not differ from it significantly',
        '',
        '            predicted as',
        'true class  female    male   correct',
        'female           2       1     66.7%',
        'male             1       1     50.0%',
    ]


def test_format_text_names_ties_and_a_clear_result():
    probabilities = np.concatenate([one_hot([0] * 40 + [1] * 40), [[0.5, 0.5]]])
    final = evaluation.summarise(probabilities, [0] * 40 + [1] * 40 + [0], NAMES)
    text = evaluation.format_text(final, NAMES)
    assert '1 images had several equal highest probabilities' in text
    assert 'does not differ' not in text
