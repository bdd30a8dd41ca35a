"""The benchmark's counting, turns and report."""

import json
import os
import re
from pathlib import Path

import pytest

from benchmarks import flops, load, measure, predicting, report, suite
from benchmarks.__main__ import main as bench
from benchmarks.lineup import Pythons, lineup
from benchmarks.load import Ticks
from benchmarks.variants import Variant, Worker
from neon_rnn import engines, models
from neon_rnn.cli import main
from neon_rnn.support import machine
from neon_rnn.support.errors import NeonRnnError
from neon_rnn.support.wording import counted

SMALL = suite.Plan('rnn', 'cpu', 4, 32, 1, 0.05, None)


@pytest.fixture(scope='module')
def eager():
    """The eager port of a small network with a minibatch of four, and its reference."""
    with suite.referenced(SMALL, lineup(SMALL.common, Pythons(), ('eager',))) as (able, _):
        yield next(variant for variant in able if variant.key == 'eager-float32')


def build(name='rnn', side=64, **options):
    nn = engines.load('torch')
    nn.start('cpu', 4, 0, threads=1)
    model, cost = models.build(name, nn, (3, side, side), **options)
    model.initialize((3, side, side), cost)
    return model


def test_operations_of_the_published_network_counted_by_hand():
    convolutions = [
        2 * 27 * 32 * 128**2,
        2 * 288 * 64 * 64**2,
        2 * 576 * 128 * 32**2,
        2 * 1152 * 256 * 16**2,
    ]
    first = 2 * 8 * 2 * 256 * (8 * 1024 + 7 * 256), 2 * 8 * 2 * 256 * (8 * 512 + 7 * 256)
    second = 2 * 4 * 2 * 512 * (4 * 2048 + 3 * 512), 2 * 4 * 2 * 512 * (4 * 1024 + 3 * 512)
    forward = sum(convolutions) + sum(first) + sum(second) + 2 * 1024 * 2 * 6**2
    model = build(side=128)
    assert flops.inference_flops(model) == forward
    assert flops.training_flops(model) == 3 * forward - convolutions[0]


@pytest.mark.parametrize(
    ('rnn', 'more'),
    [
        (
            'deep_output',
            2 * 8 * 2 * 8 * 2 * 256 * 256 + 2 * 4 * 2 * 4 * 2 * 512 * 512,
        ),  # V h of every step, sweep, direction
        ('jordan', 2 * 8 * 2 * 8 * 2 * 256 * 256 + 2 * 4 * 2 * 4 * 2 * 512 * 512),
        (
            'stacked',
            2 * (2 * 8 * 2 * 256 * (8 * 512 + 7 * 256) + 2 * 4 * 2 * 512 * (4 * 1024 + 3 * 512)),
        ),
    ],
)
def test_operations_of_the_cells_beside_the_published_one(rnn, more):
    assert (
        flops.inference_flops(build(side=128, rnn=rnn))
        == flops.inference_flops(build(side=128)) + more
    )


def test_a_pathway_is_counted_in_its_container():
    model = build('resnet-18')
    convolutions = [
        module for module in model.layers.modules() if type(module).__name__ == 'Convolution'
    ]
    linear = [module for module in model.layers.modules() if type(module).__name__ == 'Linear']
    assert len(list(flops.layer_work(model.layers))) == len(convolutions) + len(linear)


def answers(*seconds, turns=None):
    turns = turns or range(1, 1 + len(seconds))
    return [{'seconds': each, 'turn': turn} for each, turn in zip(seconds, turns, strict=True)]


def test_rates_and_ratios_are_medians():
    assert measure.rate(answers(1.0, 2.0, 4.0), 8)['median'] == 4.0
    assert measure.ratio(answers(1.0, 1.0, 1.0), answers(2.0, 3.0, 9.0, 50.0)) == 3.0


