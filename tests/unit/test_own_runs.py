"""A user's own runs: kept where git ignores them, shown beside the published ones."""

import shutil
import subprocess
from pathlib import Path

import pytest
import synthetic_records as synthetic

from neon_rnn.cli import main

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def checkout(tmp_path, monkeypatch):
    """A small checkout of the project under git, with one published run."""
    for name in ('pyproject.toml', '.gitignore'):
        shutil.copy(ROOT / name, tmp_path)
    (tmp_path / 'neon_rnn').mkdir()
    shutil.copy(ROOT / 'neon_rnn' / 'published.csv', tmp_path / 'neon_rnn')
    synthetic.write(tmp_path / 'results' / 'runs', synthetic.record('published-run', model='rnn'))
    monkeypatch.chdir(tmp_path)
    assert main(['table', '--published']) == 0
    for command in (['init', '-q'], ['add', '.'], ['commit', '-q', '-m', 'first']):
        git(*command)
    return tmp_path


def git(*words):
    identity = ['-c', 'user.name=t', '-c', 'user.email=t@example.org']
    done = subprocess.run(['git', *identity, *words], capture_output=True, text=True, check=True)
    return done.stdout


def test_the_table_shows_own_runs_beside_the_published_ones(checkout):
    own = synthetic.record('own-run', model='cnn-2', row='CNN-2', correct=170)
    synthetic.write(checkout / 'results' / 'own' / 'runs', own)
    assert main(['table']) == 0
    text = (checkout / 'results' / 'own' / 'TABLE.md').read_text('utf-8')
    assert 'runs/own-run/record.json' in text
    assert '(runs/../../runs/published-run/record.json)' in text
    link = checkout / 'results' / 'own' / 'runs/../../runs/published-run/record.json'
    assert link.resolve().is_file()
    assert 'own-run' in (checkout / 'results' / 'own' / 'report.html').read_text('utf-8')
    assert git('status', '--short') == ''


def test_the_published_files_hold_published_runs_only(checkout):
    synthetic.write(checkout / 'results' / 'own' / 'runs', synthetic.record('own-run'))
    assert main(['table', '--published']) == 0
    assert main(['table', '--check']) == 0
    assert 'own-run' not in (checkout / 'results' / 'TABLE.md').read_text('utf-8')
    assert git('status', '--short') == ''


def test_without_own_runs_the_published_ones_are_shown(checkout):
    assert main(['table']) == 0
    assert 'published-run' in (checkout / 'results' / 'own' / 'TABLE.md').read_text('utf-8')
    assert git('status', '--short') == ''


def test_an_own_run_is_shown_however_many_were_published(checkout, capsys):
    for number in range(60):
        other = dict(synthetic.FIELDS['dataset'], sha256={'train.h5': f'{number:064}'})
        made = synthetic.record(f'other-{number}', model='rnn', correct=180, dataset=other)
        synthetic.write(checkout / 'results' / 'runs', made)
    own = synthetic.record('own-run', model='rnn', correct=123, epochs=1)
    synthetic.write(checkout / 'results' / 'own' / 'runs', own)
    assert main(['table']) == 0
    printed = capsys.readouterr().out
    assert 'Your further runs:\nRNN ' in printed
    assert '61.5' in printed.partition('Your further runs:')[2]
    for name in ('TABLE.md', 'report.html'):
        assert 'own-run' in (checkout / 'results' / 'own' / name).read_text('utf-8')
