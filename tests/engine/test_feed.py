"""Feeding minibatches to the device; tensors of the CPU stand for those of a GPU."""

import h5py
import numpy as np
import pytest
import torch

from neon_rnn.data.dataset import Part
from neon_rnn.data.minibatches import Minibatches, epoch_order
from neon_rnn.engines.torch import distributed, feeding


@pytest.fixture
def minibatches(tmp_path):
    """10 images in minibatches of 4, in a new order."""
    path = tmp_path / 'train.h5'
    with h5py.File(path, 'w') as file:
        file['input'] = np.arange(10 * 12, dtype=np.uint8).reshape(10, 12)
        file['input'].attrs['lshape'] = (3, 2, 2)
        file['output'] = np.arange(10)[:, None] % 2
        file['output'].attrs['nclass'] = 2
    part = Part(str(path))
    yield Minibatches(part, 4, epoch_order(10, seed=1, epoch=1))
    part.close()


def as_arrays(items):
    return [(np.asarray(inputs), np.asarray(labels), count) for inputs, labels, count in items]


def check(items, expected):
    assert len(items) == len(expected) == 3
    for found, wanted in zip(items, expected, strict=True):
        np.testing.assert_array_equal(found[0], wanted[0])
        np.testing.assert_array_equal(found[1], wanted[1])
        assert found[2] == wanted[2]


def test_the_cpu_gets_the_minibatches_as_they_are(nn, minibatches):
    check(as_arrays(nn.feed(minibatches)), as_arrays(minibatches))


def test_a_resident_data_set_gives_the_same_minibatches(nn, minibatches, monkeypatch):
    cpu = torch.device('cpu')
    check(as_arrays(feeding.gather(minibatches, cpu)), as_arrays(minibatches))
    monkeypatch.setattr(minibatches.part, 'read', None)  # the second epoch reads nothing
    again = Minibatches(minibatches.part, 4, epoch_order(10, seed=1, epoch=2))
    labels = np.concatenate([labels for _, labels, _ in as_arrays(feeding.gather(again, cpu))])
    np.testing.assert_array_equal(
        labels[:10], minibatches.part.labels[epoch_order(10, seed=1, epoch=2)]
    )


def test_the_ranks_together_get_every_minibatch_and_read_only_their_own(
    nn, minibatches, monkeypatch
):
    read = []
    original = minibatches.part.read
    monkeypatch.setattr(
        minibatches.part, 'read', lambda indices: read.append(len(indices)) or original(indices)
    )
    monkeypatch.setattr(distributed, 'ranks', lambda: 2)
    parts = []
    for rank in (0, 1):
        monkeypatch.setattr(distributed, 'rank', lambda rank=rank: rank)
        parts.append(as_arrays(nn.feed(minibatches)))
    assert read == [2] * 6
    whole = [
        (np.concatenate([first, second]), np.concatenate([labels, more]), count)
        for (first, labels, count), (second, more, _) in zip(*parts, strict=True)
    ]
    check(whole, as_arrays(minibatches))


def test_what_does_not_fit_is_read_ahead(minibatches, monkeypatch):
    free = 2 * 10 * 12 + 2
    monkeypatch.setattr(torch.cuda, 'mem_get_info', lambda device: (free, free))
    assert feeding.fits(minibatches.part, torch.device('cuda'))
    monkeypatch.setattr(torch.cuda, 'mem_get_info', lambda device: (free - 2, free))
    assert not feeding.fits(minibatches.part, torch.device('cuda'))
