"""Every network of the table on the torch engine, against costs recorded from Intel neon."""

import json

import network_costs
import numpy as np
import pytest

from neon_rnn import engines, models

with open(network_costs.PATH, encoding='utf-8') as file:
    RECORDED = json.load(file)


def test_every_row_is_recorded():
    """The recurrent network has a recording of its own, in `neon_rnn.verification.cases`."""
    assert (
        set(network_costs.CASES)
        == set(RECORDED) - {'provenance'}
        == (set(models.ROWS) - {'rnn', 'tl-3'}) | set(network_costs.CELLS)
    )
    assert models.builder('tl-3') is models.builder('tl-1')
    assert RECORDED['provenance']['neon'].startswith('2.6.0')


@pytest.mark.parametrize('name', sorted(network_costs.CASES))
def test_initial_weights_costs_and_prediction(name):
    expected = RECORDED[name]
    found = network_costs.costs(engines.load('torch'), 'cpu', name)
    assert found['weights'] == expected['weights'], 'drawn differently'
    tolerance = 1e-12 if name in network_costs.CELLS else 1e-5
    np.testing.assert_allclose(found['costs'], expected['costs'], rtol=tolerance)
    first = np.array(expected['probabilities'])[:, 0]
    assert ((first > 0.01) & (first < 0.99)).sum() >= 2, (
        first
    )  # saturated ones are equal whatever the engine does
    np.testing.assert_allclose(found['probabilities'], expected['probabilities'], atol=5e-5)
