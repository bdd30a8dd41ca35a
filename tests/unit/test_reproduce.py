"""`reproduce`: the plan and its estimates, skipping and resuming, and a row that fails, on a tiny
data set.
"""

import os
import shutil
import signal
import subprocess
import sys
import time

import pytest
from small_datasets import write_small_dataset

from neon_rnn import cli, engines, published, reproduce
from neon_rnn.commands import reproduce as command_module
from neon_rnn.reproduce import execution
from neon_rnn.runs import records
from neon_rnn.runs.trained_run import checkpoint_path
from neon_rnn.support import files, paths, processes
from neon_rnn.support.errors import UsageError

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
    assert (
        cli.main(
            [
                'train',
                '--model',
                'fcnn-1',
                '--data',
                data,
                '--engine',
                'torch',
                '-z',
                '4',
                '-e',
                '1',
                '--out',
                runs,
            ]
        )
        == 0
    )
    return runs


@pytest.fixture
def runs(trained, tmp_path):
    """The same in a folder of the test's own."""
    return shutil.copytree(trained, str(tmp_path / 'results' / 'runs'))


def settings(data, out, **changes):
    given = {
        'rows': ['fcnn-1'],
        'seeds': 1,
        'data': data,
        'data_224': None,
        'engine': 'torch',
        'backend': 'cpu',
        'precision': 'float32',
        'batch_size': 4,
        'epochs': 1,
        'epochs_scale': 1.0,
        'pretrained': None,
        'out': out,
    }
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
    return [
        'reproduce',
        '--rows',
        *rows,
        '--seeds',
        '1',
        '--data',
        data,
        '--engine',
        'torch',
        '-z',
        '4',
        '--out',
        out,
        *more,
    ]


def test_epochs_as_published_scaled_or_given(data):
    rows = published.rows()
    assert [settings(data, '', epochs=None).epochs_of(row) for row in rows] == [
        row.epochs for row in rows.values()
    ]
    scaled = settings(data, '', epochs=None, epochs_scale=0.1)
    assert (scaled.epochs_of('rnn'), scaled.epochs_of('resnet-50')) == (9, 3)
    assert settings(data, '', epochs=None, epochs_scale=0.001).epochs_of('rnn') == 1
    assert settings(data, '', epochs=7).epochs_of('tl-3') == 7


def test_a_data_set_of_its_own_for_large_images(data):
    both = settings(data, '', data_224='large')
    assert [both.data_of(row) for row in ('rnn', 'resnet-50', 'tl-1')] == [data, data, 'large']
    assert settings(data, '').data_of('tl-1') == data


def test_the_row_rnn_with_each_of_several_cells(data, tmp_path):
    given = settings(data, str(tmp_path), rows=['fcnn-1', 'rnn'], rnn=['lstm', 'birnn'], seeds=2)
    jobs = reproduce.plan(given)
    names = ['fcnn-1-s0', 'fcnn-1-s1', 'rnn-lstm-s0', 'rnn-lstm-s1', 'rnn-birnn-s0', 'rnn-birnn-s1']
    assert [job.name for job in jobs] == names
    assert ['--rnn' in job.argv for job in jobs] == [False, False, True, True, True, True]
    assert jobs[2].argv[-2:] == ['--rnn', 'lstm']
    assert os.path.basename(jobs[2].folder).startswith('rnn-lstm-torch-cpu-s0-')
    assert 'rnn-lstm ' in reproduce.summary(jobs)
    with pytest.raises(UsageError, match="no recurrent cell 'lstn'"):
        reproduce.plan(settings(data, str(tmp_path), rows=['rnn'], rnn=['lstn']))
    with pytest.raises(UsageError, match='--rnn.*which --rows leaves out'):
        reproduce.plan(settings(data, str(tmp_path), rnn=['lstm']))


def test_a_run_with_other_cells_is_found_and_estimated_apart(tmp_path):
    folder, runs = tmp_path / 'large', str(tmp_path / 'runs')
    write_small_dataset(folder, train=4, test=4, shape=(3, 32, 32))
    cells = {'rows': ['rnn'], 'rnn': ['elman', 'gru']}
    for job in reproduce.plan(settings(str(folder), runs, **cells))[:1]:
        assert cli.main(job.argv) == 0
    elman, gru = reproduce.plan(settings(str(folder), runs, **cells))
    assert (elman.state, gru.state, gru.seconds) == ('done', 'new', None)
    elman, gru = reproduce.plan(settings(str(folder), runs, **cells, epochs=2))
    assert elman.seconds > 0
    assert gru.seconds is None
    (published_cells,) = reproduce.plan(settings(str(folder), runs, rows=['rnn']))
    assert published_cells.state == 'new'


