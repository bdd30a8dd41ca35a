"""Paths of the repository, from wherever a command is started."""
import os

from neon_rnn import paths


def test_defaults_lie_in_the_repository(tmp_path, monkeypatch):
    monkeypatch.chdir(paths.ROOT)
    assert paths.default('results/runs') == 'results/runs'
    monkeypatch.chdir(tmp_path)
    assert paths.default('results/runs') == os.path.join(paths.ROOT, 'results/runs')


def test_records_hold_paths_that_mean_the_same_elsewhere(tmp_path, monkeypatch):
    inside = os.path.join(paths.ROOT, 'data', 'demo')
    monkeypatch.chdir(paths.ROOT)
    assert paths.recorded('data/demo') == paths.recorded(inside) == 'data/demo'
    assert paths.recorded(tmp_path) == os.path.realpath(tmp_path)
    monkeypatch.chdir(tmp_path)
    assert paths.recorded(inside) == 'data/demo'
    assert paths.found('data/demo') == inside
    assert paths.found(str(tmp_path)) == str(tmp_path)
