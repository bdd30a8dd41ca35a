"""`export`: every row in every format gives the probabilities of the run."""

import importlib.util
import json
import os
import subprocess
import sys

import numpy as np
import pytest
import torch
from small_datasets import write_picture
from small_training import settings, write_data

from neon_rnn import export, models, training
from neon_rnn.cli import main
from neon_rnn.engines.torch import BatchNorm, BiBNRNN
from neon_rnn.export import onnx_file, standalone, write
from neon_rnn.export.network import Network
from neon_rnn.models.rnn import CELLS
from neon_rnn.runs import checkpoint, trained_run
from neon_rnn.support.errors import NeonRnnError, UsageError

SHAPE = (3, 32, 32)
#: Networks with options; the residual ones need larger images.
NETWORKS = [(name, {}) for name in models.ROWS + models.EXTRAS]
NETWORKS += [('rnn', {'rnn': cell}) for cell in CELLS if cell != 'birnn']


def made(nn, name, options):
    """Return a network with random weights in reasonable ranges, pictures, and probabilities."""
    shape = SHAPE if name == 'rnn' else (3, 64, 64)
    model, cost = models.build(name, nn, shape, **options)
    model.initialize(shape, cost)
    random = np.random.RandomState(3)
    pictures = random.randint(0, 256, (5, int(np.prod(shape)))).astype(np.uint8)
    norms = [layer for layer in model.layers.modules() if isinstance(layer, BatchNorm)]
    norms += [layer for layer in model.layers.modules() if isinstance(layer, BiBNRNN)]
    for norm in norms:
        norm.rho = 0.0  # one pass in training sets the statistics
    model.layers.train()
    with torch.no_grad():
        model.layers(torch.from_numpy(pictures.reshape(-1, *shape)).float())
    weights = nn.get_weights(model)
    for key, values in weights.items():
        if key.endswith(('beta', 'weight_bias')):
            values[:] = random.normal(0, 0.1, values.shape)
    nn.set_weights(model, weights)
    for module in model.layers.modules():
        if hasattr(module, 'steps'):
            module.steps = list(module)  # prediction rounds otherwise, and these weights enlarge it
    expected = nn.predict(model, pictures)
    assert np.ptp(expected[:, 0]) > 1e-6, 'all pictures get the same'
    return model, shape, pictures, expected


def about(shape):
    return {
        'class_names': ['female', 'male'],
        'epoch': 1,
        'kind': 'synthetic',
        'preprocessing': {'height': shape[1], 'width': shape[2], 'fit': 'crop', 'centre': 1.0},
        'run_id': 'run',
        'shape': list(shape),
    }


@pytest.mark.slow
@pytest.mark.parametrize(('name', 'options'), NETWORKS, ids=lambda value: str(value))
def test_onnx_of_every_network(nn32, tmp_path, name, options):
    pytest.importorskip('onnxruntime', reason="pip install -e '.[onnx]'")
    model, shape, pictures, expected = made(nn32, name, options)
    path = str(tmp_path / 'model.onnx')
    onnx_file.write(path, Network(model), shape, about(shape))
    opened = onnx_file.open_classifier(path, threads=1)
    for count in (1, 5):  # any number of images, also one that was not recorded
        found = opened.predict(pictures[:count])
        np.testing.assert_allclose(found, expected[:count], atol=export.TOLERANCE, rtol=0)


@pytest.mark.parametrize('name', models.ROWS + models.EXTRAS)
def test_the_model_file_of_every_row(nn32, tmp_path, name):
    model, shape, pictures, expected = made(nn32, name, {})
    text, state = standalone.write_model(
        model.layers,
        dict(run_id='r', weights='w.pt', shape='3', classes=2, names='a', preprocessing='p'),
    )
    assert 'neon_rnn' not in text.replace('Written by neon_rnn', '')
    (tmp_path / 'model.py').write_text(text)
    torch.save(state, tmp_path / 'w.pt')
    spec = importlib.util.spec_from_file_location('model', tmp_path / 'model.py')
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    loaded = module.load(tmp_path / 'w.pt')
    with torch.no_grad():
        found = loaded(torch.from_numpy(pictures.reshape(-1, *shape))).numpy()
    np.testing.assert_allclose(found, expected, atol=export.TOLERANCE, rtol=0)


def test_other_cells_are_refused_in_the_model_file(nn32):
    model, _, _, _ = made(nn32, 'rnn', {'rnn': 'bilstm'})
    with pytest.raises(UsageError, match='cannot describe the layer SpatialRNN; --format onnx can'):
        standalone.write_model(model.layers, {})


@pytest.fixture(scope='module')
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp('training')
    data = write_data(folder / 'data')
    return training.train(settings(data, epochs=1), str(folder / 'runs')).folder