def test_a_ratio_compares_the_same_turns():
    ours = answers(1.0, 3.0, 1.0, 1.0, 1.0, turns=(1, 1, 2, 3, 4))
    assert measure.ratio(ours, answers(8.0, 5.0, turns=(1, 2))) == 4.5
    assert measure.ratio(answers(1.0, 2.0), answers(24.0, turns=(0,))) == 16.0


class FakeWorker:
    def __init__(self, clock, seconds):
        self.clock, self.seconds, self.asked, self.rested = clock, seconds, 0, []

    def ask(self, request):
        if request == 'rest':
            self.rested.append(self.asked)
            return {}
        assert request == 'train'
        self.asked += 1
        self.clock[0] += self.seconds
        return {'seconds': self.seconds}


def fake_workers(monkeypatch, **seconds):
    """Workers on a clock that only they move, by the seconds of a minibatch of each."""
    clock = [0.0]
    monkeypatch.setattr(measure.time, 'monotonic', lambda: clock[0])
    return {key: FakeWorker(clock, each) for key, each in seconds.items()}


def test_turns_take_equal_time(monkeypatch):
    workers = fake_workers(monkeypatch, fast=0.5, slow=3.0, slower=15.0, slowest=25.0)
    results = {key: {} for key in workers}
    measure.ask_in_turns(results, workers, 'train', 8.0)
    assert [answer['turn'] for answer in results['fast']['train']] == [
        turn for turn in (1, 2, 3, 4) for _ in range(4)
    ]
    assert [answer['turn'] for answer in results['slow']['train']] == [1, 2, 3]
    assert [answer['turn'] for answer in results['slower']['train']] == [1]
    assert workers['slower'].asked == 3
    assert [answer['turn'] for answer in results['slowest']['train']] == [
        0
    ]  # too slow for a warm-up
    # two slow minibatches warm up, then three take their turns
    assert workers['slow'].asked == 5


def test_variants_that_rest_begin_each_turn_with_a_minibatch_that_does_not_count(monkeypatch):
    workers = fake_workers(monkeypatch, fast=0.5, slow=3.0, slowest=25.0)
    results = {key: {} for key in workers}
    measure.ask_in_turns(results, workers, 'train', 8.0, rests=True)
    assert [answer['turn'] for answer in results['fast']['train']] == [
        turn for turn in (1, 2, 3, 4) for _ in range(3)
    ]
    assert workers['fast'].rested == [4, 8, 12, 16, 20]
    assert [answer['turn'] for answer in results['slow']['train']] == [1, 2]
    assert workers['slow'].rested == [2, 4, 6]
    # Too slow for a minibatch that does not count.
    assert [answer['turn'] for answer in results['slowest']['train']] == [0]
    assert workers['slowest'].rested == [1]


@pytest.mark.parametrize(('memory', 'rests'), [(None, False), (0.01, True), (10**6, False)])
def test_variants_rest_if_they_fill_the_memory(eager, monkeypatch, memory, rests):
    monkeypatch.setattr(machine, 'memory_gib', lambda: memory)
    results = measure.take_turns([Variant('one', 'one', eager.spec)], ['train'], 0.05)
    assert results['one']['rests'] == rests
    assert len(results['one']['train']) >= 1


def test_a_worker_that_rests_gives_free_memory_back(eager):
    """Its allocator keeps what is free otherwise."""
    worker = Worker(Variant('eager', 'the port', dict(eager.spec, keep_memory=True)))
    try:
        worker.ask('train')
        found = worker.ask('rest')
        assert found['kept_gib'] < found['held_gib']
        assert worker.ask('train')['seconds'] > 0
    finally:
        worker.kill()


def test_a_variant_that_fails_is_in_the_results_and_stops_nobody(eager):
    results = measure.take_turns(
        [
            Variant('good', 'good', eager.spec),
            Variant('bad', 'bad', dict(eager.spec, side=33)),
        ],
        ['train'],
        0.05,
    )
    assert len(results['good']['train']) >= 1
    assert results['good']['peak_memory_gib'] > 0.05
    assert results['bad']['error'].startswith('bad: ')


