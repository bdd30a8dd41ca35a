"""Checkpoints of the networks, trained and saved on real neon, loaded by the torch engine: the same probabilities."""
import os
import subprocess

import numpy as np
import pytest
from neon_predictions import NETWORKS, SHAPE, pixels
from test_live_neon import ROOT, neon_python

from neon_rnn import checkpoint, engines, models


@pytest.fixture(scope='module')
def saved_by_neon(tmp_path_factory):
    """The folder of checkpoints, one a network."""
    python = neon_python()
    if python is None:
        pytest.skip('Intel neon 2.6 is not installed here: set NEON_PYTHON to a Python that has it (docs/container.md)')
    folder = tmp_path_factory.mktemp('neon')
    done = subprocess.run([python, str(ROOT / 'tests' / 'parity' / 'neon_predictions.py'), str(folder)], cwd=ROOT, text=True,
                          env=dict(os.environ, PYTHONPATH=str(ROOT)), timeout=900, check=False, capture_output=True)
    assert done.returncode == 0, done.stderr[-2000:]
    return folder


@pytest.mark.slow
@pytest.mark.parametrize('name', NETWORKS)
def test_probabilities_weights_and_optimiser_state(saved_by_neon, name):
    saved = checkpoint.load(saved_by_neon / (name + '.npz'))
    nn = engines.load('torch')
    nn.start('cpu', 4, rng_seed=9)
    model, cost = models.build(name, nn, SHAPE)
    model.initialize(SHAPE, cost)
    optimizer = nn.GradientDescentMomentum(1e-5, momentum_coef=0.9, wdecay=0.0005)
    nn.set_weights(model, saved.weights)
    nn.set_optimizer_state(model, optimizer, saved.optimizer_state)
    nn.set_random_state(saved.random_state)

    expected = np.array(saved.meta['probabilities'])
    assert np.ptp(expected[:, 0]) > 1e-3  # neither constant nor saturated
    np.testing.assert_allclose(nn.predict(model, pixels()), expected, atol=1e-4)

    back = nn.get_weights(model)
    assert list(back) == list(saved.weights)
    for key, values in saved.weights.items():
        np.testing.assert_array_equal(back[key], values, err_msg=key)
    states = nn.get_optimizer_state(model, optimizer)
    assert set(states) == set(saved.optimizer_state)
    for key, arrays in saved.optimizer_state.items():
        np.testing.assert_array_equal(states[key][0], arrays[0], err_msg=key)
