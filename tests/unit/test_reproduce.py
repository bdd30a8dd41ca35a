"""`reproduce`: the plan and its estimates, skipping and resuming, and a row that fails, on a tiny data set."""
import os
import shutil
import signal
import subprocess
import sys
import time

import pytest
from small_datasets import write_small_dataset

from neon_rnn import cli, files, paths, published, records, reproduce
from neon_rnn.errors import UsageError
from neon_rnn.inference import checkpoint_path

TRAIN_IMAGES = 10


@pytest.fixture(scope='module')
def data(tmp_path_factory):
    """Images of 16x16 pixels: enough for fcnn-1, too small for rnn."""
    folder = tmp_path_factory.mktemp('data')
    write_small_dataset(folder, train=TRAIN_IMAGES, test=4, shape=(3, 16, 16))
    return str(folder)


@pytest.fixture(scope='module')
def trained(data, tmp_path_factory):
    """A folder of runs with one finished run: fcnn-1, seed 0, one epoch."""
    runs = str(tmp_path_factory.mktemp('results') / 'runs')
    assert cli.main(['train', '--model', 'fcnn-1', '--data', data, '--engine', 'torch', '-z', '4', '-e', '1', '--out',
                     runs]) == 0
    return runs


@pytest.fixture
def runs(trained, tmp_path):
    """The same in a folder of the test's own."""
    return shutil.copytree(trained, str(tmp_path / 'results' / 'runs'))


def settings(data, out, **changes):
    given = {'rows': ['fcnn-1'], 'seeds': 1, 'data': data, 'data_224': None, 'engine': 'torch', 'backend': 'cpu',
             'precision': 'float32', 'batch_size': 4, 'epochs': 1, 'epochs_scale': 1.0, 'pretrained': None, 'out': out}
    return reproduce.Settings(**dict(given, **changes))


def only_run(runs):
    (name,) = os.listdir(runs)
    return os.path.join(runs, name)


def change_record(folder, **fields):
    record = records.read_record(folder)
    record.update(fields)
    files.write_json(os.path.join(folder, 'record.json'), record)
    return record


def interrupt_after_the_first_epoch(folder, epochs):
    """Make the run look as one of more epochs that was stopped after its first."""
    hyperparameters = dict(records.read_record(folder)['hyperparameters'], epochs=epochs)
    change_record(folder, hyperparameters=hyperparameters, status='interrupted', final=None)


def command(data, out, *more, rows=('fcnn-1',)):
    return ['reproduce', '--rows', *rows, '--seeds', '1', '--data', data, '--engine', 'torch', '-z', '4', '--out', out,
            *more]


def test_epochs_as_published_scaled_or_given(data):
    rows = published.rows()
    assert [settings(data, '', epochs=None).epochs_of(row) for row in rows] == [row.epochs for row in rows.values()]
    scaled = settings(data, '', epochs=None, epochs_scale=0.1)
    assert (scaled.epochs_of('rnn'), scaled.epochs_of('resnet-50')) == (9, 3)
    assert settings(data, '', epochs=None, epochs_scale=0.001).epochs_of('rnn') == 1
    assert settings(data, '', epochs=7).epochs_of('tl-3') == 7


def test_a_data_set_of_its_own_for_large_images(data):
    both = settings(data, '', data_224='large')
    assert [both.data_of(row) for row in ('rnn', 'resnet-50', 'tl-1')] == [data, data, 'large']
    assert settings(data, '').data_of('tl-1') == data


def test_a_finished_run_is_not_repeated(data, runs):
    (job,) = reproduce.plan(settings(data, runs))
    assert (job.state, job.reason, job.folder, job.epochs_left) == ('done', 'finished', only_run(runs), 0)
    change_record(only_run(runs), status='diverged')
    assert reproduce.plan(settings(data, runs))[0].reason == 'diverged'


@pytest.mark.parametrize('status', ['interrupted', 'running'])
def test_an_interrupted_run_goes_on(data, runs, status):
    interrupt_after_the_first_epoch(only_run(runs), 3)
    change_record(only_run(runs), status=status)
    (job,) = reproduce.plan(settings(data, runs, epochs=3))
    assert (job.state, job.epochs_left) == ('resume', 2)
    assert job.argv == ['train', '--resume', only_run(runs), '--data', data]
    os.remove(checkpoint_path(only_run(runs)))
    assert reproduce.plan(settings(data, runs, epochs=3))[0].state == 'new'


@pytest.mark.parametrize('change', [{'batch_size': 5}, {'epochs': 2}, {'precision': 'bf16'}])
def test_another_configuration_is_trained_anew(data, runs, monkeypatch, change):
    monkeypatch.setattr(reproduce, 'calibrate', lambda *_: None)
    (job,) = reproduce.plan(settings(data, runs, **change))
    assert (job.state, job.folder) == ('new', None)


def test_other_data_another_seed_and_a_failed_run_are_trained(data, runs, tmp_path):
    other = tmp_path / 'other'
    write_small_dataset(other, train=12, test=4, shape=(3, 16, 16))
    assert reproduce.plan(settings(str(other), runs))[0].state == 'new'
    assert [job.state for job in reproduce.plan(settings(data, runs, seeds=2))] == ['done', 'new']
    change_record(only_run(runs), status='failed')
    assert reproduce.plan(settings(data, runs))[0].state == 'new'


