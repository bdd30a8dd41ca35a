"""`train --keep_best` and `--patience`: the validation part chooses the epoch."""

import os

import numpy as np
import pytest
from small_training import settings, write_data

from neon_rnn import published, training
from neon_rnn.cli import main
from neon_rnn.engines import torch as engine
from neon_rnn.report.choose import choose
from neon_rnn.report.collect import collect
from neon_rnn.report.table import table_data, to_markdown
from neon_rnn.runs import checkpoint, records, trained_run
from neon_rnn.support.errors import NeonRnnError, UsageError
from neon_rnn.training import loop
from neon_rnn.training.session import Session


@pytest.fixture
def data(tmp_path):
    return write_data(tmp_path / 'data', counts=(10, 6, 4))


@pytest.fixture
def scripted(monkeypatch):
    """Return a function that says which accuracies the validation part shall give, by epoch."""
    now = {}

    def noting(session, run, epoch, train_epoch=loop._train_epoch):
        now['epoch'] = epoch
        return train_epoch(session, run, epoch)

    monkeypatch.setattr(loop, '_train_epoch', noting)

    def script(*accuracies):
        def evaluate(session, part='test', evaluate=Session.evaluate):
            found = evaluate(session, part)
            return dict(found, accuracy=accuracies[now['epoch'] - 1]) if part == 'val' else found

        monkeypatch.setattr(Session, 'evaluate', evaluate)

    return script


def train(data, out, **changes):
    given = dict(model='fcnn-1', keep_best=True, epochs=4, **changes)
    return training.train(settings(data, **given), str(out))


def weights_after(data, out, epochs):
    """The weights of a training without --keep_best, which the choice must not change."""
    run = training.train(settings(data, model='fcnn-1', epochs=epochs), str(out))
    return checkpoint.load(trained_run.checkpoint_path(run.folder)).weights, run


def test_the_best_epoch_is_the_result(data, tmp_path, scripted, capsys):
    scripted(0.5, 0.75, 0.75, 0.25)
    run = train(data, tmp_path / 'runs')
    record = records.read_record(run.folder)
    assert [each['accuracy'] for each in record['validation']] == [0.5, 0.75, 0.75, 0.25]
    assert record['final']['epoch'] == 2
    expected, plain = weights_after(data, tmp_path / 'plain', 2)
    kept = trained_run.load_best(run).weights
    for name, values in expected.items():
        np.testing.assert_array_equal(kept[name], values)
    final = dict(record['final'])
    assert final.pop('epoch') == 2
    assert final == plain.record['final']
    assert 'epoch 2 of 4 is the best by the validation part' in capsys.readouterr().out
    loaded = trained_run.load_run(run.folder)
    for name, values in loaded.nn.get_weights(loaded.model).items():
        np.testing.assert_array_equal(values, expected[name])
    evaluated = trained_run.evaluate(run.folder, batch_size=4)
    assert evaluated.figures == final


def test_the_record_says_so_and_the_table_names_it(data, tmp_path):
    run = train(data, tmp_path / 'runs', patience=3)
    hyperparameters = run.record['hyperparameters']
    assert (hyperparameters['keep_best'], hyperparameters['patience']) == (True, 3)
    reasons = published.protocol(
        'fcnn-1', dict(hyperparameters, epochs=90), run.record['dataset'], {}
    )['reasons']
    assert 'best epoch by the validation part' in reasons
    text = to_markdown(table_data(choose(collect(tmp_path / 'runs'))), 'runs')
    assert 'early stopping after 3 epochs without a better one' in text


def test_a_plain_training_holds_neither(data, tmp_path):
    run = training.train(settings(data, model='fcnn-1', epochs=1), str(tmp_path))
    assert not {'keep_best', 'patience'} & set(run.record['hyperparameters'])
    assert run.record['validation'] == []
    assert not os.path.exists(trained_run.best_path(run.folder))