def test_a_finished_run_is_not_repeated(data, runs):
    (job,) = reproduce.plan(settings(data, runs))
    assert (job.state, job.reason, job.folder, job.epochs_left) == (
        'done',
        'finished',
        only_run(runs),
        0,
    )
    change_record(only_run(runs), status='diverged')
    assert reproduce.plan(settings(data, runs))[0].reason == 'diverged'


@pytest.mark.parametrize('status', ['interrupted', 'running', 'failed'])
def test_a_run_that_broke_off_goes_on(data, runs, status):
    interrupt_after_the_first_epoch(only_run(runs), 3)
    change_record(only_run(runs), status=status)
    (job,) = reproduce.plan(settings(data, runs, epochs=3))
    assert (job.state, job.epochs_left) == ('resume', 2)
    assert job.argv == ['resume', only_run(runs), '--data', data, '-b', 'cpu']
    assert 'to resume after epoch 1 (3 of 90 published epochs)' in reproduce.summary([job])
    os.remove(checkpoint_path(only_run(runs)))
    assert reproduce.plan(settings(data, runs, epochs=3))[0].state == 'new'


@pytest.mark.parametrize('change', [{'batch_size': 5}, {'epochs': 2}, {'precision': 'bf16'}])
def test_another_configuration_is_trained_anew(data, runs, change):
    (job,) = reproduce.plan(settings(data, runs, **change))
    assert (job.state, os.path.exists(job.folder)) == ('new', False)


def test_other_data_and_another_seed_are_trained(data, runs, tmp_path):
    other = tmp_path / 'other'
    write_small_dataset(other, train=12, test=4, shape=(3, 16, 16))
    assert reproduce.plan(settings(str(other), runs))[0].state == 'new'
    assert [job.state for job in reproduce.plan(settings(data, runs, seeds=2))] == ['done', 'new']


def test_a_run_that_broke_off_before_its_evaluation_only_needs_that(data, runs):
    change_record(only_run(runs), status='running', final=None)
    (job,) = reproduce.plan(settings(data, runs))
    assert (job.state, job.epochs_left, job.seconds) == ('resume', 0, 0)
    assert cli.main(job.argv) == 0
    record = records.read_record(only_run(runs))
    assert (record['status'], record['final']['count'], len(record['epochs'])) == ('finished', 4, 1)


@pytest.mark.parametrize('other', [{'cpu': 'another'}, {'cores': 999}])
def test_the_estimate_is_that_of_earlier_runs_on_this_machine(data, runs, other):
    record = records.read_record(only_run(runs))
    change_record(only_run(runs), epochs=[dict(record['epochs'][0], seconds=2.0)])
    jobs = reproduce.plan(settings(data, runs, seeds=2, epochs=5))
    assert [job.seconds for job in jobs] == pytest.approx([10.0, 10.0])
    text = reproduce.summary(jobs).splitlines()
    assert ' '.join(text[1].split()) == 'fcnn-1 0 5 10 s to train (5 of 90 published epochs)'
    assert text[-1] == 'in all 20 s'
    change_record(only_run(runs), machine=dict(record['machine'], **other))
    (job,) = reproduce.plan(settings(data, runs, epochs=5))
    assert job.seconds is None
    assert reproduce.summary([job]).endswith('in all 1 run of unknown length')


def test_transfer_learning_without_weights_says_what_it_needs(data, tmp_path):
    (job,) = reproduce.plan(settings(data, str(tmp_path), rows=['tl-1']))
    assert (job.state, job.reason) == ('cannot', 'needs --pretrained FILE (or none)')
    (job,) = reproduce.plan(settings(data, str(tmp_path), rows=['tl-1'], pretrained='none'))
    assert job.argv[-2:] == ['--pretrained', 'none']
    with pytest.raises(UsageError, match='weights.txt'):
        reproduce.plan(
            settings(data, str(tmp_path), rows=['rnn', 'tl-1'], pretrained='weights.txt')
        )


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        (['--rows', 'vgg'], 'no row vgg; the rows are fcnn-1'),
        (['--seeds', '0'], '--seeds is 0'),
        (['--epochs-scale', '-1'], '--epochs-scale is -1'),
        (['--epochs-scale', 'nan'], '--epochs-scale is nan'),
        (['--epochs-scale', 'inf'], '--epochs-scale is inf'),
        (['-e', '0'], '--epochs is 0'),
        (['--data', 'no'], 'no'),
    ],
)
def test_bad_arguments_are_one_line(data, tmp_path, capsys, arguments, message):
    assert (
        cli.main(
            ['reproduce', '--data', data, '--engine', 'torch', '--out', str(tmp_path), *arguments]
        )
        == 2
    )
    error = capsys.readouterr().err
    assert message in error
    assert error.count('\n') == 1