def test_the_estimate_is_that_of_earlier_runs_on_this_machine(data, runs, monkeypatch):
    def unwanted(*_):
        raise AssertionError('measured although there is a record')
    record = records.read_record(only_run(runs))
    change_record(only_run(runs), epochs=[dict(record['epochs'][0], seconds=2.0)])
    monkeypatch.setattr(reproduce, 'calibrate', unwanted)
    jobs = reproduce.plan(settings(data, runs, seeds=2, epochs=5))
    assert [job.seconds for job in jobs] == pytest.approx([10.0, 10.0])
    text = reproduce.summary(jobs).splitlines()
    assert ' '.join(text[1].split()) == 'fcnn-1 0 5 10 s to train (of 90 published epochs)'
    assert text[-1] == 'in all 20 s'
    change_record(only_run(runs), machine=dict(record['machine'], cpu='another'))
    monkeypatch.setattr(reproduce, 'calibrate', lambda *_: 0.5)
    measured = []
    jobs = reproduce.plan(settings(data, runs, epochs=5), measured.append)
    assert (measured, jobs[0].seconds) == (['measuring fcnn-1'], 0.5 * TRAIN_IMAGES * 5)


def test_transfer_learning_without_weights_says_what_it_needs(data, tmp_path, monkeypatch):
    monkeypatch.setattr(reproduce, 'calibrate', lambda *_: None)
    (job,) = reproduce.plan(settings(data, str(tmp_path), rows=['tl-1']))
    assert (job.state, job.reason) == ('cannot', 'needs --pretrained FILE (or none)')
    (job,) = reproduce.plan(settings(data, str(tmp_path), rows=['tl-1'], pretrained='none'))
    assert job.argv[-2:] == ['--pretrained', 'none']
    with pytest.raises(UsageError, match='weights.txt'):
        reproduce.plan(settings(data, str(tmp_path), rows=['rnn', 'tl-1'], pretrained='weights.txt'))


@pytest.mark.parametrize(('arguments', 'message'), [
    (['--rows', 'vgg'], 'no row vgg; the rows are fcnn-1'), (['--seeds', '0'], '--seeds is 0'),
    (['--epochs-scale', '-1'], '--epochs-scale is -1'), (['-e', '0'], '--epochs is 0'), (['--data', 'no'], 'no')])
def test_bad_arguments_are_one_line(data, tmp_path, capsys, arguments, message):
    assert cli.main(['reproduce', '--data', data, '--engine', 'torch', '--out', str(tmp_path), *arguments]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count('\n') == 1


@pytest.mark.parametrize(('seconds', 'text'), [(42.4, '42 s'), (780, '13 min'), (18720, '5.2 h'), (267840, '3.1 days')])
def test_durations(seconds, text):
    assert reproduce.duration(seconds) == text


@pytest.mark.slow
def test_a_row_that_fails_does_not_stop_the_next(data, tmp_path, capfd):
    """The images are too small for the recurrent network; fcnn-1 is trained all the same and the table is made."""
    out = tmp_path / 'results'
    assert cli.main(command(data, str(out), '-e', '1', rows=('rnn', 'fcnn-1'))) == 1
    shown = capfd.readouterr()
    assert 'measuring rnn' in shown.out
    assert 'unknown' in shown.out  # rnn cannot be measured either
    assert 'fcnn-1-s0: accuracy' in shown.out
    assert '1 of 2 runs are missing: rnn-s0: failed' in shown.err
    assert 'divide by 32' in shown.err
    record = records.read_record(only_run(str(out / 'runs')))
    assert (record['model'], record['status'], len(record['epochs'])) == ('fcnn-1', 'finished', 1)
    assert '1 of 90 epochs' in record['protocol']['reasons']
    assert '1 of 90 epochs' in (out / 'TABLE.md').read_text()


@pytest.mark.slow
def test_it_resumes_and_then_has_nothing_to_do(data, runs, capfd):
    out = os.path.dirname(runs)
    interrupt_after_the_first_epoch(only_run(runs), 2)
    assert cli.main(command(data, out, '-e', '2')) == 0
    record = records.read_record(only_run(runs))
    assert (record['status'], len(record['epochs'])) == ('finished', 2)
    assert [resumption['at_epoch'] for resumption in record['resumed']] == [1]
    capfd.readouterr()
    assert cli.main(command(data, out, '-e', '2', '--plan')) == 0
    assert capfd.readouterr().out.splitlines()[1:] == [
        'fcnn-1          0       2              done (of 90 published epochs)', 'in all 0 s']


@pytest.mark.slow
def test_an_interruption_keeps_the_checkpoint(data, runs):
    """SIGTERM to `reproduce` ends its training, which records that it was interrupted."""
    before = set(os.listdir(runs))
    process = subprocess.Popen([sys.executable, '-m', 'neon_rnn', *command(data, os.path.dirname(runs), '-e', '50000')],
                               cwd=paths.ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    try:
        folder, deadline = None, time.time() + 120
        while folder is None or not records.read_record(folder)['epochs']:
            assert process.poll() is None, process.stderr.read()
            assert time.time() < deadline, 'no epoch in two minutes'
            time.sleep(0.1)
            made = [name for name in set(os.listdir(runs)) - before
                    if os.path.isfile(os.path.join(runs, name, 'record.json'))]
            folder = os.path.join(runs, made[0]) if made else None
        process.send_signal(signal.SIGTERM)
        error = process.communicate(timeout=60)[1]
    finally:
        process.kill()
    assert process.returncode == 130, error
    assert records.read_record(folder)['status'] == 'interrupted'
    (job,) = reproduce.plan(settings(data, runs, epochs=50000))
    assert (job.state, job.folder) == ('resume', folder)
