"""Which runs a row shows, what they amount to, and what is said of those that are not used."""

import json
import math
import os
import statistics

import pytest
import synthetic_records as synthetic
from growth import calls_of

from neon_rnn import published
from neon_rnn.report.choose import BESIDE, COMPLETE, OTHER_DATA, SHORTENED, UNFINISHED, choose
from neon_rnn.report.collect import collect
from neon_rnn.runs import evaluation
from neon_rnn.support.errors import UsageError

WIKI = dict(
    synthetic.FIELDS['dataset'],
    name='small photographs',
    source='imdb-wiki',
    folder='data/any-name',
    shape=[3, 64, 64],
    sha256={'train.h5': 'f' * 64, 'test.h5': '0' * 64},
)
DEMO = dict(
    synthetic.FIELDS['dataset'],
    kind='synthetic',
    name='demo',
    source='demo',
    folder='data/demo',
    sha256={'train.h5': 'd' * 64, 'test.h5': 'e' * 64},
)


def hyperparameters(**changes):
    return dict(synthetic.FIELDS['hyperparameters'], **changes)


def shortened(run_id, epochs, **changes):
    """A finished run of fewer epochs than published, which says so."""
    made = synthetic.record(
        run_id=run_id, epochs=epochs, hyperparameters=hyperparameters(epochs=epochs), **changes
    )
    made['protocol'] = published.protocol(
        made['model'], made['hyperparameters'], made['dataset'], made['options']
    )
    return made


def chosen(folder, *records):
    for record in records:
        synthetic.write(folder, record)
    return choose(collect(folder))


def row_of(choice, name='rnn'):
    return next(configuration for row, configuration in choice.rows if row.name == name)


def test_without_runs_all_eleven_rows_are_there_in_order(tmp_path):
    choice = chosen(tmp_path)
    assert [row.name for row, _ in choice.rows] == list(published.rows())
    assert [configuration for _, configuration in choice.rows] == [None] * 11
    assert (choice.beside, choice.others) == ([], [])


def test_a_missing_folder_of_runs_is_named(tmp_path):
    with pytest.raises(UsageError, match='nowhere: there is no such folder'):
        collect(tmp_path / 'nowhere')


def test_mean_spread_interval_and_difference_over_seeds(tmp_path):
    right = {0: 160, 1: 170, 2: 162}
    choice = chosen(
        tmp_path,
        *[
            synthetic.record(run_id=f'r{seed}', seed=seed, correct=correct, seconds=10.0 + seed)
            for seed, correct in right.items()
        ],
    )
    row = row_of(choice)
    accuracies = [100 * correct / 200 for correct in right.values()]
    assert row.state == COMPLETE
    assert [run.record['seed'] for run in row.finished] == [0, 1, 2]
    figures = row.figures
    assert figures.accuracy == pytest.approx(statistics.mean(accuracies))
    assert figures.spread == pytest.approx(statistics.stdev(accuracies))
    assert row.difference == pytest.approx(82.0 - 81.9)
    assert figures.interval == pytest.approx(
        [100 * bound for bound in evaluation.wilson_interval(164, 200)]
    )
    assert figures.majority == 50.0
    assert figures.training_seconds == pytest.approx(990.0)
    assert figures.training_seconds_spread == pytest.approx(90.0)
    assert figures.seconds_per_epoch == pytest.approx(11.0)
    assert figures.confusion == [[246, 54], [54, 246]]
    assert row.status == 'complete protocol'


def test_a_single_seed_has_no_spread(tmp_path):
    figures = row_of(chosen(tmp_path, synthetic.record())).figures
    assert (figures.accuracy, figures.spread) == (80.0, None)


def test_a_shortened_run_says_so_and_is_projected(tmp_path):
    row = row_of(chosen(tmp_path, shortened('a', 5)))
    assert (row.state, row.status) == (SHORTENED, 'not the published protocol: 5 of 90 epochs')
    assert row.projected_seconds == pytest.approx(900.0)
    assert row.difference == pytest.approx(-1.9)