def figures():
    variants = {
        'torch-float32': {
            'label': 'torch engine, float32',
            'train': answers(1.0, 1.0),
            'peak_memory_gib': 1.5,
        },
        'eager-float32': {'label': 'eager', 'train': answers(2.0, 3.0)},
        'neon-mkl': {'label': 'Intel neon, mkl', 'error': 'Intel neon, mkl: no'},
    }
    return {
        'plan': {'model': 'rnn', 'backend': 'cpu', 'batch': 10, 'side': 64},
        'parts': ['train'],
        'when': 'now',
        'machine': {'cpu': 'a processor', 'cores': 2, 'memory_gib': 4.0, 'system': 'Linux'},
        'variants': variants,
        'git': {'commit': '0123456789abcdef', 'dirty': True},
        'peaks': {'float32': 1e9, 'bf16': 2e9, 'memory': 1e9},
        'flops': {
            'train': 5e7,
            'predict': 2e7,
            'parameters': 7,
            'layers': [
                {'forward': 1e7, 'read': 100, 'written': 100},
                {'forward': 0.0, 'read': 10**6, 'written': 0},
            ],
        },
    }


def test_the_report_shows_speed_ratio_roofline_and_failure():
    text = report.markdown(figures())
    # two passes of 1e7 operations at 1e9 a second, three of 4e6 bytes at 1e9: 32 ms an image at
    # best
    assert '| torch engine, float32 | 10.0 (10.0 to 10.0) | 0 | 32% | 1.5 |' in text
    assert '| torch engine, float32 | 2.50 |' in text
    assert 'Intel neon, mkl: no' in text
    assert report.plot(figures()).count('10.0') >= 1
    assert 'gave theirs back' not in text
    rested = figures()
    rested['variants']['torch-float32']['rests'] = True
    assert 'gave theirs back after each turn' in report.markdown(rested)


def test_other_work_is_made_and_ends():
    found = []
    with pytest.raises(KeyError), load.busy(2):
        found = [process for process in subprocess_ids() if process not in found]
        assert len(found) == 2
        assert len({os.getsid(process) for process in found}) == 2
        raise KeyError
    assert not set(found) & set(subprocess_ids())


def subprocess_ids():
    """Return the process numbers of this process's children."""
    task = f'/proc/self/task/{os.getpid()}/children'
    return [int(word) for word in Path(task).read_text().split()]


@pytest.mark.parametrize(
    ('before', 'stolen', 'disturbed'), [(0.0, 0, False), (99.0, 0, False), (0.0, 20, True)]
)
def test_a_disturbed_machine_is_noticed(monkeypatch, before, stolen, disturbed):
    ticks = iter([Ticks(1000, 5, 200), Ticks(2000, 5 + stolen, 200)])
    monkeypatch.setattr(os, 'getloadavg', lambda: (before, 0, 0))
    monkeypatch.setattr(load, '_ticks', lambda: next(ticks))
    found = load.Watch().figures(1)
    assert found == {
        'busy_processes': 1,
        'load_before': before,
        'stolen': stolen / 1000,
        'others': 0.0,
        'disturbed': disturbed,
    }
    text = report.markdown(dict(figures(), load=found))
    assert 'Beside 1 other program that this benchmark kept busy. ' in text
    assert ('Other work disturbed this run' in text) == disturbed


@pytest.mark.parametrize(('before', 'disturbed'), [(0.0, False), (99.0, True)])
def test_where_linux_does_not_count_the_load_before_decides(monkeypatch, before, disturbed):
    monkeypatch.setattr(os, 'getloadavg', lambda: (before, 0, 0))
    monkeypatch.setattr(load, '_ticks', lambda: None)
    assert load.Watch().figures(0)['disturbed'] == disturbed


