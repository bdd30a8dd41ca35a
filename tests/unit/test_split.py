"""The split keeps people apart and classes even, for any mixture of identifiers."""

import numpy as np
import pytest

from neon_rnn.ingest.split import balanced, file_order, split_people


def test_without_identifiers_each_class_is_divided_exactly():
    labels = np.array([0] * 100 + [1] * 37)
    in_test = split_people(labels, [''] * 137, 0.2, seed=0)
    assert (np.sum(in_test[:100]), np.sum(in_test[100:])) == (20, 7)


@pytest.mark.parametrize('seed', range(5))
def test_people_are_on_one_side_and_shares_are_near(seed):
    random = np.random.RandomState(seed)
    person = np.concatenate([random.randint(0, 150, 900), np.arange(150, 250)])
    labels = (person % 3 == 0).astype(int)
    names = ['person {}'.format(number) if number < 150 else '' for number in person]
    in_test = split_people(labels, names, 0.25, seed)
    for number in range(150):
        assert len(set(in_test[person == number])) == 1
    for label in (0, 1):
        assert abs(np.mean(in_test[labels == label]) - 0.25) < 0.02
    np.testing.assert_array_equal(in_test, split_people(labels, names, 0.25, seed))
    assert not np.array_equal(in_test, split_people(labels, names, 0.25, seed + 1))


def test_the_draw_does_not_hang_on_how_identifiers_sort():
    labels, numbers = np.arange(60) % 2, np.repeat(np.arange(30), 2)
    labels = labels[numbers]
    forward = split_people(labels, [chr(ord('A') + number) for number in numbers], 0.3, 1)
    backward = split_people(labels, [chr(ord('z') - number) for number in numbers], 0.3, 1)
    np.testing.assert_array_equal(forward, backward)


def test_a_person_with_both_labels_stays_whole():
    labels = np.array([0, 0, 1] + [0, 1] * 20)
    in_test = split_people(labels, ['both'] * 3 + [''] * 40, 0.2, 0)
    assert len(set(in_test[:3])) == 1


def test_somebody_is_always_tested():
    assert np.sum(split_people(np.array([0, 0, 1, 1]), [''] * 4, 0.01, 0)) == 2


def test_balanced_keeps_as_many_of_each_class():
    labels = np.array([0] * 10 + [1] * 4 + [2] * 7)
    keep = balanced(labels, seed=0)
    assert np.bincount(labels[keep]).tolist() == [4, 4, 4]
    np.testing.assert_array_equal(keep, balanced(labels, seed=0))
    assert not np.array_equal(keep, balanced(labels, seed=1))


def test_file_order_is_a_permutation_of_its_own_for_each_part():
    assert sorted(file_order(50, 0, 0)) == list(range(50))
    assert not np.array_equal(file_order(50, 0, 0), file_order(50, 0, 1))
