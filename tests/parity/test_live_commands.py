"""The commands on Intel neon and on the torch engine: training, checkpoints, neon's files.

Runs where `live_neon.neon_python` finds a Python with neon.
"""

import csv
import json
import os
import sys

import h5py
import live_neon
import numpy as np
import pytest
from PIL import Image
from small_datasets import write_plain_hdf5, write_plain_parts

from neon_rnn.cli import main
from neon_rnn.runs import checkpoint, trained_run
from neon_rnn.weights import neon_prm

SIDE, BATCH = 32, 8


def call(python, *arguments):
    """Run `neon_rnn`, whatever its exit status."""
    return live_neon.call(python, '-m', 'neon_rnn', *arguments, OMP_NUM_THREADS='1')


def command(python, *arguments):
    """Run `neon_rnn`, which has to succeed; returns what it prints."""
    return live_neon.printed(python, '-m', 'neon_rnn', *arguments, OMP_NUM_THREADS='1')


@pytest.fixture(scope='module')
def data(tmp_path_factory):
    """Make mosaics of 8 x 8 tiles, brighter above the middle in class 1: 24 and 11 images."""
    folder = tmp_path_factory.mktemp('data')
    rng = np.random.RandomState(3)
    for part, count in (('train', 24), ('test', 11)):
        labels = np.arange(count) % 2
        tiles = rng.randint(0, 200, (count, 3, 8, 8))
        tiles[:, :, :4] += 50 * labels[:, None, None, None]
        pixels = tiles.repeat(SIDE // 8, axis=2).repeat(SIDE // 8, axis=3).astype(np.uint8)
        path = folder / (part + '.h5')
        write_plain_hdf5(path, pixels.reshape(count, -1), labels, (3, SIDE, SIDE))
    return folder


@pytest.fixture(scope='module')
def trained(python, data, tmp_path_factory):
    """(engine, backend) -> the folder of a run of two epochs, each trained once."""
    kept, out = {}, tmp_path_factory.mktemp('runs')

    def train(engine, backend):
        if (engine, backend) not in kept:
            folder = out / (engine + backend)
            folder.mkdir()
            command(
                python if engine == 'neon' else sys.executable,
                'train',
                '--model',
                'rnn',
                '--data',
                data,
                '--engine',
                engine,
                '-b',
                backend,
                '-z',
                BATCH,
                '-e',
                2,
                '-r',
                1,
                '--out',
                folder,
            )
            (kept[engine, backend],) = folder.iterdir()
        return kept[engine, backend]

    return train


def costs(folder):
    """Return the cost of every minibatch of a run."""
    with open(folder / 'minibatches.csv', newline='') as file:
        return np.array([float(row['cost']) for row in csv.DictReader(file)])


@pytest.mark.parametrize('backend', ['numpy', 'mkl'])
def test_neon_and_torch_train_alike(trained, backend):
    """The same draws and order: the first minibatches to rounding, which the next ones amplify."""
    found, expected = costs(trained('neon', backend)), costs(trained('torch', 'cpu'))
    assert len(found) == 6
    np.testing.assert_allclose(found[:2], expected[:2], rtol=1e-5)
    np.testing.assert_allclose(found, expected, rtol=1e-3)
    record = json.loads((trained('neon', backend) / 'record.json').read_text())
    assert (record['status'], record['engine'], record['backend']) == ('finished', 'neon', backend)
    assert record['device']['neon'].startswith('2.6.0')
    assert record['final']['count'] == 11


def evaluated(python, run, engine, out):
    command(python, 'evaluate', run, '--engine', engine, '-b', 'cpu', '-z', 4, '--json', out)
    return json.loads(out.read_text())


def test_neon_evaluates_checkpoints_of_torch_and_torch_those_of_neon(python, trained, tmp_path):
    for run in (trained('torch', 'cpu'), trained('neon', 'numpy')):
        own = json.loads((run / 'record.json').read_text())['final']
        for engine, executable in (('neon', python), ('torch', sys.executable)):
            figures = evaluated(executable, run, engine, tmp_path / 'figures.json')
            assert figures['count'] == 11
            assert figures['confusion'] == own['confusion']


def test_a_checkpoint_gives_the_same_probabilities_on_both_engines(python, trained, data, tmp_path):
    run = trained('neon', 'numpy')
    program = (
        'import sys, h5py, numpy; from neon_rnn.runs import trained_run\n'
        'run = trained_run.load_run(sys.argv[1], "neon", "mkl")\n'
        'pixels = h5py.File(sys.argv[2], "r")["input"][:]\n'
        'numpy.save(sys.argv[3], run.nn.predict(run.model, pixels))'
    )
    live_neon.printed(python, '-c', program, run, data / 'test.h5', tmp_path / 'neon.npy')
    with h5py.File(data / 'test.h5', 'r') as file:
        pixels = file['input'][:]
    here = trained_run.load_run(run, 'torch', 'cpu')
    probabilities = here.nn.predict(here.model, pixels)
    assert probabilities.shape == (11, 2)
    assert np.ptp(probabilities[:, 0]) > 0.05
    np.testing.assert_allclose(np.load(tmp_path / 'neon.npy'), probabilities, atol=1e-4)


def test_predict_classifies_image_files_alike_on_both_engines(python, trained, data, tmp_path):
    """Several minibatches, another size and format, and a broken file, on neon's checkpoint."""
    with h5py.File(data / 'test.h5', 'r') as file:
        pixels = file['input'][:4].reshape(-1, 3, SIDE, SIDE).transpose(0, 2, 3, 1)
    names = ['0.png', '1.png', '2.png', 'wide.jpg', 'broken.png']
    for name, picture in zip(names[:3], pixels[:3], strict=True):
        Image.fromarray(picture).save(tmp_path / name)
    # with its colours at full size: between two libjpegs hard edges in halved ones differ by up to
    # 24 of 255
    Image.fromarray(pixels[3]).resize((3 * SIDE, 2 * SIDE)).save(
        tmp_path / 'wide.jpg', quality=95, subsampling=0
    )
    (tmp_path / 'broken.png').write_bytes(b'no image')
    found = {}
    for engine, backend, executable in (
        ('neon', 'mkl', python),
        ('neon', 'numpy', python),
        ('torch', 'cpu', sys.executable),
    ):
        out = tmp_path / (engine + backend + '.json')
        done = call(
            executable,
            'predict',
            trained('neon', 'numpy'),
            *(tmp_path / name for name in names),
            '--engine',
            engine,
            '-b',
            backend,
            '-z',
            2,
            '--json',
            out,
        )
        assert done.returncode == 1, done.stderr[
            -2000:
        ]  # for the file that is no image, and only for it
        assert 'broken.png: ' in done.stderr
        assert 'Traceback' not in done.stderr
        results = json.loads(out.read_text())
        assert [os.path.basename(result['image']) for result in results] == names
        assert ['error' in result for result in results] == [False] * 4 + [True]
        assert [line.partition(': ')[0] for line in done.stdout.splitlines()] == [
            str(tmp_path / name) for name in names[:4]
        ]
        found[engine, backend] = np.array(
            [list(result['probabilities'].values()) for result in results[:4]]
        )
    reference = trained_run.load_run(trained('neon', 'numpy'), 'torch', 'cpu')
    expected = reference.nn.predict(
        reference.model, pixels[:3].transpose(0, 3, 1, 2).reshape(3, -1)
    )
    for probabilities in found.values():
        assert np.ptp(probabilities[:, 0]) > 0.01
        np.testing.assert_allclose(
            probabilities[:3], expected, atol=1e-4
        )  # the decoded files are the pixels
        np.testing.assert_allclose(
            probabilities[3], found['torch', 'cpu'][3], atol=2e-3
        )  # two libjpegs


def test_a_resumed_run_goes_on_as_if_it_had_not_stopped(python, trained, data, tmp_path):
    command(
        python,
        'train',
        '--model',
        'rnn',
        '--data',
        data,
        '--engine',
        'neon',
        '-b',
        'numpy',
        '-z',
        BATCH,
        '-e',
        1,
        '-r',
        1,
        '--out',
        tmp_path,
    )
    (run,) = tmp_path.iterdir()
    command(python, 'train', '--resume', run, '-e', 2)
    np.testing.assert_allclose(costs(run), costs(trained('neon', 'numpy')), rtol=1e-6)


def test_neons_own_file_and_back(python, trained, tmp_path):
    """neon writes the file; it is read here without neon, and holds the same weights and states."""
    run = trained('torch', 'cpu')
    command(python, 'convert', run, tmp_path / 'model.prm')
    assert main(['convert', str(tmp_path / 'model.prm'), str(tmp_path / 'back.npz')]) == 0
    before, after = checkpoint.load(run / 'checkpoint.npz'), checkpoint.load(tmp_path / 'back.npz')
    assert list(after.weights) == list(before.weights)
    for name, values in before.weights.items():
        np.testing.assert_array_equal(after.weights[name], values, err_msg=name)
    for name, arrays in before.optimizer_state.items():
        np.testing.assert_array_equal(after.optimizer_state[name][0], arrays[0], err_msg=name)
    assert neon_prm.read(tmp_path / 'model.prm').meta['neon_version'].startswith('2.6.0')


@pytest.mark.slow
def test_verify_holds_neons_mkl_backend_to_its_cpu_backend(python):
    """Within limits measured for it; what is not compared is said."""
    printed = command(python, 'verify', '--engine', 'neon', '-b', 'mkl')
    assert 'replayed: engine neon, backend mkl' in printed
    assert 'results are within the stated tolerances' in printed
    left_out = [line for line in printed.splitlines() if line.startswith('left out: ')]
    others = [
        line for line in left_out if not line.endswith(', float64 (this backend has no float64)')
    ]
    assert len(left_out) > len(others)
    assert others == [
        'left out: network rnn, float32, last step/21.weight_bias (rounding decides it on this '
        'backend)',
        'left out: network rnn, close decisions (only the torch engine on a processor takes them)',
    ]


def test_a_data_set_of_another_size_is_refused(python, trained, data, tmp_path):
    write_plain_parts(tmp_path, np.zeros((8, 12), np.uint8), np.arange(8) % 2, (3, 2, 2))
    done = call(python, 'evaluate', trained('neon', 'numpy'), '--data', tmp_path)
    assert done.returncode == 2
    assert '(3, 2, 2)' in done.stderr
    assert 'Traceback' not in done.stderr
