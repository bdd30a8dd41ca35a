"""The interface for programs: what docs/api.md lists, and what each call does."""

import inspect
import re
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from small_training import SHAPE, settings, write_data

import neon_rnn
from neon_rnn import api, training
from neon_rnn.runs import records
from neon_rnn.support.errors import UsageError

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / 'docs' / 'api.md').read_text('utf-8')
SHORT = {'epochs': 2, 'batch_size': 4, 'seed': 3, 'engine': 'torch', 'threads': 1}


@pytest.fixture(scope='module')
def data(tmp_path_factory):
    return neon_rnn.open_dataset(write_data(tmp_path_factory.mktemp('data') / 'small'))


@pytest.fixture(scope='module')
def trained(data, tmp_path_factory):
    """Return a run of two epochs and what its callback was given."""
    told = []
    run = neon_rnn.train(data, tmp_path_factory.mktemp('runs'), callback=told.append, **SHORT)
    return run, told


def test_the_names_are_those_of_the_page():
    table = re.findall(r'^\| (`\w+`(?:, `\w+`)*) \|', PAGE.split('\n## ')[0], re.MULTILINE)
    assert sorted(re.findall(r'`(\w+)`', ' '.join(table))) == neon_rnn.__all__
    assert sorted([*api.__all__, 'SpatialRNN']) == neon_rnn.__all__
    assert set(neon_rnn.__all__) <= set(dir(neon_rnn))


def test_the_signatures_are_those_of_the_page():
    (block,) = re.findall(r'^```text\n(.*?)^```', PAGE, re.DOTALL | re.MULTILINE)
    shown = re.sub(r',\n +', ', ', block).splitlines()
    functions = [name for name in api.__all__ if inspect.isfunction(getattr(api, name))]
    assert sorted(shown) == [f'{name}{inspect.signature(getattr(api, name))}' for name in functions]


def test_every_name_is_documented():
    for name in api.__all__:
        assert inspect.getdoc(getattr(neon_rnn, name)), name


def test_it_needs_no_command_line_and_no_engine_to_be_imported():
    code = (
        'import sys, neon_rnn; neon_rnn.train; print([name for name in sys.modules '
        "if name.startswith('neon_rnn.commands') or name in ('torch', 'neon_rnn.cli')])"
    )
    printed = subprocess.run([sys.executable, '-c', code], capture_output=True, check=True).stdout
    assert printed.split() == [b'[]']
    for module in ('api.py', 'runs/network.py'):
        assert 'argparse' not in (ROOT / 'neon_rnn' / module).read_text('utf-8')


def test_a_training_is_that_of_the_command(data, trained, tmp_path):
    run, _ = trained
    other = training.train(settings(data.folder), tmp_path)
    assert records.read_minibatches(run.folder) == records.read_minibatches(other.folder)
    assert run.record['final'] == other.record['final']
    assert run.record['hyperparameters'] == other.record['hyperparameters']


def test_the_callback_is_told_each_epoch(trained):
    run, told = trained
    assert [epoch['epoch'] for epoch in told] == [1, 2]
    costs = [cost for epoch in told for cost in epoch['costs']]
    assert costs == [row[2] for row in records.read_minibatches(run.folder)]
    for row, epoch in zip(run.record['epochs'], told, strict=True):
        assert row.items() <= epoch.items()
        assert epoch['figures']['accuracy'] == epoch['accuracy']
        assert epoch['validation'] is None


def test_an_epoch_without_evaluation_has_no_figures(tmp_path):
    data = neon_rnn.open_dataset(write_data(tmp_path / 'data', counts=(10, 6, 4)))
    told = []
    neon_rnn.train(data, tmp_path, callback=told.append, eval_freq=2, keep_best=True, **SHORT)
    assert [epoch['figures'] is None for epoch in told] == [True, False]
    assert [epoch['accuracy'] is None for epoch in told] == [True, False]
    assert all(0 <= epoch['validation'] <= 1 for epoch in told)


@pytest.mark.parametrize(
    ('raised', 'status'), [(ValueError('no'), 'failed'), (KeyboardInterrupt(), 'interrupted')]
)
def test_a_training_that_its_callback_ends_can_go_on(data, trained, tmp_path, raised, status):
    def end(epoch):
        raise raised

    with pytest.raises(type(raised)):
        neon_rnn.train(data, tmp_path, callback=end, **SHORT)
    (folder,) = tmp_path.iterdir()
    assert records.read_record(folder)['status'] == status
    told = []
    run = neon_rnn.resume(folder, callback=told.append)
    assert [epoch['epoch'] for epoch in told] == [2]
    assert run.record['final'] == trained[0].record['final']


def test_a_training_in_another_thread(data, trained, tmp_path):
    """Python lets only the main thread change what signals do."""
    done = []
    thread = threading.Thread(target=lambda: done.append(neon_rnn.train(data, tmp_path, **SHORT)))
    thread.start()
    thread.join()
    assert done[0].record['final'] == trained[0].record['final']


