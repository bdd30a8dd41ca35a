"""doctor: what it finds here, what it says where things are missing or wrong."""
import json

import pytest

from neon_rnn import engines
from neon_rnn.cli import main
from neon_rnn.commands import doctor
from neon_rnn.errors import NeonRnnError, UsageError


def test_it_says_what_runs_here(capsys):
    assert main(['doctor', '--json']) == 0
    report = json.loads(capsys.readouterr().out)
    assert report['well']
    assert report['problems'] == []
    assert report['engines']['torch']['backends']['cpu']['usable']
    assert report['versions']['numpy']
    assert report['machine']['cores'] >= 1
    assert main(['doctor']) == 0
    printed = capsys.readouterr().out
    assert 'engine torch: {}'.format(report['engines']['torch']['version']) in printed
    assert 'ready' in printed


def test_a_missing_engine_comes_with_advice(capsys, monkeypatch):
    monkeypatch.setattr(engines, 'installed', lambda name: False)
    assert main(['doctor']) == 1
    printed = capsys.readouterr().out
    assert 'docs/container.md' in printed
    assert './run.sh' in printed
    assert 'not ready' in printed


@pytest.mark.parametrize(('error', 'wrong'), [(NeonRnnError('this MKL computes 1x1 convolutions wrongly'), True),
                                              (UsageError('no CUDA for Python here'), False)])
def test_wrong_is_told_from_missing(capsys, monkeypatch, error, wrong):
    backends = {'mkl': {'usable': False, 'detail': str(error), 'wrong': error.exit_status == 1}}
    monkeypatch.setattr(doctor, '_neon', lambda: {'installed': True, 'advice': None, 'version': '2.6.0',
                                                  'backends': backends})
    assert main(['doctor']) == int(wrong)
    printed = capsys.readouterr().out
    assert str(error) in printed
    assert ('WRONG: ' in printed) == wrong
