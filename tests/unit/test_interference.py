"""Runs, checkpoints and data that somebody changes between or during trainings."""

import json
import os

import numpy as np
import pytest
from small_training import settings, write_data

from neon_rnn import engines, training
from neon_rnn.cli import main
from neon_rnn.runs import checkpoint, records
from neon_rnn.runs.trained_run import checkpoint_path
from neon_rnn.support import machine
from neon_rnn.support.errors import NeonRnnError, UsageError
from neon_rnn.training import ranks


@pytest.fixture
def data(tmp_path):
    return write_data(tmp_path / 'data')


def fast(data, **changes):
    return settings(data, model='fcnn-1', **changes)


@pytest.fixture
def run(data, tmp_path):
    """A run of two epochs that was stopped after them: two more are asked for."""
    return training.train(fast(data), tmp_path / 'runs')


def during_epoch(monkeypatch, number, action):
    """Call `action` within the first minibatch of an epoch."""
    nn = engines.load('torch')
    step, done = nn.train_step, []

    def train_step(model, inputs, labels, optimizer, epoch):
        if epoch == number - 1 and not done:
            done.append(action())
        return step(model, inputs, labels, optimizer, epoch)

    monkeypatch.setattr(nn, 'train_step', train_step)


def only_record(tmp_path):
    (folder,) = (tmp_path / 'broken').iterdir()
    return records.read_record(folder)


