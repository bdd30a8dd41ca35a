"""The page of the benchmarks that are kept, docs/speeds.md."""

import json

import pytest

from benchmarks import page, predicting, rows
from benchmarks.__main__ import main as bench


def kept(path, when='2026-01-02T03:04:05Z', **ratios):
    """A benchmark of the row `rnn` as `bench page` reads it; ratios are those of the peers."""
    speeds = {'torch-float32': 1.0, **ratios}
    made = {
        'schema': 1,
        'plan': {'model': 'rnn', 'options': {}, 'batch': 10, 'side': 128},
        'parts': ['train'],
        'when': when,
        'git': {'commit': '0123456789abcdef'},
        'machine': {'cpu': 'a processor', 'cores': 2, 'memory_gib': 4.0},
        'load': {'disturbed': False},
        'peaks': {'float32': 1e9, 'bf16': 2e9, 'memory': 1e9},
        'flops': {'layers': [{'forward': 1e7, 'read': 100, 'written': 100}]},
        'variants': {
            key: {'label': key, 'train': [{'seconds': seconds, 'turn': turn} for turn in (1, 2)]}
            for key, seconds in speeds.items()
        },
    }
    return rows.Measured(path, made)


def test_the_page_is_what_the_kept_benchmarks_give():
    """`./run.sh bench page` writes it anew."""
    assert (page.ROOT / page.PAGE).read_text('utf-8') == page.page()


def test_every_row_has_its_latest_benchmark_and_the_ratios_of_the_others():
    latest = kept('b.json', **{'channels-last-float32': 1.5, 'compiled-float32': 1.4})
    before = kept('a.json', '2026-01-01T00:00:00Z', **{'compiled-float32': 1.25})
    text = ''.join(rows.tables([before, latest]))
    # Two passes of 1e7 operations at 1e9 a second are 20 ms an image at best.
    assert 'float32; 1 of 1 reach the goal' in text
    assert '| RNN | 10.0 (10.0 to 10.0) | **1.40** | 20% |' in text
    assert '| 6.7 | 1.50 |  | 7.1 | 1.40 |  | [2026-01-02 03:04, 0123456](b.json) |' in text
    assert 'bf16' not in text.replace('| float32 | bf16 |', ''), 'nothing was run in it'
    assert '| RNN | 1.25 | not run | [2026-01-01 00:00, 0123456](a.json) |' in text


def test_where_no_peer_was_measured_the_engine_is_still_shown():
    """As on a processor without bfloat16, where a port would take minutes for a minibatch."""
    alone = kept('a.json', **{'compiled-float32': 1.5, 'torch-bf16': 0.5})
    text = ''.join(rows.tables([alone]))
    assert 'bf16; no peer was measured:' in text
    assert '| RNN | 20.0 (20.0 to 20.0) | not run |' in text


def test_a_benchmark_that_was_disturbed_does_not_take_the_place_of_another():
    peers = {'compiled-float32': 2.0}
    quiet, later = kept('a.json', **peers), kept('b.json', '2026-02-01T00:00:00Z', **peers)
    later.figures['load']['disturbed'] = True
    main, others = ''.join(rows.tables([quiet, later])).split('Other runs')
    assert '(a.json) |' in main
    assert '(b.json), disturbed |' in others
    alone = ''.join(rows.tables([later]))
    assert '(b.json), disturbed |' in alone
    assert 'Other runs' not in alone


def test_the_limits_are_those_of_the_gpu_that_computed():
    measured = kept('a.json')
    measured.figures['plan']['backend'] = 'gpu'
    assert 'a processor, 2 cores, 4.0 GiB. The limits of its GPU, ' in rows.limits([measured])


@pytest.mark.parametrize(
    ('model', 'cell', 'side', 'name'),
    [
        ('rnn', None, 128, 'RNN'),
        ('rnn', 'bilstm', 64, 'RNN, bilstm, 64 x 64'),
        ('tl-1', None, 224, 'TL-1'),
        ('tl-1', None, 128, 'TL-1, 128 x 128'),
        ('efficientnet-lite0', None, 128, 'efficientnet-lite0'),
    ],
)
def test_a_network_is_named_by_its_row_cell_and_side(model, cell, side, name):
    measured = kept('a.json')
    measured.figures['plan'].update(model=model, side=side, options={'rnn': cell} if cell else {})
    assert rows.label(measured) == name


