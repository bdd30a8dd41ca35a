"""The peers of the benchmark: the same results as the engine's, or no time is measured."""

import json
import os
import shutil

import numpy as np
import pytest

from benchmarks import measure, reference, report, suite
from benchmarks.lineup import PEERS, Pythons, lineup
from benchmarks.reference import Reference
from benchmarks.worker import make_variant
from neon_rnn import models

#: A Python with benchmarks/peers.txt; without one, JAX, Keras and OpenVINO are not tested.
PEERS_PYTHON = os.environ.get('PEERS_PYTHON')


def plan(model='rnn', side=32, **options):
    return suite.Plan(model, 'cpu', 4, side, 1, 0.05, None, 0, PEERS_PYTHON, None, options)


def differences(chosen, folder, **settings):
    """Compare a port with the engine, in this process; return the differences."""
    spec = dict(chosen.common, reference=str(folder), precision='float32')
    if not os.listdir(folder):
        make_variant(dict(spec, kind='reference', engine='torch', onnx=False))
    spec.update(kind='peer', peer='torch_port', **settings)
    found = make_variant(spec).check()['differences']
    assert reference.problem(found, spec['precision']) is None
    return found


@pytest.mark.parametrize(
    ('model', 'options'),
    [
        ('rnn', {}),
        ('rnn', {'rnn': 'bilstm'}),
        ('rnn', {'rnn': 'bigru'}),
        ('rnn', {'rnn': 'elman'}),
        ('cnn-2', {}),
        ('resnet-18', {}),
        ('tl-2', {}),
        ('fcnn-1', {}),
    ],
)
def test_the_ports_compute_what_the_engine_computes(model, options, tmp_path):
    # ResNet-50 ends in single pixels at 32 x 32: a batch norm over four numbers tells nothing.
    chosen = plan(model, 96 if model == 'tl-2' else 32, **options)
    found = differences(chosen, tmp_path)
    # A wrong layer gives 1 or more.
    assert found['step'] < 5e-2
    assert found['probabilities'] < 1e-4
    differences(chosen, tmp_path, channels_last=True)
    if model == 'rnn':
        assert differences(chosen, tmp_path, renet=True)['step'] < 2e-2
        differences(chosen, tmp_path, precision='bf16')


@pytest.mark.skipif(not PEERS_PYTHON, reason='PEERS_PYTHON names no Python with peers.txt')
@pytest.mark.parametrize(
    ('model', 'side', 'options'),
    [('rnn', 32, {}), ('rnn', 32, {'rnn': 'lstm'}), ('resnet-18', 64, {}), ('cnn-1', 16, {})],
)
def test_the_other_libraries_compute_what_the_engine_computes(model, side, options):
    chosen, pythons = plan(model, side, **options), Pythons(peers=PEERS_PYTHON)
    peers = 'jax', 'keras', 'onnxruntime', 'openvino'
    with suite.referenced(chosen, lineup(chosen.common, pythons, peers)) as (able, skipped):
        assert not skipped
        results = measure.take_turns(able, [], 0.05)
    assert all('error' not in each for each in results.values())
    found = {key: each['check'] for key, each in results.items()}
    assert found['onnxruntime-float32']['probabilities'] < 1e-5
    assert found['openvino-float32']['probabilities'] < 1e-4
    assert {'jax-float32', 'keras-float32'} <= set(found)


def test_every_row_has_a_description():
    """Build the networks, without computing: the large rows take long."""
    from benchmarks.describing import describe
    from neon_rnn import engines

    nn = engines.load('torch')
    for model in models.ROWS:
        nn.start('cpu', 2, 0, threads=1)
        built, cost = models.build(model, nn, (3, 32, 32))
        built.initialize((3, 32, 32), cost)
        described = describe(built.layers)
        assert described[-1]['kind'] == 'softmax'
        assert json.loads(json.dumps(described)) == described