def test_other_programs_are_noticed(monkeypatch):
    ticks = iter([Ticks(1000, 0, 200), Ticks(2000, 0, 600)])
    own = iter([(1.0, 0.0), (1.0, 300 / os.sysconf('SC_CLK_TCK'))])
    monkeypatch.setattr(os, 'getloadavg', lambda: (0, 0, 0))
    monkeypatch.setattr(load, '_ticks', lambda: next(ticks))
    monkeypatch.setattr(load, 'processor_seconds', lambda: next(own))
    found = load.Watch().figures(0)
    assert (found['others'], found['disturbed']) == (0.1, True)


def test_wrong_parts_are_refused(capsys):
    assert bench(['--parts', 'train,lunch']) == 2
    assert 'lunch' in capsys.readouterr().err
    assert bench(['--peers', 'jax,caffe']) == 2
    assert '--peers: there is no caffe' in capsys.readouterr().err
    assert bench(['--model', 'cnn-1', '--rnn', 'lstm']) == 2
    assert '--rnn is for the network rnn' in capsys.readouterr().err
    assert bench(['--busy', '-1']) == 2
    assert '--busy is -1' in capsys.readouterr().err


@pytest.mark.parametrize(
    ('run', 'command'), [(bench, []), (main, ['reproduce', '--data', 'x', '--engine', 'neon'])]
)
def test_a_python_that_is_a_folder_is_refused(run, command, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(engines, 'installed', lambda name: name == 'torch')
    assert run([*command, '--neon-python', str(tmp_path)]) == 2
    assert '--neon-python: {} cannot be run.'.format(tmp_path) in capsys.readouterr().err


def test_failures_of_every_part_count_and_are_shown():
    made = figures()
    made['variants']['torch-float32']['error'] = 'ended with status 1'
    made['batches'] = [
        {'batch': 1, 'variants': {'eager-float32': {'label': 'eager', 'error': 'too large'}}}
    ]
    made['layers'] = {
        'torch-bf16': {'label': 'torch engine, bf16', 'error': 'no bf16'},
        'torch-float32': [{'name': '0'}],
    }
    assert suite.failures(made) == [
        'ended with status 1',
        'Intel neon, mkl: no',
        'no bf16',
        'too large',
    ]
    assert '10.0 (10.0 to 10.0); then ended with status 1' in report.markdown(dict(made, layers={}))
    with pytest.raises(NeonRnnError, match='no variant could be trained'):
        report.plot(dict(made, variants={}))


def test_a_worker_that_is_gone_at_the_end_costs_no_figures(eager, monkeypatch):
    def gone(self):
        raise NeonRnnError('good: killed')

    monkeypatch.setattr(Worker, 'close', gone)
    results = measure.take_turns([Variant('good', 'good', eager.spec)], ['train'], 0.05)
    assert len(results['good']['train']) >= 1
    assert results['good']['error'] == 'good: killed'


@pytest.mark.slow
def test_the_command_writes_figures_text_and_plot(tmp_path, capsys):
    assert (
        bench(
            [
                '--parts',
                'train,layers,loading',
                '--seconds',
                '0.1',
                '-z',
                '2',
                '--side',
                '32',
                '--threads',
                '1',
                '--peers',
                'eager',
                '--out',
                str(tmp_path),
            ]
        )
        == 0
    )
    written = json.loads((tmp_path / 'bench.json').read_text())
    assert set(written['variants']) >= {'torch-float32', 'torch-bf16', 'eager-float32'}
    names = [row['name'] for row in written['layers']['torch-float32']]
    assert names[0].startswith('0 DataTransform')
    assert '17 SpatialRNN' in names
    assert all(row['backward'] > 0 for row in written['layers']['torch-float32'][:-1])
    assert (tmp_path / 'bench.svg').read_text().startswith('<')
    assert '# Benchmark of rnn' in capsys.readouterr().out


@pytest.mark.parametrize(
    ('processor', 'default_kernels'), [('AMD EPYC', True), ('Intel(R) Xeon(R)', False)]
)
def test_on_amd_mkl_is_measured_with_its_default_kernels_too(
    processor, default_kernels, monkeypatch
):
    monkeypatch.setattr(machine, 'cpu_model', lambda: processor)
    chosen = lineup(SMALL.common, Pythons('/somewhere/python'), ('neon',)).variants
    found = {variant.key: variant for variant in chosen}
    assert ('neon-mkl-default' in found) == default_kernels
    if default_kernels:
        assert found['neon-mkl-default'].environment == {'MKL_DEBUG_CPU_TYPE': ''}
        assert found['neon-mkl-default'].spec == found['neon-mkl'].spec
        assert not found['neon-mkl'].environment
        assert [key for key, variant in found.items() if variant.alone] == ['neon-mkl-default']


def test_a_variant_that_the_kernel_kills_is_said_to_want_memory(eager):
    worker = Worker(Variant('eager', 'the port', eager.spec))
    worker.errors.write(b'a warning that has nothing to do with it\n')
    worker.errors.flush()
    worker.process.kill()
    worker.process.wait()
    with pytest.raises(NeonRnnError, match='the port: killed, probably for want of memory'):
        worker.ask('train')


def test_the_import_benchmark_reports_speed_and_memory(capsys):
    assert bench(['importing', '--images', '640', '--source-size', '64', '--workers', '1']) == 0
    out = capsys.readouterr().out
    assert float(re.search(r'import: (\d+) images/s', out).group(1)) > 0
    assert re.search(r'processor time of an image: \d+\.\d\d ms, 0.00 ms of it in workers', out)
    assert 'peak memory of this process' in out
    assert re.search(r'random reading: \d+ images/s', out)
    assert bench(['importing', '--images', '10']) == 2


def test_prediction_is_measured_by_way_batch_and_load(tmp_path, capsys):
    words = ['predict', '--side', '32', '--batches', '1,3', '--seconds', '0.05']
    assert bench([*words, '--peers', 'none', '--busy', '0,1', '--out', str(tmp_path)]) == 0
    figures = json.loads((tmp_path / 'predict.json').read_text())
    engine = figures['variants']['torch-float32']
    assert engine['check'] == {'probabilities': 0.0}
    cases = [(each['busy'], each['way'], each['batch']) for each in engine['speeds']]
    assert cases == [
        (busy, way, batch) for busy in (0, 1) for batch in (1, 3) for way in ('predict', 'files')
    ]
    assert all(each['median'] > 0 for each in engine['speeds'])
    text = capsys.readouterr().out
    assert '## Alone' in text
    assert '## Beside 1 other program' in text
    assert '| torch engine, bf16 | ' in text
    for noticed in figures['loads']:
        chosen = noticed['threads']['torch-float32']
        assert 1 <= chosen <= machine.cores()
        assert f'The engine chose {counted(chosen, "thread")}.' in text


def test_the_line_above_a_table_tells_how_many_threads_the_engine_chose():
    noticed = {'busy_processes': 1, 'load_before': 0.5, 'stolen': 0, 'others': 0}
    noticed.update(disturbed=False, threads={'torch-float32': 1})
    text = predicting.describe({'threads': None}, noticed)
    assert text.startswith('The engine chose 1 thread. Beside 1 other program')
    assert predicting.describe({'threads': 2}, noticed).startswith('Beside 1 other program')


@pytest.mark.parametrize(
    ('words', 'message'),
    [
        (['--batches', '0'], '--batches 0: has to be numbers of at least 1'),
        (['--busy', '1,x'], '--busy 1,x'),
        (['--peers', 'neon'], '--peers: there is no neon'),
        (['--seconds', '0'], '--seconds is 0'),
    ],
)
def test_wrong_options_of_prediction_are_refused(words, message, capsys):
    assert bench(['predict', *words]) == 2
    assert message in capsys.readouterr().err