def test_a_demo_run_cannot_pass_for_a_reproduction(tmp_path):
    """Not even one that claims to be complete: what the data are is read again."""
    claim = {'complete': True, 'published_epochs': 90, 'reasons': []}
    row = row_of(chosen(tmp_path, synthetic.record(dataset=DEMO, protocol=claim, correct=199)))
    assert (row.state, row.status) == (OTHER_DATA, 'not comparable: synthetic data')
    assert row.difference is None


@pytest.mark.parametrize(
    ('changes', 'reason'),
    [
        ({'hyperparameters': hyperparameters(batch_size=64)}, 'batch size 64 instead of 128'),
        (
            {'hyperparameters': hyperparameters(epochs=91)},
            '91 of 90 epochs, 90 of 91 epochs recorded',
        ),
        (
            {'dataset': dict(synthetic.FIELDS['dataset'], shape=[3, 64, 64])},
            '64x64 pixels instead of 128x128',
        ),
        (
            {
                'protocol': {
                    'complete': False,
                    'published_epochs': 90,
                    'reasons': ['half the images'],
                }
            },
            'half the images',
        ),
        (
            {'protocol': {'complete': False, 'published_epochs': 90, 'reasons': []}},
            'marked incomplete by the training',
        ),
    ],
)
def test_every_shortfall_is_named_whoever_claims_otherwise(tmp_path, changes, reason):
    row = row_of(chosen(tmp_path, synthetic.record(**changes)))
    assert (row.state, row.status) == (SHORTENED, f'not the published protocol: {reason}')


def test_a_reconstructed_network_says_so(tmp_path):
    choice = chosen(tmp_path, synthetic.record(model='cnn-1', row='CNN-1'))
    assert row_of(choice, 'cnn-1').status == 'complete protocol: reconstructed network'


@pytest.mark.parametrize(
    ('better', 'worse'),
    [
        (synthetic.record('b', seed=1), shortened('a', 89)),
        (shortened('b', 5, dataset=WIKI), synthetic.record('a')),
        (synthetic.record('b'), synthetic.record('a', dataset=WIKI, status='failed', final=None)),
        (synthetic.record('b', dataset=dict(WIKI, shape=[3, 128, 128])), synthetic.record('a')),
        (synthetic.record('b'), synthetic.record('a', dataset=dict(WIKI, kind='synthetic'))),
        (shortened('b', 1), synthetic.record('a', dataset=DEMO)),
        (synthetic.record('b', dataset=DEMO), synthetic.record('a', status='failed', final=None)),
        (shortened('b', 15), shortened('a', 5)),
        (shortened('b', 15, engine='neon'), shortened('a', 15)),
        (shortened('b', 15, started='2026-11-23T10:15:01Z'), shortened('a', 15, backend='gpu')),
    ],
)
def test_the_order_of_the_rules(tmp_path, better, worse):
    choice = chosen(tmp_path, worse, better)
    assert [run.folder for run in row_of(choice).runs] == ['b']
    assert [run.folder for each in choice.others for run in each.runs] == ['a']


def test_of_two_sets_alike_the_one_with_more_rows_is_shown(tmp_path):
    filtered = dict(WIKI, name='filtered', sha256={'train.h5': '1' * 64})
    choice = chosen(
        tmp_path,
        synthetic.record('a', dataset=filtered, count=1000, correct=800),
        synthetic.record('b', dataset=WIKI),
        synthetic.record('c', dataset=WIKI, model='cnn-1', row='CNN-1'),
    )
    assert row_of(choice).runs[0].folder == 'b'


def test_balanced_accuracy_is_the_mean_of_the_classes(tmp_path):
    final = dict(synthetic.final(), count=100, correct=79, accuracy=0.79, majority=0.75)
    final.update(confusion=[[10, 15], [6, 69]], interval=[0.7, 0.86])
    figures = row_of(chosen(tmp_path, synthetic.record(final=final))).figures
    assert figures.per_class == pytest.approx({'female': 40.0, 'male': 92.0})
    assert figures.balanced_accuracy == pytest.approx(66.0)
    assert figures.majority == 75.0


def test_more_finished_seeds_come_before_fewer(tmp_path):
    choice = chosen(
        tmp_path,
        shortened('a', 5, started='2027-01-01T00:00:00Z'),
        shortened('b', 5, backend='gpu'),
        shortened('c', 5, backend='gpu', seed=1),
    )
    assert [run.folder for run in row_of(choice).runs] == ['b', 'c']


