"""The run record: creation, appending, resuming, and everything that can be wrong with one."""

import json
import math
import os
import re
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import jsonschema
import numpy as np
import pytest
import synthetic_records as synthetic

from neon_rnn.report import validation
from neon_rnn.runs import records, schema
from neon_rnn.support import machine
from neon_rnn.support.errors import NeonRnnError, UsageError

COMMITTED = Path(__file__).parents[2] / 'results' / 'runs'


def epoch_row(epoch, accuracy=0.5):
    return {
        'epoch': epoch,
        'cost': 1.0 / 3 / epoch,
        'accuracy': accuracy,
        'seconds': 1.5,
        'images_per_second': 80.0,
    }


def trained(folder, epochs, **changes):
    run = records.Run.create(folder, synthetic.fields(**changes))
    for epoch in range(1, epochs + 1):
        run.add_minibatches([(epoch, minibatch, 0.1 * minibatch) for minibatch in (1, 2)])
        run.add_epoch(epoch_row(epoch))
    return run


def test_create_writes_a_whole_record_into_a_folder_of_its_own(tmp_path):
    run = records.Run.create(tmp_path / 'runs', synthetic.fields())
    assert re.fullmatch(r'rnn-torch-cpu-s0-\d{8}-\d{6}', run.record['run_id'])
    assert os.path.basename(run.folder) == run.record['run_id']
    record = records.read_record(run.folder)
    assert record == run.record
    assert set(record) == schema.NAMES
    assert (record['status'], record['epochs'], record['final'], record['ended']) == (
        'running',
        [],
        None,
        None,
    )
    assert record['hyperparameters'] == synthetic.FIELDS['hyperparameters']
    text = (tmp_path / 'runs' / record['run_id'] / 'record.json').read_text(encoding='utf-8')
    assert text == json.dumps(record, indent=2, sort_keys=True) + '\n'
    assert records.read_minibatches(run.folder) == []


def test_runs_of_the_same_second_get_different_names(tmp_path, monkeypatch):
    monkeypatch.setattr(records, 'now', lambda: '2026-11-23T10:15:00Z')
    names = [records.Run.create(tmp_path, synthetic.fields()).record['run_id'] for _ in range(3)]
    assert names == ['rnn-torch-cpu-s0-20261123-101500' + end for end in ('', '-2', '-3')]


def test_a_chosen_name_is_kept_and_never_taken_twice(tmp_path):
    assert records.Run.create(tmp_path, synthetic.fields(), 'mine').record['run_id'] == 'mine'
    with pytest.raises(UsageError, match='mine: there is a run of this name'):
        records.Run.create(tmp_path, synthetic.fields(), 'mine')


@pytest.mark.parametrize('name', ['', '..', 'a/b', '/tmp/run', '.hidden', 'a\nb'])
def test_a_name_that_is_not_one_of_a_folder_is_refused(tmp_path, name):
    with pytest.raises(UsageError, match='cannot name a run'):
        records.check_run_id(tmp_path, name)


def test_a_wrong_or_incomplete_description_makes_no_folder(tmp_path):
    fields = synthetic.fields()
    del fields['dataset']
    with pytest.raises(NeonRnnError, match='needs dataset'):
        records.Run.create(tmp_path, fields)
    with pytest.raises(NeonRnnError, match="seed: 'zero' is not of type 'integer'"):
        records.Run.create(tmp_path, synthetic.fields(seed='zero'))
    with pytest.raises(TypeError, match='no field flavour'):
        records.Run.create(tmp_path, synthetic.fields(flavour='sweet'))
    assert os.listdir(str(tmp_path)) == []


def test_numpy_numbers_become_plain_ones(tmp_path):
    run = records.Run.create(
        tmp_path, synthetic.fields(parameters=np.int64(12), device={'scale': np.float32(0.5)})
    )
    run.add_minibatches([(np.int64(1), np.int64(1), np.float32(0.1))])
    run.add_epoch(dict(epoch_row(1), cost=np.float32(0.1)))
    record = records.read_record(run.folder)
    assert (record['parameters'], record['device'], record['epochs'][0]['cost']) == (
        12,
        {'scale': 0.5},
        float(np.float32(0.1)),
    )
    assert records.read_minibatches(run.folder) == [(1, 1, float(np.float32(0.1)))]


