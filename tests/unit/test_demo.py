"""The main job: its steps, on this machine and through neon's container."""

import pytest

from neon_rnn import engines, training
from neon_rnn.cli import main
from neon_rnn.commands import demo, evaluate, table
from neon_rnn.support.errors import NeonRnnError, UsageError


@pytest.mark.parametrize(('engine', 'backend'), [('torch', 'cpu'), ('neon', 'mkl')])
def test_the_steps(tmp_path, monkeypatch, capsys, engine, backend):
    called = []
    monkeypatch.setattr(engines, 'installed', lambda name: name == 'torch')
    monkeypatch.setattr(demo, '_make_data', lambda folder: called.append(('data', folder)))
    monkeypatch.setattr(
        demo, '_run_in_container', lambda words: called.append(('container', words))
    )
    monkeypatch.setattr(training, 'train', lambda *_, **named: called.append(('train', named)))
    monkeypatch.setattr(
        evaluate, 'measure', lambda run, **files: called.append(('evaluate', files))
    )
    monkeypatch.setattr(
        table, 'write_beside_published', lambda *folders: called.append(('table', folders))
    )
    out, data = str(tmp_path / 'results'), str(tmp_path / 'data')
    assert main(['demo', '--engine', engine, '--data', data, '--out', out, '-e', '1']) == 0

    shown = [
        line[len('$ ./run.sh ') :] for line in capsys.readouterr().out.splitlines() if '$' in line
    ]
    assert [line.split()[0] for line in shown] == ['data', 'train', 'evaluate', 'table']
    words = shown[1].split()
    run_id = words[words.index('--run_id') + 1]
    assert run_id.startswith(f'rnn-{engine}-{backend}-s0-')
    options = f'--engine {engine} -b cpu'
    assert shown[1] == (
        f'train --model rnn --data {data} {options} -e 1 -r 0 --out {out}/runs --run_id {run_id}'
    )
    figures = f'{out}/runs/{run_id}/evaluation.json'
    assert shown[2].startswith(f'evaluate {out}/runs/{run_id} {options} --json {figures}')
    assert called[0] == ('data', data)
    assert called[-1] == ('table', (out + '/runs', out))
    if engine == 'neon':  # whose container has no matplotlib
        assert called[1:-1] == [('container', words), ('container', shown[2].split())]
        assert '--png' not in shown[2]
    else:
        assert called[1] == ('train', {'argv': words, 'run_id': run_id})
        assert called[2][1]['json'] == figures
        assert called[2][1]['png'] == shown[2].split()[-1] == f'{out}/runs/{run_id}/confusion.png'


@pytest.mark.parametrize(
    ('status', 'error'), [(1, NeonRnnError), (2, UsageError), (130, KeyboardInterrupt)]
)
def test_a_step_that_fails_in_the_container_ends_the_demo(tmp_path, monkeypatch, status, error):
    script = tmp_path / 'container.sh'
    script.write_text(f'#!/bin/sh\nexit {status}\n')
    script.chmod(0o755)
    monkeypatch.setattr(demo.processes, 'container_script', lambda: str(script))
    with pytest.raises(error):
        demo._run_in_container(['train', '--model', 'rnn'])


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