def rewrite(path):
    with open(path, 'r+b') as file:
        file.seek(os.path.getsize(path) // 2)
        file.write(bytes(64))


@pytest.mark.parametrize('part', ['train.h5', 'test.h5'])
@pytest.mark.parametrize(
    'change', [rewrite, os.unlink, lambda path: os.truncate(path, os.path.getsize(path) - 1)]
)
def test_data_that_change_during_a_training_end_it(tmp_path, data, monkeypatch, part, change):
    during_epoch(monkeypatch, 2, lambda: change(os.path.join(data, part)))
    with pytest.raises(NeonRnnError, match=part):
        training.train(fast(data, epochs=3), tmp_path / 'broken')
    record = only_record(tmp_path)
    assert (record['status'], len(record['epochs'])) == ('failed', 1)
    assert part in record['error']


@pytest.mark.parametrize('name', [records.EPOCHS, records.MINIBATCHES])
def test_a_table_that_is_removed_during_a_training_ends_it(tmp_path, data, monkeypatch, name):
    def remove():
        (folder,) = (tmp_path / 'broken').iterdir()
        os.unlink(folder / name)

    during_epoch(monkeypatch, 2, remove)
    with pytest.raises(NeonRnnError, match=name):
        training.train(fast(data, epochs=3), tmp_path / 'broken')
    assert only_record(tmp_path)['status'] == 'failed'


@pytest.mark.parametrize('name', [records.RECORD, 'checkpoint.npz'])
def test_what_can_be_written_again_is(tmp_path, data, monkeypatch, name):
    def remove():
        (folder,) = (tmp_path / 'broken').iterdir()
        os.unlink(folder / name)

    during_epoch(monkeypatch, 3, remove)
    run = training.train(fast(data, epochs=3, serialize=5), tmp_path / 'broken')
    assert records.read_record(run.folder)['status'] == 'finished'
    assert checkpoint.load(checkpoint_path(run.folder)).meta['epoch'] == 3


def lines(run, name, change):
    path = os.path.join(run.folder, name)
    with open(path) as file:
        found = file.read().splitlines()
    change(found)
    with open(path, 'w') as file:
        file.write('\n'.join(found) + '\n')


@pytest.mark.parametrize(
    ('name', 'change', 'message'),
    [
        ('minibatches.csv', lambda rows: rows.pop(2), 'missing or doubled'),
        ('minibatches.csv', lambda rows: rows.insert(2, rows[2]), 'missing or doubled'),
        ('minibatches.csv', lambda rows: rows.__setitem__(1, '1,1,nan'), 'not a finite number'),
        ('epochs.csv', lambda rows: rows.pop(1), 'missing or doubled'),
        (
            'epochs.csv',
            lambda rows: rows.__setitem__(1, '1,0.1,0.5,1.0,1.0'),
            'differs from record',
        ),
    ],
)
def test_a_changed_table_is_not_resumed(run, name, change, message):
    lines(run, name, change)
    before = records.read_record(run.folder)
    with pytest.raises(NeonRnnError, match=f'{name}: .*{message}'):
        training.resume(run.folder, epochs=4)
    assert records.read_record(run.folder)['epochs'] == before['epochs']


def with_checkpoint(run, **changes):
    saved = checkpoint.load(checkpoint_path(run.folder))._replace(**changes)
    checkpoint.save(checkpoint_path(run.folder), *saved)
    return saved


def test_the_checkpoint_of_another_run_is_not_resumed(data, run, tmp_path):
    other = training.train(fast(data, seed=9), tmp_path / 'runs')
    os.replace(checkpoint_path(other.folder), checkpoint_path(run.folder))
    with pytest.raises(UsageError, match=f'is the checkpoint of run {other.record["run_id"]}'):
        training.resume(run.folder, epochs=4)


def test_a_checkpoint_without_momentum_is_not_resumed_but_predicts(run):
    with_checkpoint(run, optimizer_state={})
    with pytest.raises(NeonRnnError, match='holds no optimiser state'):
        training.resume(run.folder, epochs=4)
    assert main(['evaluate', run.folder]) == 0


@pytest.mark.parametrize('command', ['evaluate', 'resume'])
def test_a_checkpoint_with_weights_that_are_not_finite_is_refused(
    run, monkeypatch, capsys, command
):
    saved = checkpoint.load(checkpoint_path(run.folder))
    next(iter(saved.weights.values()))[:] = np.nan
    monkeypatch.setattr(checkpoint.np, 'isfinite', lambda values: np.ones(values.shape, bool))
    checkpoint.save(checkpoint_path(run.folder), *saved)
    monkeypatch.undo()
    assert main([command, run.folder, *(['-e', '4'] if command == 'resume' else [])]) == 1
    assert 'holds values that are not finite' in capsys.readouterr().err


def test_a_resumption_removes_what_killed_processes_left(run):
    left = ['.checkpoint.npz.0123456789ab', '.record.json.ba9876543210', '.epochs.csv.0000000000ff']
    kept = ['.checkpoint.npz.backup', '.notes.txt.0123456789ab', 'confusion.png']
    for name in left + kept:
        with open(os.path.join(run.folder, name), 'w') as file:
            file.write('x')
    training.resume(run.folder, epochs=3)
    assert set(left) & set(os.listdir(run.folder)) == set()
    assert set(kept) <= set(os.listdir(run.folder))


def test_as_many_threads_as_before_on_the_same_machine(data, tmp_path):
    """More threads than cores too: their number decides how sums are rounded."""
    threads = machine.cores() + 1
    whole = training.train(fast(data, epochs=2, threads=threads), tmp_path / 'whole')
    run = training.train(fast(data, epochs=1, threads=threads), tmp_path / 'broken')
    resumed = training.resume(run.folder, epochs=2)
    assert resumed.record['resumed'][0]['device']['threads'] == threads
    costs = [[epoch['cost'] for epoch in each.record['epochs']] for each in (whole, resumed)]
    assert costs[0] == costs[1]


@pytest.mark.parametrize(
    ('variables', 'first'),
    [
        ({'RANK': '1'}, True),
        ({'RANK': '1', 'WORLD_SIZE': '1'}, True),
        ({'RANK': '1', 'WORLD_SIZE': '2'}, False),
        ({'RANK': '0', 'WORLD_SIZE': '2'}, True),
    ],
)
def test_a_rank_counts_among_several_only(monkeypatch, variables, first):
    for name in ('RANK', 'WORLD_SIZE'):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert ranks.first() is first


def test_an_evaluation_counts_the_pictures_of_the_training(data, run, tmp_path, capsys):
    """The same pictures in other files, as another seed of the split gives them."""
    other = write_data(tmp_path / 'other')
    for name in ('train', 'test'):
        os.replace(os.path.join(other, name + '.h5'), os.path.join(other, name + '.old'))
    os.replace(os.path.join(other, 'train.old'), os.path.join(other, 'test.h5'))
    os.replace(os.path.join(other, 'test.old'), os.path.join(other, 'train.h5'))
    os.unlink(os.path.join(other, 'dataset.json'))
    assert main(['evaluate', run.folder, '--data', other]) == 0
    assert 'trained on 10 of these 10 images' in capsys.readouterr().err
    assert main(['evaluate', run.folder]) == 0
    assert 'trained on' not in capsys.readouterr().err


def test_a_data_set_without_hashes_says_so(data, tmp_path):
    path = os.path.join(data, 'dataset.json')
    with open(path) as file:
        description = json.load(file)
    del description['sha256']
    with open(path, 'w') as file:
        json.dump(description, file)
    assert training.train(fast(data, epochs=1), tmp_path / 'runs').record['dataset']['sha256']