def test_epochs_and_minibatches_are_appended_and_counted(tmp_path):
    run = trained(tmp_path, 2)
    run.add_epoch(epoch_row(3, accuracy=None))
    again = records.Run.open(run.folder)
    assert again.record == run.record
    assert again.record['epochs'] == [epoch_row(1), epoch_row(2), epoch_row(3, None)]
    assert again.record['training_seconds'] == 4.5
    with open(os.path.join(run.folder, 'epochs.csv'), encoding='utf-8') as file:
        assert file.read().split('\n')[:2] == [
            'epoch,cost,accuracy,seconds,images_per_second',
            '1,0.3333333333333333,0.5,1.5,80.0',
        ]
    assert records.read_minibatches(run.folder) == [
        (1, 1, 0.1),
        (1, 2, 0.2),
        (2, 1, 0.1),
        (2, 2, 0.2),
    ]


@pytest.mark.parametrize('row', [epoch_row(1), epoch_row(3)])
def test_an_epoch_out_of_turn_is_refused(tmp_path, row):
    run = trained(tmp_path, 1)
    with pytest.raises(NeonRnnError, match='cannot follow epoch 1'):
        run.add_epoch(row)


def test_a_cost_that_is_not_a_number_never_gets_into_an_epoch(tmp_path):
    run = trained(tmp_path, 1)
    run.add_minibatches([(2, 1, float('nan'))])
    with pytest.raises(NeonRnnError, match='epoch 2 has a figure that is not a number'):
        run.add_epoch(dict(epoch_row(2), cost=float('nan')))
    run.update(
        status='diverged', error='the cost of epoch 2, minibatch 1 is nan', ended=records.now()
    )
    assert records.read_record(run.folder)['epochs'] == [epoch_row(1)]
    assert np.isnan(records.read_minibatches(run.folder)[-1][2])


def test_rewind_cuts_what_lies_beyond_the_checkpoint(tmp_path):
    run = trained(tmp_path, 3)
    run.add_minibatches([(4, 1, 0.1)])
    with open(os.path.join(run.folder, 'minibatches.csv'), 'a', encoding='utf-8') as file:
        file.write('4,2,0.')
    run.update(status='interrupted', error='Ctrl-C', ended=records.now())
    straight = trained(tmp_path, 2)
    run = records.Run.open(run.folder)
    run.rewind(2, {'threads': 1})
    for name in ('epochs.csv', 'minibatches.csv'):
        with (
            open(os.path.join(run.folder, name), 'rb') as mine,
            open(os.path.join(straight.folder, name), 'rb') as other,
        ):
            assert mine.read() == other.read()
    record = records.read_record(run.folder)
    assert record['epochs'] == straight.record['epochs']
    assert (record['status'], record['error'], record['ended'], record['training_seconds']) == (
        'running',
        None,
        None,
        3.0,
    )
    (resumption,) = record['resumed']
    assert (resumption['at_epoch'], resumption['device']) == (2, {'threads': 1})
    assert {name: resumption[name] for name in ('machine', 'versions', 'git')} == {
        'machine': machine.describe(),
        'versions': machine.versions(),
        'git': machine.git_state(),
    }
    run.add_epoch(epoch_row(3))
    assert len(records.read_record(run.folder)['epochs']) == 3


def test_rewind_to_the_beginning_empties_the_tables(tmp_path):
    run = trained(tmp_path, 2)
    run.rewind(0, {'threads': 1})
    assert (run.record['epochs'], records.read_minibatches(run.folder)) == ([], [])


def test_rewind_refuses_a_checkpoint_beyond_the_tables(tmp_path):
    run = trained(tmp_path, 2)
    before = json.loads(json.dumps(run.record))
    with pytest.raises(
        NeonRnnError, match=r'epochs.csv: ends at epoch 2, before the checkpoint of epoch 3'
    ):
        run.rewind(3, {'threads': 1})
    assert records.read_record(run.folder) == before
    assert records.read_minibatches(run.folder)[-1] == (2, 2, 0.2)


