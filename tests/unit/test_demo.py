"""The main job: its steps, on this machine and through neon's container."""

import pytest
import synthetic_records as synthetic

from neon_rnn import engines
from neon_rnn.cli import main
from neon_rnn.commands import demo
from neon_rnn.support.errors import NeonRnnError


@pytest.mark.parametrize(
    ('engine', 'where', 'draws'), [('torch', 'here', True), ('neon', 'container', False)]
)
def test_the_steps(tmp_path, monkeypatch, engine, where, draws):
    steps = []

    def step_in(place):
        def step(*argv):
            steps.append((place, list(argv)))
            if argv[0] == 'train':
                runs = tmp_path / 'results/runs'
                synthetic.write(runs, synthetic.record('rnn-made', ended='2026-11-23T12:00:00Z'))
                # what other trainings have made in the meantime
                synthetic.write(runs, synthetic.record('rnn-earlier', ended='2026-11-23T11:59:59Z'))
                synthetic.write(
                    runs,
                    synthetic.record('cnn-1-later', model='cnn-1', ended='2026-11-23T12:00:01Z'),
                )
                synthetic.write(runs, synthetic.record('rnn-running', status='running', ended=None))
                (runs / 'rnn-just-begun').mkdir()

        return step

    monkeypatch.setattr(engines, 'installed', lambda name: name == 'torch')
    monkeypatch.setattr(demo, '_step', step_in('here'))
    monkeypatch.setattr(demo, '_compose', step_in('container'))
    out, data = str(tmp_path / 'results'), str(tmp_path / 'data')
    assert main(['demo', '--engine', engine, '--data', data, '--out', out, '-e', '1']) == 0

    assert [(place, argv[0]) for place, argv in steps] == [
        ('here', 'data'),
        (where, 'train'),
        (where, 'evaluate'),
        ('here', 'table'),
    ]
    training, evaluation = steps[1][1], steps[2][1]
    assert training[1:] == [
        '--model',
        'rnn',
        '--data',
        data,
        '--engine',
        engine,
        '-b',
        'cpu',
        '-e',
        '1',
        '-r',
        '0',
        '--out',
        out + '/runs',
    ]
    folder = out + '/runs/rnn-made'
    assert evaluation[1] == folder
    assert evaluation[evaluation.index('--json') + 1] == folder + '/evaluation.json'
    assert ('--png' in evaluation) is draws  # there is no matplotlib in the container


def test_a_step_is_shown_as_it_can_be_typed_and_stops_at_a_failure(capsys):
    with pytest.raises(NeonRnnError, match="'train' ended with status 2"):
        demo._step('train', '--out', 'a folder', run=lambda argv: 2)
    assert capsys.readouterr().out == "\n$ ./run.sh train --out 'a folder'\n"
    with pytest.raises(KeyboardInterrupt):
        demo._step('train', run=lambda argv: 130)


def test_wrong_usage_stays_wrong_usage(tmp_path, capsys):
    """What no training can be asked for ends the whole with 2 as well."""
    assert (
        main(
            [
                'data',
                'demo',
                '--out',
                str(tmp_path / 'demo'),
                '--train',
                '4',
                '--test',
                '4',
                '--size',
                '32',
            ]
        )
        == 0
    )
    assert main(['demo', '--data', str(tmp_path / 'demo'), '-e', '0', '--out', str(tmp_path)]) == 2
    assert 'epochs is 0; it has to be at least 1.' in capsys.readouterr().err
