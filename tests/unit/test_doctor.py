"""doctor: what it finds, what it says, when it fails."""
import json

from neon_rnn import engines
from neon_rnn.cli import main
from neon_rnn.commands import doctor
from neon_rnn.errors import UsageError


def test_words_name_every_engine_and_what_is_missing(capsys):
    assert main(['doctor']) == 0
    printed = capsys.readouterr().out
    assert 'engine torch: usable' in printed
    assert '-b cpu    yes: ' in printed
    if not engines.installed('neon'):
        assert 'engine neon: not usable' in printed
        assert 'Intel neon 2.6 is not installed' in printed


def test_json_has_the_same(capsys):
    assert main(['doctor', '--json']) == 0
    report = json.loads(capsys.readouterr().out)
    assert set(report['engines']) == {'neon', 'torch'}
    cpu = report['engines']['torch']['backends']['cpu']
    assert cpu['usable'] is True
    assert cpu['device']['backend'] == 'cpu'
    assert report['machine']['cores'] >= 1
    assert report['versions']['neon_rnn']


def test_a_backend_that_does_not_start_is_shown_with_its_reason(capsys, monkeypatch):
    torch_engine = engines.load('torch')

    def start(backend, **kwargs):
        raise UsageError('no {} today'.format(backend))
    monkeypatch.setattr(torch_engine, 'start', start)
    monkeypatch.setattr(engines, 'installed', lambda name: name == 'torch')
    assert main(['doctor']) == 1
    printed = capsys.readouterr().out
    assert '-b gpu    no: no gpu today' in printed
    assert 'Nothing here can train' in printed


def test_an_engine_without_its_library_says_how_to_get_it(monkeypatch):
    monkeypatch.setattr(engines, 'installed', lambda name: False)
    report = doctor.examine()
    assert [report['engines'][name]['usable'] for name in engines.ENGINES] == [False, False]
    assert './run.sh' in report['engines']['torch']['problem']
    assert 'container' in report['engines']['neon']['problem']