def test_onnx_of_a_run_and_predict_with_it(run, tmp_path, capsys):
    pytest.importorskip('onnxruntime', reason="pip install -e '.[onnx]'")
    out = str(tmp_path / 'model.onnx')
    assert main(['export', run, '--format', 'onnx', '--out', out]) == 0
    assert 'largest difference from the run' in capsys.readouterr().out
    picture = tmp_path / 'picture.png'
    write_picture(picture, seed=1, format='PNG')
    found = []
    for source in (run, out):
        assert main(['predict', source, str(picture), '--json', '-']) == 0
        found.append(json.loads(capsys.readouterr().out)[0])
    assert found[0]['class'] == found[1]['class']
    assert found[0]['probability'] == pytest.approx(found[1]['probability'], abs=1e-5)
    assert main(['predict', out, str(picture), '--csv', str(tmp_path / 'a.csv')]) == 0
    assert os.path.basename(run) in (tmp_path / 'a.csv').read_text()
    for words in (['-b', 'gpu'], ['--engine', 'torch'], ['--precision', 'bf16']):
        assert main(['predict', out, str(picture), *words]) == 2
        assert 'leave out --engine, -b and --precision' in capsys.readouterr().err


def test_safetensors_of_a_run(run, tmp_path):
    safetensors = pytest.importorskip('safetensors')
    out = tmp_path / 'model.safetensors'
    assert main(['export', run, '--format', 'safetensors', '--out', str(out)]) == 0
    expected = checkpoint.load(trained_run.checkpoint_path(run)).weights
    with safetensors.safe_open(out, 'numpy') as file:
        assert sorted(file.keys()) == sorted(expected)
        for name, values in expected.items():
            np.testing.assert_array_equal(file.get_tensor(name), values)
        assert json.loads(file.metadata()['neon_rnn'])['class_names'] == ['female', 'male']


def test_the_torch_files_of_a_run_work_without_this_project(run, tmp_path):
    out = tmp_path / 'model.pt'
    assert main(['export', run, '--format', 'torch', '--out', str(out)]) == 0
    pixels = np.random.RandomState(0).randint(0, 256, (2, *SHAPE)).astype(np.uint8)
    np.save(tmp_path / 'pixels.npy', pixels)
    program = (
        'import sys, numpy, torch, model\n'
        'pixels = torch.from_numpy(numpy.load("pixels.npy"))\n'
        'with torch.no_grad():\n'
        '    numpy.save("found.npy", model.load("model.pt")(pixels).numpy())\n'
        'assert not any(name.startswith("neon_rnn") for name in sys.modules)\n'
    )
    done = subprocess.run(
        [sys.executable, '-c', program], cwd=tmp_path, check=False, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    trained = trained_run.load_run(run)
    expected = trained.nn.predict(trained.model, pixels.reshape(2, -1))
    np.testing.assert_allclose(np.load(tmp_path / 'found.npy'), expected, atol=1e-5, rtol=0)


@pytest.mark.parametrize('format', ['safetensors', 'torch'])
def test_a_file_that_differs_is_removed(run, tmp_path, capsys, monkeypatch, format):
    writer = write._WRITERS[format]

    def spoilt(out, trained, described):
        files, predict = writer(out, trained, described)
        return files, lambda pictures: predict(pictures) + 1e-3

    monkeypatch.setitem(write._WRITERS, format, spoilt)
    out = tmp_path / ('model' + export.FORMATS[format])
    assert main(['export', run, '--format', format, '--out', str(out)]) == 1
    assert 'differ from those of the run by 1.0e-03' in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_what_cannot_be(run, tmp_path, capsys, monkeypatch):
    assert main(['export', run, '--format', 'torch', '--out', str(tmp_path / 'a.onnx')]) == 2
    assert 'has to end in .pt' in capsys.readouterr().err
    assert main(['export', str(tmp_path), '--format', 'torch']) == 2
    assert 'is not a run folder' in capsys.readouterr().err
    monkeypatch.setitem(sys.modules, 'onnxruntime', None)
    assert main(['export', run, '--format', 'onnx', '--out', str(tmp_path / 'a.onnx')]) == 2
    assert "pip install '.[onnx]'" in capsys.readouterr().err
    assert main(['predict', 'model.onnx', 'picture.jpg']) == 2
    assert "pip install '.[onnx]'" in capsys.readouterr().err


def test_other_onnx_files_are_refused(tmp_path):
    pytest.importorskip('onnxruntime', reason="pip install -e '.[onnx]'")
    onnx = pytest.importorskip('onnx')
    with pytest.raises(UsageError, match='there is no such file'):
        onnx_file.open_classifier(str(tmp_path / 'none.onnx'))
    (tmp_path / 'bad.onnx').write_bytes(b'no model')
    with pytest.raises(NeonRnnError, match='cannot be read as ONNX'):
        onnx_file.open_classifier(str(tmp_path / 'bad.onnx'))
    value = onnx.helper.make_tensor_value_info('x', onnx.TensorProto.FLOAT, [1])
    other = onnx.helper.make_tensor_value_info('y', onnx.TensorProto.FLOAT, [1])
    node = onnx.helper.make_node('Identity', ['x'], ['y'])
    graph = onnx.helper.make_graph([node], 'g', [value], [other])
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid('', 20)])
    model.ir_version = 9
    onnx.save(model, tmp_path / 'other.onnx')
    with pytest.raises(NeonRnnError, match="was not written by 'neon_rnn export'"):
        onnx_file.open_classifier(str(tmp_path / 'other.onnx'))


def test_the_formats_of_the_command_are_those_of_the_package():
    from neon_rnn.commands import export as command

    assert tuple(export.FORMATS) == command.FORMATS