def test_a_network_with_other_layers_is_left_to_the_engines():
    chosen = plan('efficientnet-lite0')
    with suite.referenced(chosen, lineup(chosen.common, Pythons(), ('eager',))) as (able, skipped):
        assert [variant.key for variant in able] == ['torch-float32', 'torch-bf16']
    assert 'the peers have no layer like' in skipped['eager-float32']['reason']


def test_a_peer_that_computes_something_else_is_not_timed(tmp_path):
    chosen = plan()
    with suite.referenced(chosen, lineup(chosen.common, Pythons(), ('eager',))) as (able, _):
        eager = next(variant for variant in able if variant.key == 'eager-float32')
        path = os.path.join(eager.spec['reference'], 'network.json')
        with open(path) as file:
            layers = json.load(file)
        for layer in layers:
            if layer['kind'] == 'convolution':
                layer['dilation'] = layer['padding'] = [1, 1]
        layers[-4]['padding'] = [1, 1]
        with open(path, 'w') as file:
            json.dump(layers, file)
        found = measure.take_turns([eager], ['train'], 0.05)['eager-float32']
    assert 'train' not in found
    assert 'not timed, its result is another one: ' in found['error']
    assert 'step by' in found['error']


@pytest.fixture(scope='module')
def resnet50(tmp_path_factory):
    """The specification of the port of ResNet-50 in bf16, and that of the engine."""
    folder = tmp_path_factory.mktemp('resnet50')
    spec = dict(plan('resnet-50', 64).common, batch=8, reference=str(folder), engine='torch')
    make_variant(dict(spec, precision='float32', kind='reference', onnx=False))
    spec['precision'] = 'bf16'
    return dict(spec, kind='peer', peer='torch_port', channels_last=True), dict(spec, kind='engine')


def bf16_problem(spec):
    """Return the differences of a variant from its reference, and what is wrong with them."""
    found = make_variant(spec).check()['differences']
    return found, reference.problem(found, 'bf16', spec.get('channels_last', False))


def test_sixteen_blocks_in_bf16_are_timed(resnet50):
    for spec in resnet50:
        found, wrong = bf16_problem(spec)
        assert wrong is None
        assert found['probabilities'] < 0.03


@pytest.mark.parametrize('block', [0, 8, 15])
def test_one_missing_rectifier_of_sixteen_blocks_is_found_in_bf16(resnet50, block, tmp_path):
    port, _ = resnet50
    folder = tmp_path / 'broken'
    shutil.copytree(port['reference'], folder)
    layers = json.loads((folder / 'network.json').read_text())
    sums = [layer for layer in layers if layer['kind'] == 'sum']
    assert len(sums) == 16
    branch = max(sums[block]['pathways'], key=len)
    assert branch.pop(-3)['kind'] == 'relu'
    (folder / 'network.json').write_text(json.dumps(layers))
    _, wrong = bf16_problem(dict(port, reference=str(folder)))
    assert wrong is not None
    assert 'probabilities by' in wrong


def test_a_step_is_compared_with_its_length(tmp_path):
    for kind, value in (('before', 1.0), ('after', 1.5)):
        np.savez(tmp_path / kind, **{'a.weight': np.full(4, value), 'a.mean': np.zeros(2)})
    for name in ('inputs', 'labels'):
        np.save(tmp_path / name, np.zeros(1))
    np.save(tmp_path / 'probabilities', np.array([[0.5, 0.5]]))
    np.save(tmp_path / 'cost', 0.25)
    (tmp_path / 'network.json').write_text('[]')
    found = Reference(str(tmp_path)).compare(
        [[0.5, 0.25]], 0.5, {'a.weight': np.full(4, 1.25), 'a.mean': np.full(2, 9.0)}
    )
    assert found == {'probabilities': 0.25, 'cost': 0.25, 'step': 0.5}
    assert reference.problem({'cost': 1e-4, 'step': 0.04}, 'float32') is None
    assert 'cost by nan' in reference.problem({'cost': float('nan')}, 'bf16')


