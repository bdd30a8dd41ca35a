"""Fixtures that every test folder may use."""

import os

# Small problems on shared machines: several OpenMP threads only make them slower. Set before numpy
# and torch are imported.
os.environ.setdefault('OMP_NUM_THREADS', '1')

import pytest

from neon_rnn import engines


def pytest_collection_modifyitems(items):
    """The fast part first: what is marked slow comes last."""
    items.sort(key=lambda item: item.get_closest_marker('slow') is not None)


def _started(precision, batch_size=4):
    nn = engines.load('torch')
    nn.start('cpu', batch_size=batch_size, rng_seed=0, precision=precision, threads=1)
    return nn


@pytest.fixture
def nn():
    """The torch engine in float64, for comparisons to rounding error: seed 0, minibatches of 4, one
    thread.
    """
    return _started('float64')


@pytest.fixture
def nn32():
    """The torch engine in float32, as it trains: seed 0, minibatches of 4, one thread."""
    return _started('float32')