def test_a_repeated_seed_counts_once_and_the_old_run_is_kept_in_sight(tmp_path):
    old = synthetic.record('old', correct=100, started='2026-11-22T10:15:00Z')
    failed = synthetic.record(
        'failed', status='failed', final=None, error='x', started='2026-11-24T10:15:00Z'
    )
    row = row_of(chosen(tmp_path, old, synthetic.record('new'), failed))
    assert [run.folder for run in row.runs] == ['new']
    assert sorted(run.folder for run in row.superseded) == ['failed', 'old']
    assert row.figures.accuracy == 80.0


def test_how_often_a_run_was_evaluated_makes_no_other_configuration(tmp_path):
    choice = chosen(
        tmp_path,
        synthetic.record('a', hyperparameters=hyperparameters(eval_freq=1)),
        synthetic.record('b', seed=1, hyperparameters=hyperparameters(eval_freq=5, serialize=9)),
    )
    assert len(row_of(choice).runs) == 2


@pytest.mark.parametrize(
    ('changes', 'status'),
    [
        (
            {'status': 'diverged', 'error': 'the cost of epoch 3, minibatch 7 is nan'},
            'seed 0 diverged after 2 of 90 epochs: the cost of epoch 3, minibatch 7 is nan',
        ),
        (
            {'status': 'failed', 'error': 'MemoryError: '},
            'seed 0 failed after 2 of 90 epochs: MemoryError: ',
        ),
        ({'status': 'interrupted'}, 'seed 0 interrupted after 2 of 90 epochs (80.0% then)'),
        ({'status': 'running'}, 'seed 0 not finished after 2 of 90 epochs (80.0% then)'),
        ({'status': 'finished'}, 'seed 0 finished without an evaluation'),
    ],
)
def test_a_run_without_a_result_is_shown_with_the_reason(tmp_path, changes, status):
    record = dict(synthetic.record(epochs=2, correct=None), **changes)
    row = row_of(chosen(tmp_path, record))
    assert (row.state, row.status) == (UNFINISHED, status)
    assert (row.figures.accuracy, row.figures.interval) == (None, None)


def test_a_failed_seed_is_named_beside_the_finished_ones(tmp_path):
    row = row_of(
        chosen(
            tmp_path,
            synthetic.record('a'),
            synthetic.record('b', seed=1, epochs=4, status='diverged', final=None, error='nan'),
        )
    )
    assert (row.state, [run.folder for run in row.finished]) == (COMPLETE, ['a'])
    assert row.status == 'complete protocol: seed 1 diverged after 4 of 90 epochs: nan'


def test_variants_and_other_networks_stand_beside_the_eleven(tmp_path):
    choice = chosen(
        tmp_path,
        synthetic.record('a', options={'rnn': 'bilstm'}, correct=190),
        shortened('b', 5, options={'rnn': 'bilstm'}),
        synthetic.record('c', model='efficientnet-lite0', row=None, correct=195),
    )
    assert row_of(choice) is None
    assert [(each.name, each.runs[0].folder, each.status) for each in choice.beside] == [
        ('RNN (bilstm cells)', 'a', 'bilstm cells'),
        ('efficientnet-lite0', 'c', 'not a published row'),
    ]
    assert [each.difference for each in choice.beside] == [None, None]
    assert [each.runs[0].folder for each in choice.others] == ['b']


def test_unreadable_records_are_listed_with_the_reason(tmp_path):
    synthetic.write(tmp_path, synthetic.record('good'))
    synthetic.write(tmp_path, dict(synthetic.record('new'), schema=2))
    (tmp_path / 'cut').mkdir()
    (tmp_path / 'cut' / 'record.json').write_text(
        json.dumps(synthetic.record())[:200], encoding='utf-8'
    )
    (tmp_path / 'empty').mkdir()
    (tmp_path / '.hidden').mkdir()
    (tmp_path / 'a file').write_text('', encoding='utf-8')
    collection = collect(tmp_path)
    assert [run.folder for run in collection.runs] == ['good']
    reasons = dict(collection.unreadable)
    assert sorted(reasons) == ['cut', 'empty', 'new']
    assert 'is not valid JSON' in reasons['cut']
    assert reasons['empty'].startswith('cannot be read (No such file')
    assert reasons['new'].startswith('has schema 2; this version of neon_rnn reads schema 1')
    assert not any(str(tmp_path) in reason for reason in reasons.values())