def test_rows_without_earlier_runs_are_of_unknown_length(data, tmp_path):
    jobs = reproduce.plan(settings(data, str(tmp_path), rows=['fcnn-1', 'rnn']))
    assert reproduce.summary(jobs).endswith('\nin all 2 runs of unknown length')
    jobs[0].seconds = 60.0
    assert reproduce.summary(jobs).endswith('\nin all 60 s and 1 run of unknown length')


def test_neon_is_run_by_the_python_that_has_it_or_by_its_container(monkeypatch):
    monkeypatch.setattr(engines, 'installed', lambda name: name == 'torch')
    here = processes.package_command(sys.executable)
    assert command_module._program('torch', None) == here
    assert command_module._program('neon', sys.executable) == here
    (script,) = command_module._program('neon', None)
    assert os.access(script, os.X_OK)
    assert os.path.basename(script) == 'run-in-compose.sh'
    with pytest.raises(UsageError, match='--neon-python: /no/python cannot be run'):
        command_module._program('neon', '/no/python')


def test_a_training_without_a_result_counts_as_missing(data, runs, tmp_path):
    """The program ends well, but writes no record, or one without a result."""
    jobs = reproduce.plan(settings(data, runs, epochs=5))
    (outcome,) = execution.execute(jobs, tmp_path / 'logs', ['true'])
    assert outcome.failed
    assert f'without a result in {jobs[0].folder}' in outcome.text
    jobs[0].folder = only_run(runs)
    (outcome,) = execution.execute(jobs, tmp_path / 'logs', ['true'])
    accuracy = records.read_record(only_run(runs))['final']['accuracy']
    assert (outcome.failed, outcome.text) == (False, f'accuracy {accuracy:.1%} after 0 s')
    change_record(only_run(runs), final=None)
    (outcome,) = execution.execute(jobs, tmp_path / 'logs', ['true'])
    assert outcome.failed


@pytest.mark.slow
def test_a_row_that_fails_does_not_stop_the_next(data, tmp_path, capfd):
    """The images are too small for the recurrent network; fcnn-1 is trained all the same and the
    table is made.
    """
    out = tmp_path / 'results'
    assert cli.main(command(data, str(out), '-e', '1', rows=('rnn', 'fcnn-1'))) == 1
    shown = capfd.readouterr()
    assert 'unknown' in shown.out
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
        'fcnn-1          0       2              done (2 of 90 published epochs)',
        'in all 0 s',
    ]


@pytest.mark.slow
@pytest.mark.parametrize('number', [signal.SIGTERM, signal.SIGHUP, signal.SIGKILL])
def test_an_interruption_keeps_the_checkpoint(data, runs, number):
    """However `reproduce` ends, its training ends too, and records that it was interrupted."""
    before = set(os.listdir(runs))
    process = subprocess.Popen(
        [sys.executable, '-m', 'neon_rnn', *command(data, os.path.dirname(runs), '-e', '50000')],
        cwd=paths.ROOT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_DFL),
    )  # pytest may run under nohup
    try:
        folder = wait_for(
            lambda: next(
                (
                    found
                    for name in set(os.listdir(runs)) - before
                    if has_an_epoch(found := os.path.join(runs, name))
                ),
                None,
            )
        )
        process.send_signal(number)
        error = process.communicate(timeout=60)[1]
    finally:
        process.kill()
    if number == signal.SIGKILL:
        assert process.returncode == -signal.SIGKILL
    else:
        assert process.returncode == 130, error
        assert 'The same command goes on from the last checkpoint.' in error
    wait_for(lambda: records.read_record(folder)['status'] == 'interrupted')
    (job,) = reproduce.plan(settings(data, runs, epochs=50000))
    assert (job.state, job.folder) == ('resume', folder)


def has_an_epoch(folder):
    return (
        os.path.isfile(os.path.join(folder, 'record.json'))
        and records.read_record(folder)['epochs']
    )


def wait_for(condition):
    """What `condition` returns once it is true; at most two minutes."""
    deadline = time.time() + 120
    while not (result := condition()):
        assert time.time() < deadline, 'not within two minutes'
        time.sleep(0.1)
    return result
