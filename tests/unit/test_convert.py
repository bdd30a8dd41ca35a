"""neon's serialised models are read; those that hold anything but data are refused by name."""

import os
import pickle
import zlib

import numpy as np
import pytest

from neon_rnn import engines
from neon_rnn.cli import main
from neon_rnn.runs import checkpoint
from neon_rnn.support.errors import NeonRnnError
from neon_rnn.weights import neon_prm


def array(*shape):
    return np.arange(np.prod(shape), dtype=np.float32).reshape(shape)


def description():
    """Return what ``Model.serialize`` of neon 2.6 makes of a small model (neon/models/model.py)."""
    spatial = {
        direction: {'W': array(size, 4)}
        for direction, size in (('vertical', 10), ('horizontal', 18))
    }
    layers = [
        {'type': 'neon.layers.layer.DataTransform', 'config': {}},
        {
            'type': 'neon.layers.layer.Convolution_bias',
            'config': {'fshape': (3, 3, 2)},
            'params': {'weight_bias': array(2, 1), 'W': array(27, 2)},
            'states': [[array(27, 2) / 2], [array(2, 1) / 2]],
        },
        {
            'type': 'neon.layers.container.MergeSum',
            'container': True,
            'config': {
                'layers': [
                    {
                        'type': 'neon.layers.container.Sequential',
                        'container': True,
                        'config': {
                            'layers': [
                                {
                                    'type': 'neon.layers.layer.BatchNorm',
                                    'config': {},
                                    'states': [[array(2, 1)], [array(2, 1) + 1]],
                                    'params': {
                                        'gvar': array(2, 1),
                                        'beta': array(2, 1),
                                        'gamma': array(2, 1),
                                        'gmean': array(2, 1),
                                    },
                                }
                            ]
                        },
                    }
                ]
            },
        },
        {
            'type': 'neon_rnn.engines.neon.spatial_rnn.SpatialRNN',
            'config': {'block_shape': (2, 1, 1)},
            'params': spatial,
            'states': {'vertical': [array(10, 4)], 'horizontal': [array(18, 4)]},
        },
        {
            'type': 'neon.layers.layer.Linear',
            'config': {},
            'params': {'W': array(2, 5)},
            'states': [array(2, 5) * 3],
        },
    ]
    rng_state = np.random.RandomState(3).get_state()
    return {
        'neon_version': '2.6.0',
        'backend': {'type': 'NervanaCPU', 'rng_seed': 3, 'rng_state': rng_state},
        'model': {
            'type': 'neon.layers.container.Sequential',
            'container': True,
            'config': {'layers': layers},
        },
        'train_input_shape': (3, 8, 8),
        'epoch_index': 5,
    }


@pytest.fixture
def prm(tmp_path):
    path = tmp_path / 'model.prm'
    path.write_bytes(pickle.dumps(description(), 2))
    return path


def test_names_shapes_values_and_states(prm):
    read = neon_prm.read(prm)
    assert {name: values.shape for name, values in read.weights.items()} == {
        '1.W': (27, 2),
        '1.weight_bias': (2, 1),
        '2.0.0.beta': (2, 1),
        '2.0.0.gamma': (2, 1),
        '2.0.0.gmean': (2, 1),
        '2.0.0.gvar': (2, 1),
        '3.vertical.W': (10, 4),
        '3.horizontal.W': (18, 4),
        '4.W': (2, 5),
    }
    assert list(read.weights)[:3] == ['1.W', '1.weight_bias', '2.0.0.beta']
    np.testing.assert_array_equal(read.weights['1.W'], array(27, 2))
    assert set(read.optimizer_state) == {
        '1.W',
        '1.weight_bias',
        '2.0.0.beta',
        '2.0.0.gamma',
        '3.vertical.W',
        '3.horizontal.W',
        '4.W',
    }
    np.testing.assert_array_equal(read.optimizer_state['2.0.0.gamma'][0], array(2, 1) + 1)
    np.testing.assert_array_equal(read.optimizer_state['4.W'][0], array(2, 5) * 3)
    assert read.meta['epoch'] == 5
    rng = np.random.RandomState(0)
    rng.set_state(
        ('MT19937', read.random_state['keys'], int(read.random_state['position']), 0, 0.0)
    )
    assert rng.randint(1 << 30) == np.random.RandomState(3).randint(1 << 30)


