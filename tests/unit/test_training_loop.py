"""The training loop on the torch engine: records, checkpoints, resumption, bad input."""

import csv
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from small_training import settings, write_data

from neon_rnn import engines, training
from neon_rnn.cli import main
from neon_rnn.runs import checkpoint, records
from neon_rnn.support.errors import Diverged, NeonRnnError, UsageError
from neon_rnn.support.paths import ROOT


@pytest.fixture
def data(tmp_path):
    return write_data(tmp_path / 'data')


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
    assert [row['accuracy'] for row in one.record['epochs']] == [
        row['accuracy'] for row in other.record['epochs']
    ]
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
    assert [row[:2] for row in rows] == [
        (epoch, minibatch) for epoch in (1, 2) for minibatch in (1, 2, 3)
    ]
    assert record['epochs'][1]['cost'] == pytest.approx(
        np.mean([cost for epoch, _, cost in rows if epoch == 2])
    )
    with open(os.path.join(run.folder, 'epochs.csv'), newline='') as file:
        assert [int(row['epoch']) for row in csv.DictReader(file)] == [1, 2]


def test_the_same_seed_gives_the_same_run(data, tmp_path):
    one, other = (training.train(settings(data), tmp_path / 'runs') for _ in range(2))
    assert_same_result(one, other)


def test_seed_and_shuffling_matter(data, tmp_path):
    runs = [
        training.train(settings(data, epochs=1, **changes), tmp_path)
        for changes in ({}, {'seed': 4}, {'shuffle': False})
    ]
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
    assert (
        len(records.read_minibatches(folder)) == 4
    )  # the second epoch's first is there, and cut on resumption
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
    command = [
        'train',
        '--model',
        'fcnn-1',
        '--engine',
        'torch',
        '--data',
        data,
        '-z',
        '4',
        '-e',
        '1',
        '--threads',
        '1',
        '--out',
        str(tmp_path / 'runs'),
    ]
    assert main(command) == 0
    (folder,) = (tmp_path / 'runs').iterdir()
    assert records.read_record(folder)['argv'] == command


def test_kill_9_leaves_a_resumable_run(data, tmp_path):
    whole = training.train(settings(data, epochs=12), tmp_path / 'whole')
    command = [
        sys.executable,
        '-m',
        'neon_rnn',
        'train',
        '--model',
        'rnn',
        '--engine',
        'torch',
        '--data',
        data,
        '-z',
        '4',
        '-e',
        '12',
        '-r',
        '3',
        '--threads',
        '1',
        '--out',
        str(tmp_path / 'broken'),
    ]
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
    with pytest.raises(
        Diverged,
        match=r'checkpoint.npz: not written at epoch 1, 2\.W holds values that are not finite',
    ):
        training.train(settings(data, epochs=1), tmp_path / 'runs')
    (folder,) = (tmp_path / 'runs').iterdir()
    assert records.read_record(folder)['status'] == 'diverged'
    assert checkpoint.load(os.path.join(folder, 'checkpoint.npz')).meta['epoch'] == 0


def test_a_full_disk_at_the_checkpoint(data, tmp_path, monkeypatch):
    """The run is marked failed, its earlier checkpoint stays whole, and it resumes once there is
    space.
    """
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


def test_a_second_process_is_kept_out(data, tmp_path):
    run = training.train(settings(data, epochs=1), tmp_path / 'runs')
    with run.lock(), pytest.raises(NeonRnnError, match='another process is training there'):
        training.resume(run.folder, epochs=2)


def test_resuming_on_other_data_is_refused(data, tmp_path):
    run = training.train(settings(data, epochs=1), tmp_path / 'runs')
    other = write_data(tmp_path / 'other', seed=2)
    with pytest.raises(UsageError, match='is not the data set that this run was trained on'):
        training.resume(run.folder, epochs=2, data=other)


@pytest.mark.parametrize(
    ('changes', 'message'),
    [
        ({'batch_size': 11}, '10 images do not fill one minibatch of 11'),
        ({'batch_size': 0}, 'batch_size is 0'),
        ({'epochs': 0}, 'epochs is 0'),
        ({'threads': 0}, 'threads is 0'),
        ({'seed': -1}, 'the seed is -1'),
        ({'seed': 2**32}, 'the seed is 4294967296'),
        ({'model': 'vgg'}, "there is no model 'vgg'"),
        ({'backend': 'numpy'}, "no backend 'numpy'"),
        ({'engine': 'caffe'}, "no engine 'caffe'"),
        ({'data': 'nowhere'}, 'nowhere: there is no such data set folder'),
    ],
)
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