def test_a_benchmark_is_kept_under_a_name_that_tells_what_it_measured(tmp_path, monkeypatch):
    monkeypatch.setattr(page, 'ROOT', tmp_path)
    folder = tmp_path / page.FOLDER / 'mine'
    folder.mkdir(parents=True)
    (folder / 'name.txt').write_text('My machine\nIt is old.\n')
    given = kept('a.json', **{'compiled-float32': 2.0}).figures
    (tmp_path / 'bench.json').write_text(json.dumps(given))
    words = ['--add', str(tmp_path / 'bench.json'), '--machine', 'mine']
    out = tmp_path / 'docs' / 'speeds.md'
    assert bench(['page', *words, '--out', str(out)]) == 0
    assert json.loads((folder / 'rnn-128-202601020304.json').read_text()) == given
    assert '## My machine\nIt is old.\n\na processor, 2 cores' in out.read_text()
    assert '**2.00**' in out.read_text()


@pytest.mark.parametrize(
    ('words', 'status', 'message'),
    [
        (['--add', 'bench.json'], 2, '--add and --machine go together'),
        (['--machine', 'xeon-amx'], 2, '--add and --machine go together'),
        (['--add', 'bench.json', '--machine', 'no'], 2, '--machine no: there is no '),
        (['--add', 'bench.json', '--machine', 'xeon-amx'], 1, 'bench.json: is not a benchmark'),
    ],
)
def test_wrong_additions_are_refused(words, status, message, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / 'bench.json').write_text('{"schema": 1, "parts": ["predict"]}')
    assert bench(['page', '--out', str(tmp_path / 'page.md'), *words]) == status
    assert message in capsys.readouterr().err
    assert not (tmp_path / 'page.md').exists()


def predicted(when):
    """A benchmark as `bench predict` writes it: images/s of pixels and files, alone."""
    speeds = {
        'openvino-bf16': (300.0, 200.0),
        'torch-bf16': (400.0, 100.0),
        'openvino-float32': (100.0, 50.0),
        'torch-float32': (90.0, 60.0),
    }
    return {
        'schema': 1,
        'plan': {'model': 'rnn', 'options': {}, 'side': 128, 'threads': None},
        'when': when,
        'git': {'commit': '0123456789abcdef'},
        'loads': [
            {
                'busy_processes': 0,
                'load_before': 0.5,
                'stolen': 0,
                'others': 0,
                'threads': {'torch-float32': 2},
            }
        ],
        'variants': {
            key: {
                'label': key,
                'speeds': [
                    {'busy': 0, 'way': way, 'batch': 32, 'median': speed, 'low': 1, 'high': 2}
                    for way, speed in zip(('predict', 'files'), each, strict=True)
                ],
            }
            for key, each in speeds.items()
        },
    }


def test_the_fastest_of_each_precision_is_bold():
    lines = predicting.table(predicted('2026-01-02T03:04:05Z')['variants'], 0).splitlines()
    assert lines[0] == '|  | pixels, batch 32 | JPEG files, batch 32 |'
    assert lines[2:] == [
        '| torch-float32 | 90.0 (1.0 to 2.0) | **60.0** (1.0 to 2.0) |',
        '| openvino-float32 | **100.0** (1.0 to 2.0) | 50.0 (1.0 to 2.0) |',
        '| torch-bf16 | **400.0** (1.0 to 2.0) | 100.0 (1.0 to 2.0) |',
        '| openvino-bf16 | 300.0 (1.0 to 2.0) | **200.0** (1.0 to 2.0) |',
    ]


def test_of_prediction_the_latest_benchmark_is_on_the_page():
    measured = [
        rows.Measured(f'{day}.json', dict(predicted(f'2026-01-0{day}T00:00:00Z'), loads=loads))
        for day, loads in ((1, []), (2, predicted('')['loads']))
    ]
    for load in measured[1].figures['loads']:
        load['disturbed'] = True
    text = ''.join(page.section(page.Machine('Mine', '', [], measured)))
    assert '## Mine\n\nPrediction, RNN, [2026-01-02 00:00, 0123456](2.json)' in text
    assert '(earlier: [2026-01-01 00:00, 0123456](1.json))' in text
    assert 'Alone. The engine chose 2 threads. Load before: 0.5.' in text
    assert '**Other work disturbed this run' in text
    assert '**400.0**' in text


def test_a_benchmark_of_prediction_is_kept_too(tmp_path, monkeypatch):
    monkeypatch.setattr(page, 'ROOT', tmp_path)
    folder = tmp_path / page.FOLDER / 'mine'
    folder.mkdir(parents=True)
    (folder / 'name.txt').write_text('My machine')
    given = tmp_path / 'predict.json'
    given.write_text(json.dumps(predicted('2026-01-02T03:04:05Z')))
    assert page.keep(given, 'mine').name == 'predict-rnn-128-202601020304.json'