def test_a_killed_process_leaves_a_run_that_can_be_resumed(tmp_path):
    """kill -9 between and within the writes: whatever is there reaches the last whole epoch."""
    code = textwrap.dedent("""
        import os, signal
        import synthetic_records
        from neon_rnn.runs import records
        run = records.Run.create({folder!r}, synthetic_records.fields(), 'killed')
        for epoch in range(1, 4):
            run.add_minibatches([(epoch, each, 0.5) for each in range(1, 9)])
            if epoch == 3:
                os.kill(os.getpid(), signal.SIGKILL)
            row = dict(epoch=epoch, cost=0.5, accuracy=None, seconds=1.0, images_per_second=1.0)
            run.add_epoch(row)
    """).format(folder=str(tmp_path))
    done = subprocess.run(
        [sys.executable, '-c', code],
        check=False,
        env=dict(os.environ, PYTHONPATH=os.pathsep.join(sys.path)),
    )
    assert done.returncode == -signal.SIGKILL
    run = records.Run.open(tmp_path / 'killed')
    assert len(run.record['epochs']) == 2
    assert records.read_minibatches(run.folder)[-1] == (3, 8, 0.5)
    run.rewind(2, {'threads': 1})
    assert records.read_minibatches(run.folder)[-1] == (2, 8, 0.5)


def test_an_update_that_cannot_be_written_changes_nothing(tmp_path, monkeypatch):
    run = trained(tmp_path, 1)

    def full(path, value):
        raise NeonRnnError('{}: the disk is full'.format(path))

    monkeypatch.setattr(records, 'write_json', full)
    with pytest.raises(NeonRnnError, match='the disk is full'):
        run.update(status='finished')
    assert run.record['status'] == 'running'
    assert run.record == records.read_record(run.folder)


def test_a_full_disk_leaves_the_table_as_it_was(tmp_path, monkeypatch):
    run = trained(tmp_path, 1)

    def full(_):
        raise OSError(28, 'No space left on device')

    monkeypatch.setattr(os, 'fsync', full)
    with pytest.raises(NeonRnnError, match=r'minibatches.csv: the disk is full'):
        run.add_minibatches([(2, 1, 0.5)])
    assert records.read_minibatches(run.folder)[-1] == (1, 2, 0.2)


def test_a_second_process_is_kept_out(tmp_path):
    run = trained(tmp_path, 1)
    with (
        run.lock(),
        pytest.raises(NeonRnnError, match='another process'),
        records.Run.open(run.folder).lock(),
    ):
        pass


def test_a_folder_that_holds_no_run_is_named(tmp_path):
    with pytest.raises(UsageError, match=r'holds no record.json'):
        records.Run.open(tmp_path)
    with pytest.raises(NeonRnnError, match=r'record.json: cannot be read'):
        records.read_record(tmp_path / 'record.json')


def broken(change):
    record = json.loads(json.dumps(synthetic.record(epochs=2)))
    change(record)
    return record


