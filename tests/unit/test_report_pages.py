"""The tables within README.md and docs/reproduction.md: their content, and that it is current."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
import synthetic_records as synthetic

from neon_rnn.report import build, order, reproduction
from neon_rnn.report.choose import choose
from neon_rnn.report.collect import collect
from neon_rnn.runs.evaluation import wilson_interval
from neon_rnn.support.errors import NeonRnnError

ROOT = Path(__file__).resolve().parents[2]
WIKI = dict(
    synthetic.FIELDS['dataset'],
    name='wiki',
    source='imdb-wiki',
    shape=[3, 64, 64],
    sha256={'train.h5': '1' * 64},
    preprocessing={'centre': 1.0, 'fit': 'crop'},
)


def record(model, row, correct, **changes):
    """Return the record of a finished run on WIKI, with 150 of 200 images of one class."""
    name = changes.pop('run_id', model)
    made = synthetic.record(name, model=model, row=row, correct=None, dataset=WIKI)
    women = correct - 140
    made['final'] = {
        'accuracy': correct / 200,
        'correct': correct,
        'count': 200,
        'interval': wilson_interval(correct, 200),
        'majority': 0.75,
        'confusion': [[women, 50 - women], [10, 140]],
        'per_class': {
            'female': {'count': 50, 'correct': women, 'accuracy': women / 50},
            'male': {'count': 150, 'correct': 140, 'accuracy': 140 / 150},
        },
        'ties': 0,
    }
    return dict(made, **changes)


def choice(folder, *records):
    for made in records:
        synthetic.write(folder / 'runs', made)
    return choose(collect(folder / 'runs'))


def table(folder, name, chosen):
    """Return the lines that a page gets between its markers."""
    page = f'before\n<!-- table: {name} -->\nold\n<!-- end -->\nafter\n'
    text = reproduction.filled(page, 'page.md', chosen, folder / 'cross')
    assert text.startswith(f'before\n<!-- table: {name} -->\n')
    assert text.endswith('\n<!-- end -->\nafter\n')
    return text.split('\n')[2:-3]


def cells(lines, name):
    (found,) = [line for line in lines if line.startswith(f'| {name} |')]
    return [cell.strip() for cell in found.split('|')[1:-1]]


@pytest.fixture(scope='module')
def five(tmp_path_factory):
    """Five networks on WIKI, and one on other photographs."""
    folder = tmp_path_factory.mktemp('results')
    rows = (('fcnn-1', 'FCNN-1'), ('fcnn-2', 'FCNN-2'), ('cnn-1', 'CNN-1'), ('rnn', 'RNN'))
    made = [
        record(*names, correct) for names, correct in zip(rows, (150, 155, 160, 180), strict=True)
    ]
    made.append(record('cnn-2', 'CNN-2', 170, precision='bf16'))
    made.append(synthetic.record('faces', model='fcnn-3', row='FCNN-3', correct=199))
    return folder, choice(folder, *made)


def test_rows_show_the_likely_published_data_only(five):
    lines = table(five[0], 'rows', five[1])
    assert len(lines) == 2 + 11
    low, high = wilson_interval(180, 200)
    assert cells(lines, 'RNN') == [
        'RNN',
        '81.9',
        '90.0',
        f'{100 * low:.1f} to {100 * high:.1f}',
        '+8.1',
        'below',
        '1',
        '90 of 90',
        'wiki, 64x64',
        'published',
        '64x64 pixels instead of 128x128',
    ]
    assert cells(lines, 'CNN-2')[5:9] == ['within', '1', '90 of 90', 'wiki, 64x64, bf16']
    assert cells(lines, 'FCNN-3')[2:9] == [''] * 7
    assert cells(lines, 'FCNN-3')[-1] == 'not run'


def test_findings_follow_from_the_figures(five):
    lines = table(five[0], 'findings', five[1])
    assert lines == [
        '- 5 networks of eleven finished on this data.',
        '- Not finished: FCNN-3, ResNet-18, ResNet-50, TL-1, TL-2, TL-3.',
        '- The published accuracy lies below our 95% interval: RNN.',
        '- The published accuracy lies within our 95% interval: FCNN-1, FCNN-2, CNN-1, CNN-2.',
        # 3.8, 4.0, 0.7, 1.5, 8.1; balanced: 56.7, 61.7, 66.7, 76.7 and 86.7
        '- Mean distance of our accuracy from the published accuracy: 3.6 points.',
        '- Mean distance of our balanced accuracy from the published accuracy: 10.1 points.',
        '- Published below the majority baseline of our test images (75.0%): FCNN-1, FCNN-2.',
    ]


def test_the_order_against_a_count_by_hand(five):
    """Published: FCNN-1 < FCNN-2 < CNN-1 < RNN < CNN-2; ours has the last two exchanged."""
    lines = table(five[0], 'order', five[1])
    assert len(lines) == 3
    found = cells(lines, 'as shown above')
    assert found[1:3] == ['5', f'{(9 - 1) / 10:.2f}']
    assert found[5:] == ['9', '1', '0']
    low, high = map(float, found[3].replace('−', '-').split(' to '))
    assert -1 <= low < 0.8 <= high <= 1


def test_the_order_on_each_data_set(tmp_path):
    rows = (('fcnn-1', 'FCNN-1'), ('fcnn-2', 'FCNN-2'), ('cnn-1', 'CNN-1'), ('rnn', 'RNN'))
    other = dict(WIKI, name='other', sha256={'train.h5': '3' * 64})
    small = dict(WIKI, name='small', sha256={'train.h5': '4' * 64})
    made = [
        record(*names, correct) for names, correct in zip(rows, range(150, 190, 10), strict=True)
    ]
    made += [
        record(*names, correct, run_id=f'other {names[0]}', dataset=other)
        for names, correct in zip(rows, range(180, 140, -10), strict=True)
    ]
    made.append(record('rnn', 'RNN', 150, run_id='small', dataset=small))
    lines = table(tmp_path, 'order', choice(tmp_path, *made))
    assert len(lines) == 2 + 3
    assert cells(lines, 'wiki')[1:3] == ['4', '1.00']
    assert cells(lines, 'other')[1:3] == ['4', '−1.00']
    lines = table(tmp_path, 'distance', choose(collect(tmp_path / 'runs')))
    # 3.8, 6.5, 5.7 and 8.1 points; 18.8, 11.5, 0.7 and 6.9; 6.9
    assert [line.split(' | ')[0] for line in lines[2:]] == ['| wiki', '| small', '| other']
    assert cells(lines, 'wiki')[1:] == ['FCNN-1, FCNN-2, CNN-1, RNN', '6.0', '8.1', '1 of 4']
    assert cells(lines, 'small')[1:] == ['RNN', '6.9', '6.9', '0 of 1']


def test_the_order_of_too_few_networks_is_not_computed(tmp_path):
    lines = table(tmp_path, 'order', choice(tmp_path, record('rnn', 'RNN', 150)))
    assert lines == ['1 network finished on this data; the order is computed from 4 on.']


def test_the_bootstrap_interval_is_reproducible_and_narrows_with_images():
    theirs, ours = np.arange(11.0), 50 + np.arange(11.0)
    few = order.tau_interval(theirs, ours, np.full(11, 20))
    many = order.tau_interval(theirs, ours, np.full(11, 10**6))
    assert few == order.tau_interval(theirs, ours, np.full(11, 20))
    assert many == pytest.approx((1.0, 1.0))
    assert few[0] < 0.5


def test_curves_name_the_best_and_the_last_epoch(tmp_path):
    made = record('rnn', 'RNN', 180)
    for row in made['epochs']:
        row.update(accuracy=0.9 - 0.001 * abs(row['epoch'] - 40), cost=1 / row['epoch'])
    line = cells(table(tmp_path, 'curves', choice(tmp_path, made)), 'RNN')
    assert line == [
        'RNN',
        '90.0 (epoch 40)',
        '87.5',
        '85.0 (epoch 90)',
        '−5.0',
        '0.067',
        '0.011',
    ]


def test_classes_and_balanced_accuracy(five):
    line = cells(table(five[0], 'classes', five[1]), 'RNN')
    half = 98.0 * (0.8 * 0.2 / 50 + (14 / 15) * (1 / 15) / 150) ** 0.5
    assert line == [
        'RNN',
        '81.9',
        '90.0',
        '75.0',
        'female 80.0, male 93.3',
        f'86.7 ± {half:.1f}',
    ]


def test_experiments_are_networks_trained_in_several_ways(tmp_path):
    balanced = dict(
        WIKI,
        name='wiki balanced',
        sha256={'train.h5': '2' * 64},
        preprocessing={'centre': 0.6, 'fit': 'crop'},
    )
    chosen = choice(
        tmp_path,
        record('fcnn-2', 'FCNN-2', 150),
        record('fcnn-2', 'FCNN-2', 145, run_id='second', dataset=balanced),
        record('rnn', 'RNN', 180),
    )
    lines = table(tmp_path, 'experiments', chosen)
    assert [line.split(' | ')[1] for line in lines[2:]] == ['wiki', 'wiki balanced']
    found = [cell.strip() for cell in lines[3].split('|')[1:-1]]
    assert found[:8] == [
        'FCNN-2',
        'wiki balanced',
        '64x64',
        'centre 0.6, fit crop',
        '1000',
        '90',
        'torch cpu, float32',
        '72.5',
    ]


def test_bfloat16_is_compared_after_the_same_epoch(tmp_path):
    def run(name, precision, epochs, accuracy, **changes):
        made = record('cnn-2', 'CNN-2', 150, run_id=name, precision=precision, **changes)
        made['epochs'] = made['epochs'][:epochs]
        made['hyperparameters'] = dict(made['hyperparameters'], epochs=epochs)
        for row in made['epochs']:
            row['accuracy'] = accuracy if row['epoch'] == 15 else 0.1
        return made

    lines = table(
        tmp_path,
        'precision',
        choice(
            tmp_path,
            run('short', 'float32', 15, 0.8),
            run('long', 'bf16', 90, 0.79),
            run('other seed', 'bf16', 20, 0.5, seed=1),
            record('rnn', 'RNN', 150),
        ),
    )
    half = 98.0 * 2 * ((0.8 * 0.2 + 0.79 * 0.21) / 200) ** 0.5
    interval = f'−{1 + half:.1f} to +{half - 1:.1f}'
    expected = ['CNN-2', 'wiki', '0', '15', '80.0', '79.0', '−1.0', interval]
    assert len(lines) == 3
    assert cells(lines, 'CNN-2') == expected


def test_engines_are_compared_on_the_same_seed(tmp_path):
    def run(name, accuracy, **changes):
        made = record('rnn', 'RNN', 180, run_id=name, **changes)
        made['epochs'][-1]['accuracy'] = accuracy
        return made

    lines = table(
        tmp_path,
        'engines',
        choice(
            tmp_path,
            run('neon', 0.9, engine='neon', backend='gpu'),
            run('same', 0.85, precision='bf16'),
            run('other seed', 0.8, backend='gpu', seed=1),
            record('fcnn-2', 'FCNN-2', 150),
        ),
    )
    half = 98.0 * 2 * ((0.9 * 0.1 + 0.85 * 0.15) / 200) ** 0.5
    interval = f'−{5 + half:.1f} to +{half - 5:.1f}'
    two = ['gpu, float32', '90.0', 'cpu, bf16', '85.0']
    assert len(lines) == 3
    assert cells(lines, 'RNN') == ['RNN', 'wiki', '0', '90', *two, '−5.0', interval]


def test_data_sets_are_described_as_their_records_say(tmp_path):
    described = dict(
        WIKI,
        split='by person',
        filters=[{'reason': 'no face', 'dropped': 1234}, {'reason': 'none', 'dropped': 0}],
    )
    lines = table(
        tmp_path, 'data', choice(tmp_path, dict(record('rnn', 'RNN', 180), dataset=described))
    )
    assert lines == [
        '- wiki: 64x64 pixels; test 100 female, 100 male; train 500 female, 500 male; '
        'split: by person; dropped: no face 1,234.'
    ]


def test_evaluations_on_other_data(tmp_path):
    chosen = choice(tmp_path, record('rnn', 'RNN', 180))
    assert table(tmp_path, 'cross', chosen) == ['No such runs yet.']
    found = dict(synthetic.final(150, 200), run_id='rnn', data='/somewhere/data/faces', part='test')
    (tmp_path / 'cross').mkdir()
    for name, content in (
        ('a.json', found),
        ('b.json', dict(found, run_id='gone')),
        ('c.json', {}),
        ('d.json', [1]),
        ('e.json', dict(found, count=0)),
    ):
        (tmp_path / 'cross' / name).write_text(json.dumps(content), encoding='utf-8')
    (tmp_path / 'cross' / 'f.json').write_text('{', encoding='utf-8')
    lines = table(tmp_path, 'cross', chosen)
    assert cells(lines, 'RNN') == [
        'RNN',
        'wiki',
        'faces',
        '200',
        '75.0',
        '68.6 to 80.5',
        '50.0',
        '75.0',
        '90.0',
    ]
    assert cells(lines, 'gone')[1] == 'record not here'
    assert [line[:20] for line in lines if line.startswith('- left out: ')] == [
        f'- left out: {name}.json: '[:20] for name in 'cdef'
    ]


def test_a_page_with_a_wrong_marker_is_named(tmp_path):
    chosen = choice(tmp_path, record('rnn', 'RNN', 150))
    for text, message in (
        ('<!-- table: rows -->\n', 'page.md: a table has no line <!-- end -->'),
        (
            '<!-- table: x -->\n<!-- end -->\n',
            'page.md: there is no table x; the tables are results',
        ),
    ):
        with pytest.raises(NeonRnnError, match=message):
            reproduction.filled(text, 'page.md', chosen, tmp_path)


def test_the_pages_beside_the_results_are_written_and_others_left_alone(tmp_path):
    choice(tmp_path / 'results', record('rnn', 'RNN', 180))
    page = tmp_path / 'README.md'
    page.write_text('<!-- table: results -->\n<!-- end -->\n', encoding='utf-8')
    files = build.build(tmp_path / 'results' / 'runs', tmp_path / 'results')[1]
    build.write(files, tmp_path / 'results')
    assert '| RNN | 81.9 | 90.0 |' in page.read_text(encoding='utf-8')
    assert build.differences(files, tmp_path / 'results') == []
    elsewhere = build.build(tmp_path / 'results' / 'runs', tmp_path / 'other')[1]
    assert '../README.md' not in elsewhere


@pytest.mark.parametrize('name', build.PAGES)
def test_the_committed_pages_are_what_the_records_give(name):
    results = ROOT / 'results'
    text = (ROOT / name).read_text(encoding='utf-8')
    chosen = choose(collect(results / 'runs'))
    assert reproduction.filled(text, name, chosen, results / 'cross') == text


def test_the_prose_of_the_reproduction_holds_no_result():
    text = (ROOT / 'docs' / 'reproduction.md').read_text(encoding='utf-8')
    prose = re.sub('<!-- table: .*?<!-- end -->', '', text, flags=re.DOTALL)
    assert re.findall(r'\d+\.\d+', prose) == []
    assert set(re.findall(r'<!-- table: (\S+) -->', text)) >= {*reproduction.TABLES, 'cross'} - {
        'cells',
        'results',
    }
