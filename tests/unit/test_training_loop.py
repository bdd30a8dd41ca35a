"""The training loop on the torch engine: records, checkpoints, interruption, resumption, bad input."""
import csv
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from concurrent import futures

import numpy as np
import pytest

from neon_rnn import checkpoint, engines, preparation, records, training
from neon_rnn.cli import main
from neon_rnn.errors import Diverged, NeonRnnError, UsageError
from neon_rnn.ingest import hdf5
from neon_rnn.paths import ROOT

SHAPE = (3, 32, 32)


def write_data(folder, shape=SHAPE, counts=(10, 6), classes=2, seed=1):
    """A small data set: noise, brighter for class 1."""
    rng = np.random.RandomState(seed)
    parts = {}
    for name, count in zip(('train', 'test'), counts, strict=True):
        labels = np.arange(count) % classes
        pixels = rng.randint(0, 128, (count, int(np.prod(shape)))) + 100 * labels[:, None]
        parts[name] = hdf5.PartData(labels, [pixels.clip(0, 255).astype(np.uint8)], [''] * count, [''] * count)
    names = ['female', 'male', 'other'][:classes]
    hdf5.write_dataset(folder, parts, shape, {
        'name': 'small', 'source': 'test', 'kind': 'synthetic', 'class_names': names, 'filters': [],
        'split': 'as drawn', 'seed': seed, 'note': ''})
    return str(folder)


@pytest.fixture
def data(tmp_path):
    return write_data(tmp_path / 'data')


def settings(data, **changes):
    given = {'model': 'rnn', 'options': {}, 'data': data, 'engine': 'torch', 'backend': 'cpu', 'batch_size': 4,
             'epochs': 2, 'seed': 3, 'shuffle': True, 'precision': 'float32', 'threads': 1,
             'deterministic': False, 'eval_freq': 1, 'serialize': 1}
    return preparation.Settings(**given)._replace(**changes)


def minibatch_costs(run):
    return records.read_minibatches(run.folder)


def saved_arrays(run):
    saved = checkpoint.load(os.path.join(run.folder, 'checkpoint.npz'))
    arrays = {'weights ' + name: values for name, values in saved.weights.items()}
    arrays.update({f'velocity {name}': states[0] for name, states in saved.optimizer_state.items()})
    arrays.update({f'random {name}': values for name, values in saved.random_state.items()})
    return arrays


def assert_same_result(one, other):
    """Costs, accuracies, weights, velocities, statistics and random state, to the last bit."""
    assert minibatch_costs(one) == minibatch_costs(other)
    assert [row['accuracy'] for row in one.record['epochs']] == [row['accuracy'] for row in other.record['epochs']]
    assert one.record['final'] == other.record['final']
    arrays, others = saved_arrays(one), saved_arrays(other)
    assert arrays.keys() == others.keys()
    for name, values in arrays.items():
        np.testing.assert_array_equal(values, others[name], err_msg=name)


def test_a_finished_run(data, tmp_path):
    run = training.train(settings(data), tmp_path / 'runs')
    record = records.read_record(run.folder)
    assert record['status'] == 'finished'
    assert [row['epoch'] for row in record['epochs']] == [1, 2]
    assert record['final']['count'] == 6
    assert record['parameters'] == 5640456
    assert record['protocol']['complete'] is False
    assert 'synthetic data' in record['protocol']['reasons']
    # 10 images in minibatches of 4: the third is filled up.
    rows = minibatch_costs(run)
    assert [row[:2] for row in rows] == [(epoch, minibatch) for epoch in (1, 2) for minibatch in (1, 2, 3)]
    assert record['epochs'][1]['cost'] == pytest.approx(np.mean([cost for epoch, _, cost in rows if epoch == 2]))
    with open(os.path.join(run.folder, 'epochs.csv'), newline='') as file:
        assert [int(row['epoch']) for row in csv.DictReader(file)] == [1, 2]


