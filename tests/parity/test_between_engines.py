"""Checkpoints of one engine give the same probabilities in the other, for every network.

Both directions with real neon; `checkpoint_exchange` says how.
"""

import json

import checkpoint_exchange
import numpy as np
import pytest
from live_neon import needed_neon, printed
from side_by_side import each

from neon_rnn import models
from neon_rnn.runs import checkpoint


def on_neon(action, folder):
    """Run `checkpoint_exchange` with neon's Python, side by side for shares of the networks."""
    python = needed_neon()

    def run(names):
        printed(python, checkpoint_exchange.__file__, action, folder, *names, timeout=900)

    each(run, [checkpoint_exchange.NETWORKS[start::4] for start in range(4)])


@pytest.fixture(scope='module')
def saved_by_neon(tmp_path_factory):
    """Return the folder of checkpoints that neon has trained, one for each network."""
    folder = tmp_path_factory.mktemp('neon')
    on_neon('save', folder)
    return folder


@pytest.fixture(scope='module')
def saved_by_torch(tmp_path_factory):
    """Return the folder of checkpoints that torch has trained, and neon's predictions."""
    folder = tmp_path_factory.mktemp('torch')
    for name in checkpoint_exchange.NETWORKS:
        checkpoint_exchange.train_and_save('torch', name, folder / (name + '.npz'))
    on_neon('predict', folder)
    return folder


def check(name, found, expected, changed):
    """Equal probabilities of pictures that the network tells apart, and nothing lost on the way."""
    expected = np.array(expected)
    undecided = (expected[:, 0] > 0.02) & (expected[:, 0] < 0.98)
    assert undecided.sum() >= 3, expected[:, 0]  # saturated ones are equal whatever the engine does
    assert np.ptp(expected[undecided, 0]) > 0.05, expected[:, 0]
    np.testing.assert_allclose(found, expected, atol=1e-4)
    assert changed == []


def test_no_network_is_left_out():
    assert set(models.ROWS) - set(checkpoint_exchange.NETWORKS) == {'tl-3'}
    assert 'rnn bigru' in checkpoint_exchange.NETWORKS
    assert models.builder('tl-3') is models.builder('tl-1')


@pytest.mark.slow
@pytest.mark.parametrize('name', checkpoint_exchange.NETWORKS)
def test_torch_predicts_what_neon_saved(saved_by_neon, name):
    path = saved_by_neon / (name + '.npz')
    saved = checkpoint.load(path)
    probabilities, weights, states = checkpoint_exchange.load_and_predict('torch', name, path)
    assert list(weights) == list(saved.weights)
    check(
        name,
        probabilities,
        saved.meta['probabilities'],
        checkpoint_exchange.changed(saved, weights, states),
    )


@pytest.mark.slow
@pytest.mark.parametrize('name', checkpoint_exchange.NETWORKS)
def test_neon_predicts_what_torch_saved(saved_by_torch, name):
    found = json.loads((saved_by_torch / (name + '.json')).read_text())
    saved = checkpoint.load(saved_by_torch / (name + '.npz'))
    check(name, found['probabilities'], saved.meta['probabilities'], found['changed'])
