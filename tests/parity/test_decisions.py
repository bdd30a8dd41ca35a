"""The strict comparison in float32: neon's close decisions imposed on the torch engine."""

import numpy as np
import pytest

from neon_rnn import engines
from neon_rnn.engines.torch import imposed
from neon_rnn.engines.torch.optimizer import GradientDescentMomentum
from neon_rnn.verification import compare, decisions, tolerances


@pytest.fixture(scope='module')
def nn():
    return engines.load('torch')


@pytest.mark.parametrize('plain', [False, True], ids=['fused', 'layer by layer'])
def test_all_costs_are_neons(nn, plain):
    found = decisions.replay(nn, 'cpu', plain)
    assert len(found) == decisions.case().minibatches == 12
    assert max(deviation.value for deviation in found) < tolerances.IMPOSED == 5e-6
    assert not compare.beyond(found)


def test_a_deviation_that_is_no_decision_does_not_hide(nn, monkeypatch):
    """A learning rate that is larger by a ten-thousandth."""
    step = GradientDescentMomentum.optimize

    def slightly_faster(self, *arguments):
        self.learning_rate = 0.01 * (1 + 1e-4)
        step(self, *arguments)

    monkeypatch.setattr(GradientDescentMomentum, 'optimize', slightly_faster)
    beyond = compare.beyond(decisions.replay(nn, 'cpu'))
    assert len(beyond) > 6
    assert '1' not in {deviation.name for deviation in beyond}, 'nothing is trained before it'


def test_few_decisions_are_imposed_and_the_others_are_the_engines_own():
    expected, close, provenance = decisions.load()
    values = 12 * 16 * (32 * 66**2 + 64 * 35**2 + 128 * 20**2)  # of the first three rectifiers
    for table in close:
        assert 100 < len(table) < values / 1000
        assert set(np.unique(table[:, 0])) == set(range(12))
    assert set(np.unique(close.rectified[:, 3])) == {0, 1}
    assert expected[-1] < 0.5 * expected[0]
    assert provenance['engine'].startswith('Intel neon 2.6.0')
    assert provenance['command'].endswith('record_decisions.py')


def test_the_imposed_decisions_are_taken():
    """A value below 0 that counts as positive passes the error on; one above 0 may not."""
    torch = pytest.importorskip('torch')
    board = imposed.Board()
    flat, decided = np.array([1, 2, 5]), np.array([1, 0, 1])
    board.decisions = ({3: (flat, decided)}, {})
    x = torch.tensor([-1.0, -2.0, 3.0, 4.0, -5.0, -6.0]).reshape(1, 1, 2, 3).requires_grad_()
    y = imposed._Rectified.apply(x, 3, board)
    y.sum().backward()
    assert x.grad.flatten().tolist() == [0, 1, 0, 1, 0, 1]
    np.testing.assert_allclose(y.detach().flatten(), [0, 0, 0, 4, 0, 0], atol=1e-20)


def test_an_imposed_maximum_takes_its_value_and_its_error():
    torch = pytest.importorskip('torch')
    board = imposed.Board()
    x = torch.arange(16.0).reshape(1, 1, 4, 4).requires_grad_()
    board.decisions = ({}, {7: (np.array([1]), np.array([2]))})
    layer = engines.load('torch').Pooling(2)
    layer.configure((1, 4, 4))
    y = imposed._pooled(layer, x, 7, board)
    assert y.flatten().tolist() == [5, 2, 13, 15]
    y.sum().backward()
    assert x.grad.flatten().nonzero().flatten().tolist() == [2, 5, 13, 15]