def test_the_same_seed_gives_the_same_run(data, tmp_path):
    one, other = (training.train(settings(data), tmp_path / 'runs') for _ in range(2))
    assert_same_result(one, other)


def test_seed_and_shuffling_matter(data, tmp_path):
    runs = [training.train(settings(data, epochs=1, **changes), tmp_path)
            for changes in ({}, {'seed': 4}, {'shuffle': False})]
    assert len({tuple(cost for _, _, cost in minibatch_costs(run)) for run in runs}) == 3


def test_resuming_gives_the_uninterrupted_result(data, tmp_path, monkeypatch):
    whole = training.train(settings(data, epochs=3), tmp_path / 'whole')
    nn = engines.load('torch')
    steps = []

    def interrupted_step(*arguments, step=nn.train_step):
        steps.append(1)
        if len(steps) == 5:
            raise KeyboardInterrupt
        return step(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(nn, 'train_step', interrupted_step)
        with pytest.raises(KeyboardInterrupt):
            training.train(settings(data, epochs=3), tmp_path / 'broken')
    (folder,) = (tmp_path / 'broken').iterdir()
    record = records.read_record(folder)
    assert (record['status'], len(record['epochs'])) == ('interrupted', 1)
    assert len(records.read_minibatches(folder)) == 4  # the second epoch's first is there, and cut on resumption
    run = training.resume(str(folder))
    assert run.record['status'] == 'finished'
    assert [entry['at_epoch'] for entry in run.record['resumed']] == [1]
    assert_same_result(whole, run)


def test_resuming_after_a_kill_before_the_first_epoch_ended(data, tmp_path, monkeypatch):
    whole = training.train(settings(data), tmp_path / 'whole')
    nn = engines.load('torch')
    with monkeypatch.context() as patch:
        patch.setattr(nn, 'train_step', lambda *arguments: os.kill(os.getpid(), signal.SIGTERM))
        with pytest.raises(KeyboardInterrupt):
            training.train(settings(data), tmp_path / 'broken')
    (folder,) = (tmp_path / 'broken').iterdir()
    assert_same_result(whole, training.resume(str(folder)))


def test_more_epochs_can_be_asked_for(data, tmp_path):
    whole = training.train(settings(data, epochs=3), tmp_path / 'whole')
    run = training.train(settings(data, epochs=1), tmp_path / 'short')
    with pytest.raises(UsageError, match='is trained for 1 epoch already; -e N'):
        training.resume(run.folder)
    with pytest.raises(UsageError, match='is trained for 1 epoch already; -e N'):
        training.resume(run.folder, epochs=0)
    assert_same_result(whole, training.resume(run.folder, epochs=3))


def test_the_record_names_the_command_itself(data, tmp_path):
    """Also where another command, `demo`, calls it in its own process."""
    command = ['train', '--model', 'fcnn-1', '--engine', 'torch', '--data', data, '-z', '4', '-e', '1', '--threads', '1',
               '--out', str(tmp_path / 'runs')]
    assert main(command) == 0
    (folder,) = (tmp_path / 'runs').iterdir()
    assert records.read_record(folder)['argv'] == command


def test_kill_9_leaves_a_resumable_run(data, tmp_path):
    whole = training.train(settings(data, epochs=12), tmp_path / 'whole')
    command = [sys.executable, '-m', 'neon_rnn', 'train', '--model', 'rnn', '--engine', 'torch', '--data', data,
               '-z', '4', '-e', '12', '-r', '3', '--threads', '1', '--out', str(tmp_path / 'broken')]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        for line in process.stdout:
            if line.startswith('epoch 2/'):
                time.sleep(0.05)
                process.kill()
                break
        process.stdout.read()
    assert process.returncode == -signal.SIGKILL
    (folder,) = (tmp_path / 'broken').iterdir()
    assert records.read_record(folder)['status'] == 'running'
    assert_same_result(whole, training.resume(str(folder)))


def test_a_cost_that_is_not_a_number_ends_the_run(data, tmp_path, monkeypatch):
    nn = engines.load('torch')
    costs = iter([0.7, 0.6, 0.5, 0.4, float('nan'), 0.3])
    monkeypatch.setattr(nn, 'train_step', lambda *arguments: next(costs))
    with pytest.raises(Diverged, match='epoch 2, minibatch 2'):
        training.train(settings(data), tmp_path / 'runs')
    (folder,) = (tmp_path / 'runs').iterdir()
    record = records.read_record(folder)
    assert record['status'] == 'diverged'
    assert 'epoch 2, minibatch 2' in record['error']
    assert [cost for _, _, cost in records.read_minibatches(folder)][:4] == [0.7, 0.6, 0.5, 0.4]


def test_a_weight_that_is_not_a_number_ends_the_run(data, tmp_path, monkeypatch):
    nn = engines.load('torch')
    get_weights = nn.get_weights

    def spoilt(model):
        weights = get_weights(model)
        if steps:
            weights['2.W'][0, 0] = np.inf
        return weights

    steps, step = [], nn.train_step
    monkeypatch.setattr(nn, 'train_step', lambda *arguments: steps.append(1) or step(*arguments))
    monkeypatch.setattr(nn, 'get_weights', spoilt)
    with pytest.raises(Diverged, match=r'checkpoint.npz: not written at epoch 1, 2\.W holds values that are not finite'):
        training.train(settings(data, epochs=1), tmp_path / 'runs')
    (folder,) = (tmp_path / 'runs').iterdir()
    assert records.read_record(folder)['status'] == 'diverged'
    assert checkpoint.load(os.path.join(folder, 'checkpoint.npz')).meta['epoch'] == 0


def test_a_full_disk_at_the_checkpoint(data, tmp_path, monkeypatch):
    """The run is marked failed, its earlier checkpoint stays whole, and it resumes once there is space."""
    whole = training.train(settings(data), tmp_path / 'whole')
    save = checkpoint.save

    def full(path, weights, optimizer_state=None, random_state=None, meta=None):
        if meta['epoch'] == 2:
            raise NeonRnnError(f'{path}: the disk is full')
        save(path, weights, optimizer_state, random_state, meta)

    with monkeypatch.context() as patch:
        patch.setattr(checkpoint, 'save', full)
        with pytest.raises(NeonRnnError, match='disk is full'):
            training.train(settings(data), tmp_path / 'runs')
    (folder,) = (tmp_path / 'runs').iterdir()
    assert records.read_record(folder)['status'] == 'failed'
    assert_same_result(whole, training.resume(str(folder)))


def test_a_wait_for_the_checkpoint_that_ctrl_c_cuts_short_is_taken_up_again(monkeypatch):
    """Else the record would say 'interrupted', and the lock be free, while the thread still writes."""
    prepared = preparation.Prepared(None, None, None, None, None, None)
    prepared._writing = writing = futures.Future()

    def interrupted(pending):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(preparation.futures, 'wait', interrupted)
        with pytest.raises(KeyboardInterrupt):
            prepared.wait_for_checkpoint()
    writing.set_exception(NeonRnnError('the disk is full'))
    with pytest.raises(NeonRnnError, match='the disk is full'):
        prepared.wait_for_checkpoint()
    prepared.wait_for_checkpoint()


def test_a_second_process_is_kept_out(data, tmp_path):
    run = training.train(settings(data, epochs=1), tmp_path / 'runs')
    with run.lock(), pytest.raises(NeonRnnError, match='another process is training there'):
        training.resume(run.folder, epochs=2)


def test_resuming_on_other_data_is_refused(data, tmp_path):
    run = training.train(settings(data, epochs=1), tmp_path / 'runs')
    other = write_data(tmp_path / 'other', seed=2)
    with pytest.raises(UsageError, match='is not the data set that this run was trained on'):
        training.resume(run.folder, epochs=2, data=other)


@pytest.mark.parametrize(('changes', 'message'), [
    ({'batch_size': 11}, '10 images do not fill one minibatch of 11'),
    ({'batch_size': 0}, 'batch_size is 0'),
    ({'epochs': 0}, 'epochs is 0'),
    ({'threads': 0}, 'threads is 0'),
    ({'seed': -1}, 'the seed is -1'),
    ({'seed': 2 ** 32}, 'the seed is 4294967296'),
    ({'model': 'vgg'}, "there is no model 'vgg'"),
    ({'backend': 'numpy'}, "no backend 'numpy'"),
    ({'engine': 'caffe'}, "no engine 'caffe'"),
    ({'data': 'nowhere'}, 'nowhere: there is no such data set folder'),
])
def test_settings_that_cannot_be(data, tmp_path, changes, message):
    with pytest.raises(UsageError, match=message):
        training.train(settings(data)._replace(**changes), tmp_path / 'runs')
    assert not (tmp_path / 'runs').exists()


def test_image_sides_that_the_network_cannot_take(tmp_path):
    data = write_data(tmp_path / 'data', shape=(3, 40, 32))
    with pytest.raises(UsageError, match='sides divide by 32'):
        training.train(settings(data), tmp_path / 'runs')


def test_three_classes_are_refused(tmp_path):
    data = write_data(tmp_path / 'data', classes=3)
    with pytest.raises(UsageError, match='has 3 classes'):
        training.train(settings(data), tmp_path / 'runs')


def test_evaluate_and_predict(data, tmp_path, capsys):
    run = training.train(settings(data), tmp_path / 'runs')
    assert main(['evaluate', run.folder, '--json', str(tmp_path / 'e.json'), '--png', str(tmp_path / 'e.png')]) == 0
    figures = json.loads((tmp_path / 'e.json').read_text())
    assert figures['accuracy'] == run.record['final']['accuracy']
    assert figures['confusion'] == run.record['final']['confusion']
    assert (tmp_path / 'e.png').read_bytes()[:8] == b'\x89PNG\r\n\x1a\n'
    assert 'majority baseline 50.0%' in capsys.readouterr().out

    from PIL import Image
    names = ['grey with space é.png', 'palette.gif', 'rgba.png', 'cmyk.jpg', 'wide.jpg']
    modes = ['L', 'P', 'RGBA', 'CMYK', 'RGB']
    sizes = [(40, 40), (33, 50), (64, 64), (32, 32), (200, 20)]
    for name, mode, size in zip(names, modes, sizes, strict=True):
        Image.new('RGB', size, (90, 120, 150)).convert(mode).save(tmp_path / name)
    (tmp_path / 'text.jpg').write_text('no image')
    paths = [str(tmp_path / name) for name in [*names, 'text.jpg', 'missing.jpg']]
    assert main(['predict', run.folder, *paths, '-z', '2', '--json', str(tmp_path / 'p.json')]) == 1
    results = json.loads((tmp_path / 'p.json').read_text())
    assert [result['image'] for result in results] == paths
    for result in results[:5]:
        assert sum(result['probabilities'].values()) == pytest.approx(1, abs=1e-5)
        assert result['class'] == max(result['probabilities'], key=result['probabilities'].get)
    assert ['error' in result for result in results] == [False] * 5 + [True] * 2
    printed = capsys.readouterr()
    assert 'text.jpg: not an image' in printed.err
    assert printed.out.count('%') == 5


def test_predict_prepares_photographs_as_the_training_did(tmp_path, capsys):
    from PIL import Image
    striped = np.zeros((32, 96, 3), np.uint8)
    striped[:, 32:64] = 255
    Image.fromarray(striped).save(tmp_path / 'wide.png')
    answers = []
    for fit in ('crop', 'stretch'):
        data = write_data(tmp_path / fit)
        path = os.path.join(data, 'dataset.json')
        with open(path) as file:
            description = json.load(file)
        description['preprocessing'] = {'height': 32, 'width': 32, 'fit': fit, 'centre': 1.0, 'filter': 'lanczos'}
        with open(path, 'w') as file:
            json.dump(description, file)
        run = training.train(settings(data, epochs=1), tmp_path / 'runs')
        assert main(['predict', run.folder, str(tmp_path / 'wide.png'), '--json', '-']) == 0
        answers.append(json.loads(capsys.readouterr().out.split('images/s\n')[-1])[0]['probability'])
    assert answers[0] != answers[1]  # the same weights, shown the white middle, or white between black


def test_a_checkpoint_of_another_model_is_named(data, tmp_path, capsys):
    run = training.train(settings(data, epochs=1), tmp_path / 'runs')
    other = training.train(settings(data, epochs=1)._replace(model='fcnn-2'), tmp_path / 'runs')
    path = os.path.join(run.folder, 'checkpoint.npz')
    shutil.copy(os.path.join(other.folder, 'checkpoint.npz'), path)
    for command in (['evaluate', run.folder], ['train', '--resume', run.folder, '-e', '2']):
        assert main(command) == 1
        assert 'error: {}: the weights are of another model: '.format(path) in capsys.readouterr().err


@pytest.mark.parametrize(('options', 'named'), [
    (['-z', '4'], '--batch_size'), (['--rng_seed', '0', '--no-shuffle'], '--rng_seed, --no-shuffle'),
    (['--model', 'rnn', '-b', 'cpu'], '--model')])
def test_settings_beside_resume_are_refused_and_not_passed_over(capsys, options, named):
    assert main(['train', '--resume', 'no-such-run', *options]) == 2
    assert '--resume goes on with the settings of the run; {} cannot be given'.format(named) in capsys.readouterr().err
    assert main(['train', '--resume', 'no-such-run', '-e', '2', '--data', 'x', '--engine', 'torch', '-b', 'cpu']) == 2
    assert 'no-such-run: there is no such run folder' in capsys.readouterr().err


@pytest.mark.parametrize('options', [['-b', 'gpu'], ['--engine', 'neon'], ['--engine', 'torch', '-b', 'numpy']])
def test_another_engine_or_backend_beside_resume_is_refused(data, tmp_path, capsys, options):
    run = training.train(settings(data, epochs=1), tmp_path / 'runs')
    assert main(['train', '--resume', run.folder, '-e', '2', *options]) == 2
    assert 'was trained by engine torch on backend cpu, and goes on with these only' in capsys.readouterr().err
    assert main(['train', '--resume', run.folder, '-e', '2', '--engine', 'torch', '-b', 'mkl']) == 0


def test_evaluate_refuses_other_sizes_and_runs_without_checkpoint(data, tmp_path, capsys):
    run = training.train(settings(data, epochs=1), tmp_path / 'runs')
    other = write_data(tmp_path / 'other', shape=(3, 64, 64))
    assert main(['evaluate', run.folder, '--data', other]) == 2
    assert 'the run was trained on (3, 32, 32)' in capsys.readouterr().err
    os.unlink(os.path.join(run.folder, 'checkpoint.npz'))
    assert main(['evaluate', run.folder]) == 2
    assert main(['predict', run.folder, 'x.jpg']) == 2
    assert main(['train', '--resume', run.folder, '-e', '2']) == 1
    assert main(['evaluate', str(tmp_path)]) == 2
    assert main(['evaluate', run.folder, '-z', '0']) == 2
    assert main(['predict', run.folder, 'x.jpg', '-z', '-1']) == 2
    errors = capsys.readouterr().err.splitlines()
    assert [line.split(': error: ')[0] for line in errors] == [
        'neon_rnn evaluate', 'neon_rnn predict', 'neon_rnn train', 'neon_rnn evaluate', 'neon_rnn evaluate',
        'neon_rnn predict']
    assert 'checkpoint.npz' in errors[2]
    assert 'is no run folder' in errors[3]
    assert [line.split(': error: ')[1] for line in errors[4:]] == [
        '-z 0: has to be at least 1.', '-z -1: has to be at least 1.']