def test_of_duplicate_run_ids_one_counts_and_the_other_is_listed(tmp_path):
    made = synthetic.record('run')
    synthetic.write(tmp_path, made)
    synthetic.write(tmp_path, dict(made, seed=7), name='a copy')
    collection = collect(tmp_path)
    assert [run.folder for run in collection.runs] == ['run']
    assert collection.duplicates == [
        ('a copy', 'has the run id run of the record in run and is left out')
    ]


def test_work_grows_in_proportion_to_the_seeds(tmp_path):
    work = []
    for start, end in ((0, 200), (200, 400)):
        synthetic.write_many(tmp_path, range(start, end), '"seed": 0', '"seed": {}')
        choice, calls = calls_of(lambda: choose(collect(tmp_path)))
        work.append(calls)
        row = row_of(choice)
        assert row.status == 'complete protocol'
        assert len(row.finished) == end
        assert math.isclose(row.figures.accuracy, 80.0)
    assert work[1] < 2.2 * work[0]


def test_work_grows_in_proportion_to_the_networks(tmp_path):
    work = []
    for start, end in ((0, 150), (150, 300)):
        synthetic.write_many(tmp_path, range(start, end), '"rnn"', '"network-{:04d}"')
        choice, calls = calls_of(lambda: choose(collect(tmp_path)))
        work.append(calls)
        assert len(choice.beside) == BESIDE
        assert len(choice.others) == end - BESIDE
    assert work[1] < 2.2 * work[0]


def unusable(folder):
    """Make folders and records that cannot be used; return name -> part of the reason."""

    def put(name, text):
        (folder / name).mkdir()
        (folder / name / 'record.json').write_text(text, encoding='utf-8')

    put('deep', '[' * 100000)
    put('large', ' ' * (16 << 20) + '{}')
    put('digits', '{"schema": ' + '1' * 5000 + '}')
    put('nan', json.dumps(dict(synthetic.record(), training_seconds=math.nan)))
    (folder / 'a folder' / 'record.json').mkdir(parents=True)
    os.mkfifo(folder / 'record.json')
    (folder / 'fifo').mkdir()
    os.mkfifo(folder / 'fifo' / 'record.json')
    os.mkdir(os.fsencode(folder) + b'/caf\xe9')
    (folder / 'escape\x1b[2J').mkdir()
    os.symlink('loop', folder / 'loop')
    return {
        'deep': '',
        'large': 'has more than 16 MiB',
        'digits': '',
        'nan': 'training_seconds: nan is not',
        'a folder': 'is not a regular file',
        'fifo': 'is not a regular file',
        'caf\\udce9': 'is not plain text; rename it',
        'escape\\x1b[2J': 'is not plain text; rename it',
    }


def test_an_odd_folder_never_stops_the_others(tmp_path):
    reasons = unusable(tmp_path)
    synthetic.write(tmp_path, synthetic.record('good'))
    collection = collect(tmp_path)
    assert [run.folder for run in collection.runs] == ['good']
    found = dict(collection.unreadable)
    assert set(found) == set(reasons)
    assert [name for name, part in reasons.items() if part not in found[name]] == []
    assert all(reason.isprintable() and len(reason) < 1000 for reason in found.values())


def test_texts_of_a_record_are_printable_and_of_limited_length(tmp_path):
    made = synthetic.record('run', epochs=2, correct=None, status='failed')
    made.update(error='\ud800 \x1b[2J\n' + 'x' * 10**6, model='\u202ereversed')
    row = chosen(tmp_path, made).beside[0]
    assert row.name == '\\u202ereversed'
    assert row.first['model'] == '\\u202ereversed'
    assert '\\ud800 \\x1b[2J xxx' in row.status
    assert len(row.status) < 600
