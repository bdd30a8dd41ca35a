"""The neon engine on real neon: the files ``neon_*_checks.py``, each run by neon's own Python.

`live_neon.neon_python` finds it. Elsewhere the checks run in the container.
"""

import functools
from pathlib import Path

import pytest
from live_neon import results
from side_by_side import for_chosen_tests

CHECKS = sorted(Path(__file__).parent.glob('neon_*_checks.py'))


def names(checks):
    """Return the names of the checks of a file."""
    return sorted(
        line[4 : line.index('(')]
        for line in checks.read_text().splitlines()
        if line.startswith('def test_')
    )


@pytest.fixture(scope='module')
def runs(python, request):
    with for_chosen_tests(functools.partial(results, python), request, 'checks') as started:
        yield started


@pytest.mark.parametrize(
    ('checks', 'name'),
    [
        pytest.param(checks, name, id='{}-{}'.format(checks.stem, name))
        for checks in CHECKS
        for name in names(checks)
    ],
)
def test_on_real_neon(runs, checks, name):
    result = runs[(checks,)].result()[name]
    if result['skipped']:
        pytest.skip(result['skipped'])
    assert result['problem'] is None, result['problem']


@pytest.mark.parametrize('checks', CHECKS, ids=lambda checks: checks.stem)
def test_every_check_ran(runs, checks):
    assert sorted(runs[(checks,)].result()) == names(checks)


def test_the_files_of_checks():
    assert {checks.stem for checks in CHECKS} == {
        'neon_cell_checks',
        'neon_own_work_checks',
        'neon_guard_checks',
        'neon_layer_checks',
        'neon_merge_checks',
        'neon_model_checks',
    }
    assert sum(len(names(checks)) for checks in CHECKS) >= 24
