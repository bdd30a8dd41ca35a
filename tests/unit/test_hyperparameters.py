"""Settings that no published row has: their effect, their mark in the record and in the table."""

import csv

import numpy as np
import pytest
from small_training import settings, write_data

from neon_rnn import engines, published, training
from neon_rnn.cli import main
from neon_rnn.report.choose import choose
from neon_rnn.report.collect import collect
from neon_rnn.report.table import table_data, to_markdown
from neon_rnn.runs import records
from neon_rnn.support.errors import UsageError
from neon_rnn.training.session import Session

#: Settings, and what the record and the table say of each.
CHANGES = [
    ({'learning_rate': 0.05}, 'learning rate 0.05 instead of 0.01'),
    ({'momentum_coef': 0.5}, 'momentum 0.5 instead of 0.9'),
    ({'wdecay': 0.01}, 'weight decay 0.01 instead of 0.0005'),
    ({'schedule': (1, 2)}, 'learning rate x0.1 after epoch 1, 2'),
    ({'augment': ('flip', 'crop')}, 'augmented by flip, crop'),
    ({'class_weights': 'balanced'}, 'balanced class weights'),
]


@pytest.fixture
def data(tmp_path):
    """Nine training images, five of them of class 0: three minibatches an epoch."""
    return write_data(tmp_path / 'data', counts=(9, 6))


def train(data, out, **changes):
    given = dict({'model': 'fcnn-1', 'epochs': 3}, **changes)
    return training.train(settings(data, **given), str(out))


def costs(run):
    return [cost for _, _, cost in records.read_minibatches(run.folder)]


@pytest.mark.parametrize(('change', 'reason'), CHANGES)
def test_each_has_an_effect_and_is_named(data, tmp_path, change, reason):
    plain, run = train(data, tmp_path / 'runs'), train(data, tmp_path / 'runs', **change)
    assert costs(run) != costs(plain)
    record = run.record
    assert reason in record['protocol']['reasons']
    complete = dict(record['hyperparameters'], epochs=90, batch_size=128)
    photographs = dict(record['dataset'], kind='photographs', shape=[3, 128, 128])
    found = published.protocol('fcnn-1', complete, photographs, {})
    assert (found['complete'], found['reasons']) == (False, [reason])
    text = to_markdown(table_data(choose(collect(tmp_path / 'runs'))), 'runs')
    assert reason in text


@pytest.mark.parametrize(('change', 'reason'), CHANGES)
def test_resuming_keeps_them(data, tmp_path, monkeypatch, change, reason):
    whole = train(data, tmp_path / 'whole', **change)
    step, steps = engines.load('torch').train_step, []

    def interrupted(*arguments):
        steps.append(1)
        if len(steps) == 5:
            raise KeyboardInterrupt
        return step(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(engines.load('torch'), 'train_step', interrupted)
        with pytest.raises(KeyboardInterrupt):
            train(data, tmp_path / 'broken', **change)
    (folder,) = (tmp_path / 'broken').iterdir()
    run = training.resume(str(folder))
    assert costs(run) == costs(whole)
    assert run.record['hyperparameters'] == whole.record['hyperparameters']


def test_the_schedule_changes_the_rate_after_the_epoch(data, tmp_path):
    slow = {'learning_rate': 1e-4}
    plain, run = train(data, tmp_path, **slow), train(data, tmp_path, schedule=(2,), **slow)
    same = [one == other for one, other in zip(costs(plain), costs(run), strict=True)]
    # Three minibatches an epoch; the first of epoch 3 is computed before the smaller step.
    assert same == [True] * 7 + [False] * 2
    session = Session(settings(data, model='fcnn-1', schedule=(2, 4)))
    rates = [session.optimizer.schedule.get_learning_rate(0.01, epoch) for epoch in range(5)]
    np.testing.assert_allclose(rates, [0.01, 0.01, 0.001, 0.001, 0.0001])


def test_balanced_weights_are_the_inverse_of_the_share(tmp_path, monkeypatch):
    session = Session(settings(write_data(tmp_path / 'data'), model='fcnn-1'))
    labels = np.array([0] * 7 + [1] * 3)
    monkeypatch.setattr(session.dataset.train, 'labels', labels)
    weights = session._class_weights()
    np.testing.assert_allclose(weights, [10 / 14, 10 / 6])
    np.testing.assert_allclose(np.mean(np.array(weights)[labels]), 1)
    monkeypatch.setattr(session.dataset.train, 'labels', np.zeros(10, int))
    with pytest.raises(UsageError, match=r"train\.h5: has no image of class 'male'"):
        session._class_weights()


def test_the_training_images_are_changed_and_the_test_images_are_not(data):
    plain, changed = (
        Session(settings(data, model='fcnn-1', augment=augment)) for augment in ((), ('crop',))
    )
    for (one, label, _), (other, same, _) in zip(plain.feed(1), changed.feed(1), strict=True):
        assert np.array_equal(label, same)
        assert not np.array_equal(np.asarray(one), np.asarray(other))
    assert plain.evaluate() == changed.evaluate()


def test_the_command_line(data, tmp_path):
    words = ['train', '--model', 'fcnn-1', '--engine', 'torch', '--data', data, '-z', '4']
    words += ['-e', '1', '--threads', '1', '--out', str(tmp_path / 'runs')]
    words += ['--learning_rate', '0.02', '--momentum', '0.8', '--wdecay', '0', '--schedule', '1']
    words += ['--augment', 'crop,flip', '--class_weights', 'balanced']
    assert main(words) == 0
    (folder,) = (tmp_path / 'runs').iterdir()
    hyperparameters = records.read_record(folder)['hyperparameters']
    assert {
        name: hyperparameters[name] for name in hyperparameters if name not in ('shuffle', 'epochs')
    } == {
        'batch_size': 4,
        'learning_rate': 0.02,
        'momentum_coef': 0.8,
        'wdecay': 0.0,
        'schedule': [1],
        'augment': ['crop', 'flip'],
        'class_weights': 'balanced',
        'eval_freq': 1,
        'serialize': 1,
    }
    with open(folder / 'epochs.csv', newline='') as file:
        assert len(list(csv.DictReader(file))) == 1


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        ({'learning_rate': 0.0}, 'learning_rate is 0.0; it has to be above 0'),
        ({'learning_rate': float('nan')}, 'learning_rate is nan'),
        ({'momentum_coef': -0.1}, 'momentum_coef is -0.1; it has to be 0 or more'),
        ({'wdecay': -1.0}, 'wdecay is -1.0'),
        ({'schedule': (3, 2)}, 'schedule is 3 2; it has to name numbers of epochs'),
        ({'schedule': (0,)}, 'schedule is 0'),
        ({'augment': ('rotate',)}, "there is no 'rotate'; choose from flip, crop"),
        ({'class_weights': 'some'}, "class_weights is 'some'"),
        ({'engine': 'neon', 'augment': ('flip',)}, 'are for the torch engine'),
        ({'engine': 'neon', 'class_weights': 'balanced'}, 'are for the torch engine'),
    ],
)
def test_settings_that_cannot_be(data, tmp_path, change, message):
    with pytest.raises(UsageError, match=message):
        train(data, tmp_path / 'runs', **change)
    assert not (tmp_path / 'runs').exists()


def test_beside_resume_they_are_refused(data, tmp_path, capsys):
    run = train(data, tmp_path / 'runs', epochs=1)
    assert main(['train', '--resume', run.folder, '-e', '2', '--momentum', '0.5']) == 2
    assert '--momentum cannot be given beside it' in capsys.readouterr().err
