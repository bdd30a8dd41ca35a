"""What the tests on Intel neon itself share."""

import pytest
from live_neon import needed_neon


@pytest.fixture(scope='session')
def python():
    """The Python that has neon; the test is skipped where there is none."""
    return needed_neon()