def test_the_command_writes_a_checkpoint(prm, tmp_path, capsys):
    target = tmp_path / 'checkpoint.npz'
    assert main(['convert', str(prm), str(target)]) == 0
    assert '9 weights' in capsys.readouterr().out
    saved = checkpoint.load(target)
    assert list(saved.weights) == list(neon_prm.read(prm).weights)
    np.testing.assert_array_equal(saved.optimizer_state['1.weight_bias'][0], array(2, 1) / 2)


class Malicious:
    def __init__(self, call, *arguments):
        self.made = call, arguments

    def __reduce__(self):
        return self.made


@pytest.mark.parametrize(
    ('call', 'arguments', 'named'),
    [
        (os.system, ('touch {}',), 'posix.system'),
        (eval, ('open("{}", "w")',), 'eval'),
        (getattr, (np, 'load'), 'getattr'),
        (np.load, ('{}',), 'numpy.*load'),
    ],
)
def test_a_malicious_pickle_is_refused_by_name_and_not_run(tmp_path, call, arguments, named):
    mark = tmp_path / 'mark'
    arguments = [value.format(mark) if isinstance(value, str) else value for value in arguments]
    if call is getattr:
        arguments[0] = 'text'
    path = tmp_path / 'malicious.pkl'
    path.write_bytes(pickle.dumps(dict(description(), extra=Malicious(call, *arguments)), 2))
    with pytest.raises(NeonRnnError, match='malicious.pkl: refused.*' + named):
        neon_prm.read(path)
    assert not mark.exists()


def test_a_codec_is_refused(tmp_path):
    import codecs

    path = tmp_path / 'codec.pkl'
    path.write_bytes(pickle.dumps(Malicious(codecs.encode, 'text', 'rot13'), 2))
    with pytest.raises(NeonRnnError, match="refused.*codec 'rot13'"):
        neon_prm.read(path)


@pytest.mark.parametrize('content', [b'', b'no pickle at all', zlib.compress(b'x' * 100)])
def test_what_is_no_pickle(tmp_path, content):
    path = tmp_path / 'broken.prm'
    path.write_bytes(content)
    with pytest.raises(NeonRnnError, match='broken.prm'):
        neon_prm.read(path)


def test_a_file_cut_short(prm):
    prm.write_bytes(prm.read_bytes()[:2000])
    with pytest.raises(NeonRnnError, match='model.prm: is not a whole pickle'):
        neon_prm.read(prm)


def test_objects_inside_arrays_are_refused(tmp_path):
    changed = description()
    changed['model']['config']['layers'][-1]['params']['W'] = np.array([{}, None], dtype=object)
    path = tmp_path / 'objects.prm'
    path.write_bytes(pickle.dumps(changed, 2))
    with pytest.raises(NeonRnnError, match='4.W is not an array of floating point numbers'):
        neon_prm.read(path)


@pytest.mark.parametrize(
    'value', [[1, 2], {}, {'model': {}}, {'model': {'config': {'layers': []}}}]
)
def test_pickles_that_are_no_models(tmp_path, value):
    path = tmp_path / 'other.pkl'
    with open(str(path), 'wb') as file:
        pickle.dump(value, file, 2)
    with pytest.raises(NeonRnnError, match="other.pkl: is a pickle, but not a model of neon 2's"):
        neon_prm.read(path)


def test_to_neon_needs_neon_and_a_network(prm, tmp_path, capsys):
    target = str(tmp_path / 'checkpoint.npz')
    assert main(['convert', str(prm), target]) == 0
    assert main(['convert', target, str(tmp_path / 'back.prm')]) == 2
    assert 'give --model' in capsys.readouterr().err
    if not engines.installed('neon'):
        assert main(['convert', target, str(tmp_path / 'back.prm'), '--model', 'rnn']) == 2
        assert 'docker compose run --rm neon-cpu convert' in capsys.readouterr().err
    assert main(['convert', target, str(tmp_path / 'again.npz')]) == 2
    assert 'not' in capsys.readouterr().err
    assert not (tmp_path / 'back.prm').exists()