def test_an_evaluation_of_a_run_or_its_folder(data, trained):
    run, _ = trained
    result = neon_rnn.evaluate(run)
    assert result.figures == run.record['final']
    assert neon_rnn.evaluate(Path(run.folder), data, 'train').figures['count'] == 10


def test_a_trained_network_predicts_arrays_of_both_shapes(data, trained):
    network = neon_rnn.open_run(trained[0])
    pixels = data.test.read(np.arange(6))
    probabilities = network.predict(pixels)
    assert probabilities.dtype == np.float32
    assert (probabilities.argmax(1) == data.test.labels).sum() == trained[0].record['final'][
        'correct'
    ]
    np.testing.assert_array_equal(network.predict(pixels.reshape(6, *SHAPE)), probabilities)
    assert network.class_names == data.class_names


@pytest.mark.parametrize(
    ('pixels', 'said'),
    [
        (np.zeros((2, *SHAPE)), r'float64 \(2, 3, 32, 32\); .*uint8 \(n, 3, 32, 32\)'),
        (np.zeros((2, 32, 32, 3), np.uint8), r'uint8 \(2, 32, 32, 3\)'),
        (np.zeros(SHAPE, np.uint8), r'uint8 \(3, 32, 32\)'),
        (np.zeros((0, *SHAPE), np.uint8), 'no images'),
    ],
)
def test_other_arrays_are_refused(pixels, said):
    with pytest.raises(UsageError, match=said):
        neon_rnn.build_model('fcnn-1', SHAPE, engine='torch').predict(pixels)


def test_a_photograph_becomes_pixels_of_the_right_size(tmp_path):
    Image.new('RGB', (90, 60), (250, 0, 0)).save(tmp_path / 'red.png')
    network = neon_rnn.build_model('fcnn-1', SHAPE, engine='torch')
    pixels = network.load_image(tmp_path / 'red.png')
    assert pixels.shape == SHAPE
    assert (pixels == np.array([250, 0, 0], np.uint8)[:, None, None]).all()
    assert network.predict(pixels[None]).shape == (1, 2)


def test_a_network_is_built_from_its_seed(data, tmp_path):
    one, same, other = (
        neon_rnn.build_model('fcnn-1', SHAPE, engine='torch', seed=seed).weights()
        for seed in (3, 3, 4)
    )
    assert all(np.array_equal(values, same[name]) for name, values in one.items())
    assert not all(np.array_equal(values, other[name]) for name, values in one.items())


def test_the_norms_of_the_sweeps_are_those_of_the_states(data, tmp_path):
    network = neon_rnn.build_model('rnn', SHAPE, engine='torch')
    pixels = data.test.read([0])[0]
    sweeps = neon_rnn.sweep_norms(network, pixels.reshape(SHAPE))
    assert [(sweep.layer, sweep.direction) for sweep in sweeps] == [
        (layer, direction)
        for layer in ('17', '19')
        for direction in ('down', 'up', 'right', 'left')
    ]
    assert [sweep.norms.shape for sweep in sweeps] == [(2, 2)] * 4 + [(1, 1)] * 4
    assert all((sweep.norms <= sweep.units**0.5).all() for sweep in sweeps)  # tanh is at most 1
    np.testing.assert_array_equal(neon_rnn.sweep_norms(network, pixels)[3].norms, sweeps[3].norms)
    with pytest.raises(UsageError, match='have to be uint8'):
        neon_rnn.sweep_norms(network, pixels.astype(float))
    network.nn = neon_rnn  # stands for the other engine, which is not installed here
    with pytest.raises(UsageError, match="not on the engine 'torch'"):
        neon_rnn.sweep_norms(network, pixels)


def test_an_export_of_a_run_or_its_folder(trained, tmp_path):
    for run in (trained[0], Path(trained[0].folder)):
        written = neon_rnn.export_run(run, 'torch', tmp_path / 'network.pt')
        assert [Path(path).name for path in written.files] == ['network.pt', 'network.py']
        assert written.difference < 1e-4
    with pytest.raises(UsageError, match='there is no format'):
        neon_rnn.export_run(trained[0], 'tflite')


def test_one_network_at_a_time(data):
    first = neon_rnn.build_model('fcnn-1', SHAPE, engine='torch')
    second = neon_rnn.build_model('fcnn-1', SHAPE, engine='torch')
    pixels = data.test.read([0])
    with pytest.raises(UsageError, match='one at a time'):
        first.predict(pixels)
    assert second.predict(pixels).shape == (1, 2)


def test_wrong_settings_are_named(data, tmp_path):
    with pytest.raises(TypeError, match='learning_speed'):
        neon_rnn.train(data, tmp_path, epochs=1, learning_speed=1)
    with pytest.raises(UsageError, match='no model'):
        neon_rnn.train(data, tmp_path, 'rnnn')
    with pytest.raises(UsageError, match='how many epochs'):
        neon_rnn.train(data, tmp_path, 'efficientnet-lite0')
    assert not list(tmp_path.iterdir())
