"""Threads for the cores that other programs leave free."""

import pytest
import small_training

from neon_rnn.engines.torch import backend, other_programs
from neon_rnn.engines.torch.other_programs import Reading
from neon_rnn.training.session import Session

STAT = """cpu  100 100 100 100 100 100 100 100 0 0
cpu0 100 900 30 800 70 1 2 3 0 0
cpu1 200 900 40 800 70 1 2 3 0 0
cpu2 5000 900 40 800 70 1 2 3 0 0
intr 12
"""


def test_the_clocks_are_those_of_its_own_cores_and_of_programs_that_are_not_niced(
    monkeypatch, tmp_path
):
    path = tmp_path / 'stat'
    path.write_text(STAT)
    monkeypatch.setattr(other_programs.os, 'sched_getaffinity', lambda _: {0, 1})
    monkeypatch.setattr(other_programs.os, 'sysconf', lambda _: 100)
    reading = other_programs.read(str(path))
    assert reading.used == pytest.approx((100 + 30 + 6 + 200 + 40 + 6) / 100)
    assert reading.cores == 2


@pytest.mark.parametrize('content', [None, 'cpu0 1 2 3', 'cpu0 a b c d e f g h'])
def test_without_such_clocks_all_cores_count(monkeypatch, tmp_path, content):
    path = tmp_path / 'stat'
    if content is not None:
        path.write_text(content)
    monkeypatch.setattr(other_programs.os, 'sched_getaffinity', lambda _: {0})
    assert other_programs.read(str(path)) is None
    monkeypatch.setattr(other_programs, '_FIRST', None)
    assert other_programs.free_cores(7) == 7


@pytest.mark.parametrize(
    ('allowed', 'cores', 'others', 'free'),
    [
        (2, 2, 0, 2),
        (2, 2, 0.4, 2),
        (2, 2, 0.6, 1),
        (2, 2, 1, 1),
        (2, 2, 2, 1),
        (16, 16, 4.1, 12),
        (1, 1, 3, 1),
        (4, 4, -1, 4),
        # A quota: two cores' time of sixteen, which others need less or more of.
        (16, 2, 13.9, 2),
        (16, 2, 15.1, 1),
    ],
)
def test_threads_for_the_cores_that_are_free(monkeypatch, allowed, cores, others, free):
    """In two seconds in which this process computed for one."""
    before = Reading(-10.0, 100.0, 5.0, allowed)
    now = Reading(-8.0, 100.0 + 1 + 2 * others, 6.0, allowed)
    monkeypatch.setattr(other_programs, '_FIRST', before)
    monkeypatch.setattr(other_programs, 'read', lambda: now)
    assert other_programs.free_cores(cores) == free


def test_this_machine_has_such_clocks_or_none():
    assert 1 <= other_programs.free_cores(3) <= 3


def test_the_engine_leaves_busy_cores_alone(nn, monkeypatch):
    monkeypatch.delenv('OMP_NUM_THREADS', raising=False)
    monkeypatch.setattr(backend.machine, 'cores', lambda: 4)
    monkeypatch.setattr(other_programs, 'free_cores', lambda cores: cores - 1)
    try:
        description = nn.start('cpu', batch_size=4, rng_seed=0)
        assert (description['threads'], description['cores_left_to_others']) == (3, 1)
        monkeypatch.setenv('OMP_NUM_THREADS', '4')
        description = nn.start('cpu', batch_size=4, rng_seed=0)
        assert description['threads'] == 4
        assert 'cores_left_to_others' not in description
    finally:
        nn.start('cpu', batch_size=4, rng_seed=0, threads=1)


def test_a_training_says_which_cores_it_leaves_alone(nn, monkeypatch, tmp_path, capsys):
    monkeypatch.delenv('OMP_NUM_THREADS', raising=False)
    monkeypatch.setattr(backend.machine, 'cores', lambda: 3)
    settings = small_training.settings(small_training.write_data(tmp_path / 'data'), threads=None)
    try:
        for free in (1, 3):
            monkeypatch.setattr(other_programs, 'free_cores', lambda _, free=free: free)
            assert Session(settings).device['threads'] == free
            printed = capsys.readouterr().err
            assert (
                'other programs keep 2 of 3 cores busy, so training takes 1 thread' in printed
            ) == (free == 1)
    finally:
        nn.start('cpu', batch_size=4, rng_seed=0, threads=1)
