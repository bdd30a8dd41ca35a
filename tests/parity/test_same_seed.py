"""Read this first: the same seed gives the same costs as Intel neon 2.6.0."""

import numpy as np

from neon_rnn import engines
from neon_rnn.verification import cases, compare


def test_same_seed_same_costs():
    (case,) = (case for case in cases.cases() if case.name == 'SpatialRNN, BiRNN')
    recorded_from_neon, _ = compare.load(compare.path_of(case))
    trained_here, _ = compare.observe(engines.load('torch'), case, 'cpu')
    np.testing.assert_allclose(trained_here['cost'], recorded_from_neon['cost'], rtol=1e-5)
