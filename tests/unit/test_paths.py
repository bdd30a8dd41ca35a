"""Where defaults lie, and paths as records hold them."""

import os

from neon_rnn.support import paths


def test_defaults_lie_in_the_checkout_around_the_working_directory(monkeypatch):
    monkeypatch.chdir(paths.ROOT)
    assert paths.in_home('results/runs') == 'results/runs'
    monkeypatch.chdir(os.path.join(paths.ROOT, 'docs'))
    assert paths.in_home('results/runs') == os.path.join(
        os.path.realpath(paths.ROOT), 'results/runs'
    )


def test_defaults_lie_in_the_working_directory_outside_of_a_checkout(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv('NEON_RNN_HOME', raising=False)
    assert paths.in_home('results/runs') == 'results/runs'
    assert not os.path.samefile(paths.home(), paths.ROOT)


def test_the_environment_names_the_folder_of_the_defaults(tmp_path, monkeypatch):
    monkeypatch.setenv('NEON_RNN_HOME', str(tmp_path))
    (tmp_path / 'elsewhere').mkdir()
    monkeypatch.chdir(tmp_path / 'elsewhere')
    assert paths.in_home('data') == os.path.join(os.path.realpath(tmp_path), 'data')
    monkeypatch.chdir(paths.ROOT)
    assert paths.in_home('data') == 'data'


def test_records_hold_paths_that_mean_the_same_elsewhere(tmp_path, monkeypatch):
    inside = os.path.join(os.path.realpath(paths.ROOT), 'data', 'demo')
    monkeypatch.chdir(paths.ROOT)
    assert paths.to_recorded('data/demo') == paths.to_recorded(inside) == 'data/demo'
    assert paths.to_recorded(tmp_path) == os.path.realpath(tmp_path)
    monkeypatch.chdir(os.path.join(paths.ROOT, 'docs'))
    assert paths.to_recorded(inside) == 'data/demo'
    assert paths.from_recorded('data/demo') == inside
    assert paths.from_recorded(str(tmp_path)) == str(tmp_path)