#: How a record can be wrong, and the part of the message that names the key.
WRONG = [
    (lambda r: r.update(schema=2), 'has schema 2; this version of neon_rnn reads schema 1'),
    (lambda r: r.pop('schema'), 'has schema None'),
    (lambda r: r.update(schema=True), 'has schema True'),
    (lambda r: r.pop('machine'), "'machine' is a required property"),
    (
        lambda r: r['hyperparameters'].pop('batch_size'),
        "hyperparameters: 'batch_size' is a required property",
    ),
    (lambda r: r.update(seed='0'), "seed: '0' is not of type 'integer'"),
    (lambda r: r.update(seed=True), "seed: True is not of type 'integer'"),
    (lambda r: r.update(seed=1.0), "seed: 1.0 is not of type 'integer'"),
    (lambda r: r.update(row=7), "row: 7 is not of type 'string', 'null'"),
    (lambda r: r.update(training_seconds=math.inf), 'training_seconds: inf is not of type'),
    (lambda r: r['epochs'][1].update(cost=math.nan), r'epochs\[1\].cost: nan is not of type'),
    (lambda r: r['epochs'][1].update(cost=10**400), r'epochs\[1\].cost: 1000'),
    (lambda r: r['epochs'][1].update(seconds=-1), r'epochs\[1\].seconds: -1 is less than'),
    (lambda r: r['dataset'].update(class_names=['a', 1]), r'dataset.class_names\[1\]: 1 is not'),
    (lambda r: r['dataset']['sha256'].update({'train.h5': 1}), 'dataset.sha256.train.h5: 1 is not'),
    (lambda r: r['dataset'].update(shape=[3, 0, 128]), r'dataset.shape\[1\]: 0 is less than'),
    (lambda r: r['dataset']['counts'].pop('test'), "dataset.counts: 'test' is a required"),
    (lambda r: r['dataset']['counts'].update(train={'a': 0}), 'dataset.counts.train: counts no'),
    (lambda r: r['dataset']['counts'].update(val={'a': 'x'}), "dataset.counts.val.a: 'x' is not"),
    (lambda r: r['final'].update(accuracy=-1.0), 'final.accuracy: -1.0 is less than'),
    (lambda r: r['final'].update(accuracy=0.7), 'gives another accuracy than final.accuracy 0.7'),
    (lambda r: r['final'].update(correct=161), 'than final.accuracy 0.8 and final.correct 161'),
    (lambda r: r.update(status='done'), "status: 'done' is not one of .*'finished'"),
    (lambda r: r['epochs'][1].pop('cost'), r"epochs\[1\]: 'cost' is a required property"),
    (lambda r: r['epochs'].pop(0), 'epoch 2 follows epoch 0'),
    (lambda r: r['epochs'].append(None), r"epochs\[2\]: None is not of type 'object'"),
    (lambda r: r['final'].pop('interval'), "final: 'interval' is a required property"),
    (lambda r: r['final'].update(confusion=[[1]]), 'final does not fit the classes .*female, male'),
    (lambda r: r['final']['confusion'][0].__setitem__(0, 7), 'does not add up to the 200 images'),
    (
        lambda r: r['dataset'].update(class_names=['a', 'b']),
        'final does not fit the classes .*a, b',
    ),
]
#: What only the package jsonschema notices.
WRONG_SIZES = [
    (lambda r: r['dataset'].update(shape=[3, 128]), r'dataset.shape: \[3, 128\] is too short'),
    (lambda r: r['final'].update(accuracy=2), 'final.accuracy: 2 is greater than the maximum'),
    (lambda r: r['final'].update(interval=[0.5]), r'final.interval: \[0.5\] is too short'),
]


@pytest.mark.parametrize(('change', 'message'), WRONG)
def test_a_wrong_record_is_refused_with_its_file_and_field(tmp_path, change, message):
    path = synthetic.write(tmp_path, broken(change), name='run')
    with pytest.raises(NeonRnnError, match=message) as caught:
        records.read_record(path)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize(('change', 'message'), WRONG + WRONG_SIZES)
def test_the_report_refuses_a_wrong_record_with_its_file_and_field(change, message):
    with pytest.raises(NeonRnnError, match=f'^a/record.json: .*{message}'):
        validation.validate(broken(change), 'a/record.json')


@pytest.mark.parametrize(
    'path', sorted(COMMITTED.glob('*/record.json')), ids=lambda p: p.parent.name
)
def test_every_committed_record_is_valid(path):
    record = records.read_record(path)
    validation.validate(record, str(path))


def test_the_schema_is_a_schema():
    jsonschema.Draft202012Validator.check_schema(schema.DEFINITION)


@pytest.mark.parametrize('text', ['', '{"schema": 1, "run_id": "x"', '[1]', '\x00'])
def test_a_truncated_record_is_refused_with_its_file(tmp_path, text):
    path = tmp_path / 'record.json'
    path.write_text(text, encoding='utf-8')
    with pytest.raises(NeonRnnError, match=r'record.json'):
        records.read_record(path)


def test_a_table_with_a_foreign_line_is_refused_with_its_line(tmp_path):
    run = trained(tmp_path, 1)
    with open(os.path.join(run.folder, 'minibatches.csv'), 'a', encoding='utf-8') as file:
        file.write('1,three,0.5\n')
    with pytest.raises(NeonRnnError, match=r"minibatches.csv, line 4: '1,three,0.5' is not a row"):
        records.read_minibatches(run.folder)
