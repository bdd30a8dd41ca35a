"""A random split that keeps people apart, class balance, and the order of photographs in a file."""

from collections.abc import Sequence

import numpy as np

TRAIN, TEST, VAL = 'train', 'test', 'val'


def split_people(
    labels: np.ndarray, persons: Sequence[str], test_fraction: float, seed: int
) -> np.ndarray:
    """Choose the test part: a person is in one part, and each class has the same share.

    People are shuffled class by class. A person counts for the class of most of its photographs.
    People go into the test part as long as they fit into its share of the class's photographs.
    Without identifiers every photograph is a person, and the share is exact to one photograph.

    Parameters
    ----------
    labels : numpy.ndarray
        (N,), class indices.
    persons : sequence of str
        (N,); an empty text stands for somebody who is seen only once.
    test_fraction : float
        Between 0 and 1.
    seed : int

    Returns
    -------
    numpy.ndarray
        bool (N,), True in the test part.
    """
    labels = np.asarray(labels)
    named = [person or f'\0{index}' for index, person in enumerate(persons)]
    _, first, group = np.unique(named, return_index=True, return_inverse=True)
    # Groups in order of first appearance: the split does not depend on how identifiers sort.
    rank = np.empty(len(first), dtype=np.int64)
    rank[np.argsort(first)] = np.arange(len(first))
    group = rank[group]
    tally = np.zeros((len(first), int(labels.max()) + 1), dtype=np.int64)
    np.add.at(tally, (group, labels), 1)
    sizes, majority = tally.sum(axis=1), tally.argmax(axis=1)
    random = np.random.RandomState([seed, 1])
    in_test = np.zeros(len(first), dtype=bool)
    for label in range(tally.shape[1]):
        members = np.flatnonzero(majority == label)
        room = round(test_fraction * sizes[members].sum())
        if len(members) > 1:
            room = max(1, room)
        for member in random.permutation(members):
            if sizes[member] <= room:
                in_test[member] = True
                room -= sizes[member]
    return in_test[group]


def balanced(labels: np.ndarray, seed: int) -> np.ndarray:
    """Choose photographs at random so that every class has as many as the rarest: bool (N,)."""
    labels = np.asarray(labels)
    present, counts = np.unique(labels, return_counts=True)
    random = np.random.RandomState([seed, 2])
    keep = np.zeros(len(labels), dtype=bool)
    for label in present:
        keep[random.permutation(np.flatnonzero(labels == label))[: counts.min()]] = True
    return keep


def file_order(count: int, seed: int, part: int) -> np.ndarray:
    """Return a random order for a part's file, because neon's iterator reads it front to back."""
    return np.random.RandomState([seed, 3, part]).permutation(count)