def test_patience_ends_the_training(data, tmp_path, scripted):
    scripted(0.5, 0.75, 0.75, 0.5, 1.0)
    run = train(data, tmp_path / 'runs', patience=2, serialize=10)
    assert run.record['status'] == 'finished'
    assert len(run.record['epochs']) == 4
    assert run.record['final']['epoch'] == 2
    # Resuming with more epochs finds the training ended, and measures the same.
    resumed = training.resume(run.folder, epochs=9)
    assert len(resumed.record['epochs']) == 4
    assert resumed.record['final'] == run.record['final']


def resumed(data, out):
    """Train into `out`, where somebody interrupts, and resume."""
    with pytest.raises(KeyboardInterrupt):
        train(data, out, serialize=3)
    (folder,) = out.iterdir()
    return training.resume(str(folder))


@pytest.mark.parametrize('place', ['in epoch 3', 'in epoch 4', 'before the best is written'])
def test_an_interruption_changes_nothing(data, tmp_path, monkeypatch, scripted, place):
    scripted(0.5, 0.75, 0.25, 0.5)
    whole = train(data, tmp_path / 'whole')
    interrupted = []

    def once():
        if not interrupted:
            interrupted.append(True)
            raise KeyboardInterrupt

    def save_best(session, run, epoch, save_best=Session.save_best):
        if place == 'before the best is written' and epoch == 2:
            once()
        save_best(session, run, epoch)

    def train_step(model, inputs, labels, optimizer, epoch, step=engine.train_step):
        if place == 'in epoch {}'.format(epoch + 1):
            once()
        return step(model, inputs, labels, optimizer, epoch)

    monkeypatch.setattr(Session, 'save_best', save_best)
    monkeypatch.setattr(engine, 'train_step', train_step)
    run = resumed(data, tmp_path / 'broken')
    assert run.record['validation'] == whole.record['validation']
    assert run.record['final'] == whole.record['final']
    expected = trained_run.load_best(whole).weights
    for name, values in trained_run.load_best(run).weights.items():
        np.testing.assert_array_equal(values, expected[name])


def test_a_file_of_another_epoch_is_refused(data, tmp_path, scripted):
    scripted(0.5, 0.75, 0.25, 0.5)
    run = train(data, tmp_path / 'runs')
    path = trained_run.best_path(run.folder)
    saved = checkpoint.load(path)
    checkpoint.save(path, saved.weights, meta=dict(saved.meta, epoch=1))
    with pytest.raises(NeonRnnError, match='is of epoch 1, but the best epoch by the record is 2'):
        trained_run.load_run(run.folder)
    os.remove(path)
    with pytest.raises(NeonRnnError, match='checkpoint_best.npz: cannot be read'):
        trained_run.load_run(run.folder)


def test_convert_takes_the_best_epoch(data, tmp_path, scripted):
    scripted(0.75, 0.25, 0.5, 0.5)
    run = train(data, tmp_path / 'runs')
    path, saved = trained_run.result_checkpoint(run)
    assert (path, saved.meta['epoch']) == (trained_run.best_path(run.folder), 1)


def test_without_a_validation_part(tmp_path):
    data = write_data(tmp_path / 'data')
    with pytest.raises(UsageError, match=r'has no validation part \(val\.h5\).*--val-fraction'):
        train(data, tmp_path / 'runs')
    with pytest.raises(UsageError, match='patience needs keep_best'):
        training.train(settings(data, patience=2), str(tmp_path / 'runs'))
    assert not (tmp_path / 'runs').exists()


def test_the_command_line_and_evaluate_on_the_validation_part(data, tmp_path, capsys):
    words = ['train', '--model', 'fcnn-1', '--engine', 'torch', '--data', data, '-z', '4']
    words += ['-e', '3', '--patience', '2', '--threads', '1', '--out', str(tmp_path / 'runs')]
    assert main(words) == 0
    (folder,) = (tmp_path / 'runs').iterdir()
    record = records.read_record(folder)
    assert record['hyperparameters']['keep_best'] is True
    capsys.readouterr()
    assert main(['evaluate', str(folder), '--part', 'val']) == 0
    output = capsys.readouterr().out
    assert os.path.join('data', 'val.h5') in output
    best = record['validation'][record['final']['epoch'] - 1]
    assert '{:.1f}%'.format(100 * best['accuracy']) in output