def test_what_is_not_installed_is_skipped_with_the_reason(monkeypatch):
    monkeypatch.setattr('benchmarks.lineup._missing', lambda python, names: list(names))
    monkeypatch.setattr('benchmarks.lineup.shutil.which', lambda name: None)
    found = lineup(plan().common, Pythons(), PEERS)
    assert {variant.spec['kind'] for variant in found.variants} == {'engine', 'peer'}
    reasons = {key: each['reason'] for key, each in found.skipped.items()}
    assert 'not installed: jax, flax, optax (pip install -r' in reasons['jax-float32']
    assert reasons['compiled-bf16'] == 'needs a C++ compiler'
    assert '--neon-python' in reasons['neon-mkl']
    assert {'keras-float32', 'onnxruntime-float32', 'openvino-bf16'} <= set(reasons)
    text = report._speeds(
        {'variants': {}, 'skipped': found.skipped, 'plan': {}, 'flops': {}}, 'train'
    )
    assert '- OpenVINO, exported network, bf16: not measured, not installed: openvino' in text


@pytest.mark.parametrize(('folder', 'skipped'), [('/a b', True), ('/a/b', False)])
def test_torch_compile_is_skipped_where_it_cannot_link(folder, skipped, monkeypatch):
    monkeypatch.setattr('benchmarks.lineup.shutil.which', lambda name: '/usr/bin/g++')
    monkeypatch.setattr('benchmarks.lineup._file', lambda package: f'{folder}/{package}.py')
    monkeypatch.setattr('benchmarks.lineup._too_slow', lambda spec: None)
    found = lineup(plan().common, Pythons(), ('compiled',)).skipped
    assert ('its path has a space: /a b/torch.py' in str(found)) == skipped == bool(found)


@pytest.mark.parametrize('multiplies', [True, False])
def test_ports_in_bf16_are_skipped_where_the_processor_has_none(multiplies, monkeypatch):
    """A minibatch would take minutes; the engine multiplies in float32 there."""
    monkeypatch.setattr(
        'neon_rnn.engines.torch.ops.matmul.multiplies_bfloat16', lambda device: multiplies
    )
    found = lineup(plan().common, Pythons(), ('eager', 'channels_last'))
    ports = {'eager-bf16', 'eager-bf16-memory', 'channels-last-bf16'}
    assert set(found.skipped) == (set() if multiplies else ports)
    assert {'torch-bf16', 'eager-float32'} <= {variant.key for variant in found.variants}
    assert all('has no bfloat16' in each['reason'] for each in found.skipped.values())
    on_gpu = dict(plan().common, backend='gpu')
    assert not lineup(on_gpu, Pythons(), ('eager',)).skipped


def test_peers_txt_pins_what_pyproject_pins():
    """But for h5py, of which TensorFlow wants an older one."""
    root = os.path.join(os.path.dirname(__file__), '..', '..')
    with open(os.path.join(root, 'benchmarks', 'peers.txt')) as file:
        pins = [line.strip() for line in file if line.strip() and not line.startswith('#')]
    with open(os.path.join(root, 'pyproject.toml')) as file:
        project = file.read()
    assert all(pin.count('==') == 1 for pin in pins)
    for name in ('numpy', 'onnxruntime', 'pillow', 'tqdm'):
        (pin,) = (pin for pin in pins if pin.startswith(name + '=='))
        assert f'"{pin}' in project


def test_channels_last_layers_of_pytorch_may_differ_more_in_float32():
    assert 'step by 2.0e-01' in reference.problem({'step': 0.2}, 'float32')
    assert reference.problem({'step': 0.2}, 'float32', channels_last=True) is None
    assert reference.problem({'step': 0.4}, 'float32', channels_last=True) is not None
    assert reference.problem({'step': 0.5}, 'bf16', channels_last=True) is None
