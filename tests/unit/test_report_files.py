"""The files of the report: their content, equal bytes, and no scripts or loaded resources."""

import copy
import csv
import html.parser
import io
import json
import math
import re
import urllib.parse
import xml.etree.ElementTree as ElementTree
from random import Random

import numpy as np
import pytest
import synthetic_records as synthetic
from growth import calls_of
from matplotlib.backends.backend_agg import FigureCanvasAgg
from PIL import Image

from neon_rnn import published
from neon_rnn.cli import main
from neon_rnn.report import build, dots, drawing, matrices, plots, reproduction, table, texts
from neon_rnn.report import choose as choose_module
from neon_rnn.report.choose import choose
from neon_rnn.report.collect import collect
from neon_rnn.runs import example_predictions

DEMO = dict(
    synthetic.FIELDS['dataset'], kind='synthetic', name='demo', source='demo', folder='data/demo'
)


@pytest.fixture(scope='module')
def results(tmp_path_factory):
    """A folder of results with a run of every kind, and the report made of it."""
    out = tmp_path_factory.mktemp('results')
    runs = out / 'runs'
    for seed in (0, 1):
        synthetic.write(runs, synthetic.record(f'rnn-{seed}', seed=seed, correct=160 + 10 * seed))
    synthetic.write(
        runs, synthetic.record('fcnn-1-0', model='fcnn-1', row='FCNN-1', dataset=DEMO, correct=199)
    )
    synthetic.write(
        runs,
        synthetic.record(
            'cnn-1-0',
            model='cnn-1',
            row='CNN-1',
            epochs=3,
            correct=None,
            status='diverged',
            error='the cost is <nan> | at "epoch" 4',
        ),
    )
    synthetic.write(runs, synthetic.record('rnn-bilstm', options={'rnn': 'bilstm'}))
    synthetic.write(runs, synthetic.record('rnn-neon', epochs=5, engine='neon', backend='mkl'))
    synthetic.write(runs, synthetic.record('rnn-again', seed=0, started='2026-11-22T10:15:00Z'))
    (runs / 'cut').mkdir()
    (runs / 'cut' / 'record.json').write_text('{"schema": 1', encoding='utf-8')
    probabilities = np.array([[0.9, 0.1], [0.6, 0.4], [0.2, 0.8], [0.3, 0.7]])
    pictures = np.random.RandomState(0).randint(0, 256, (4, 3 * 8 * 8)).astype(np.uint8)
    example_predictions.write(
        runs / 'fcnn-1-0',
        'synthetic',
        pictures,
        (3, 8, 8),
        np.array([0, 1, 1, 0]),
        probabilities,
        ['female', 'male'],
    )
    choice, files = build.build(runs, out)
    build.write(files, out)
    return out, choice, files


def test_table_json_has_the_eleven_rows_and_what_was_left_out(results):
    data = json.loads(results[2]['table.json'])
    assert [row['name'] for row in data['rows']] == list(published.rows())
    rnn, fcnn, cnn, other = (
        next(row for row in data['rows'] if row['name'] == name)
        for name in ('rnn', 'fcnn-1', 'cnn-1', 'tl-1')
    )
    assert (rnn['accuracy'], rnn['spread'], rnn['seeds'], rnn['difference'], rnn['state']) == (
        82.5,
        3.535534,
        [0, 1],
        0.6,
        'complete',
    )
    assert (rnn['engine'], rnn['backend'], rnn['dataset'], rnn['epochs'], rnn['runs']) == (
        'torch',
        'cpu',
        'faces',
        90,
        ['rnn-0', 'rnn-1'],
    )
    assert (fcnn['accuracy'], fcnn['difference'], fcnn['state']) == (99.5, None, 'other data')
    assert (cnn['accuracy'], cnn['state']) == (None, 'unfinished')
    assert (other['state'], other['status']) == (
        'not run',
        'not run; needs pretrained ImageNet weights',
    )
    assert [(row['row'], row['name']) for row in data['beside']] == [('RNN (bilstm cells)', 'rnn')]
    assert [row['runs'] for row in data['others']] == [['rnn-neon']]
    assert [each['folder'] for each in data['left_out']] == ['cut', 'rnn-again']


def test_table_csv_is_what_table_json_says(results):
    data = json.loads(results[2]['table.json'])
    rows = list(csv.DictReader(io.StringIO(results[2]['table.csv'].decode())))
    assert [row['row'] for row in rows] == [row['row'] for row in data['rows']] + [
        'RNN (bilstm cells)'
    ]
    rnn = next(row for row in rows if row['row'] == 'RNN')
    assert (rnn['accuracy'], rnn['published_accuracy'], rnn['seeds'], rnn['runs']) == (
        '82.5',
        '81.9',
        '0 1',
        'rnn-0 rnn-1',
    )
    assert {row['accuracy'] for row in rows if row['state'] == 'not run'} == {''}


def test_table_markdown(results):
    lines = results[2]['TABLE.md'].decode().split('\n')
    start = lines.index('## Accuracy') + 4
    assert [line.split(' | ')[0] for line in lines[start : start + 11]] == [
        f'| {row.row}' for row in published.rows().values()
    ]
    assert (
        '| FCNN-1 | 71.2 | (99.5) | 1 | 200 | 97.2 to 99.9 | 50.0 | 99.5 |  '
        '| not comparable: synthetic data | [1](runs/fcnn-1-0/record.json) |'
    ) in lines
    assert (
        '| RNN | 81.9 | 82.5 ± 3.5 | 2 | 200 | 76.6 to 87.1 | 50.0 | 82.5 | +0.6 '
        '| complete protocol | [1](runs/rnn-0/record.json) [2](runs/rnn-1/record.json) |'
    ) in lines
    assert (
        '| CNN-1 | 79.3 |  |  |  |  |  |  |  | seed 0 diverged after 3 of 90 epochs: '
        'the cost is \\<nan\\> \\| at "epoch" 4 | [1](runs/cnn-1-0/record.json) |'
    ) in lines
    assert '| CNN-2 | 83.5 |  |  |  |  |  |  |  | not run |  |' in lines
    assert (
        '| RNN | 29,571 s | 900 s | 10 s |  | 90 of 90 | torch cpu, 2 threads '
        '| faces (photographs), 128x128 | [1](runs/rnn-0/record.json) [2](runs/rnn-1/record.json) |'
    ) in lines
    assert '| cut | is not valid JSON' in results[2]['TABLE.md'].decode()


def test_the_same_records_give_the_same_bytes(results):
    out, _, files = results
    again = build.build(out / 'runs', out)[1]
    assert sorted(again) == [
        'TABLE.md',
        'plots/accuracy-time.png',
        'plots/accuracy-time.svg',
        'plots/confusion.png',
        'plots/confusion.svg',
        'plots/learning-curves.png',
        'plots/learning-curves.svg',
        'report.html',
        'table.csv',
        'table.json',
    ]
    assert [name for name in files if files[name] != again[name]] == []


class Page(html.parser.HTMLParser):
    """Collects what the page is made of; checks that its elements are closed in order."""

    VOID = ('meta', 'img')

    def __init__(self, text):
        super().__init__()
        self.open, self.tags, self.links, self.ids, self.texts = [], [], [], [], []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        if tag not in self.VOID:
            self.open.append(tag)
        for name, value in attrs:
            if name in ('href', 'src', 'xlink:href'):
                self.links.append(value)
            if name == 'id':
                self.ids.append(value)

    def handle_startendtag(self, tag, attrs):
        self.handle_starttag(tag, attrs)
        if tag not in self.VOID:
            self.open.pop()

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.texts.append(data)


def test_the_page_is_well_formed_and_loads_nothing(results):
    text = results[2]['report.html'].decode()
    page = Page(text)
    assert page.open == []
    assert 'script' not in page.tags
    assert 'link' not in page.tags
    assert len(page.ids) == len(set(page.ids))
    outside = [
        link for link in page.links if not link.startswith(('#', 'data:image/png;base64,', 'runs/'))
    ]
    assert outside == []
    assert not re.search(r'@import|url\((?!#)', text)
    assert "default-src 'none'" in text


def test_every_link_of_the_page_leads_somewhere(results):
    out, _, files = results
    page = Page(files['report.html'].decode())
    inner = {link[1:] for link in page.links if link.startswith('#')}
    assert inner
    assert inner <= set(page.ids)
    records = {link for link in page.links if link.endswith('record.json')}
    assert {
        f'runs/{name}/record.json' for name in ('rnn-0', 'rnn-1', 'fcnn-1-0', 'cnn-1-0', 'rnn-neon')
    } <= records
    assert [link for link in records if not (out / urllib.parse.unquote(link)).is_file()] == []


def test_every_number_of_ours_is_a_link_to_its_records(results):
    text = results[2]['report.html'].decode()
    cells = re.findall('<td class="c[346]" data-name="[^"]*">(.*?)</td>', text)
    filled = [cell for cell in cells if cell]
    assert (
        len(filled) == 3 + 2 + 1 + 2
    )  # RNN; FCNN-1 without a difference; CNN-1 an epoch's time; RNN (bilstm cells)
    for cell in filled:
        assert not re.search(r'\d', re.sub('<a href="(#run-|runs/)[^"]*">[^<]*</a>', '', cell)), (
            cell
        )
    for section in ('curves', 'confusion'):
        part = re.search(f'<section id="{section}">(.*?)</section>', text, re.S)[1]
        assert part.count('<div class="card">') == len(
            re.findall('<small><a href="runs/[^"]*/record.json"', part)
        )


def test_the_page_shows_numbers_shortfalls_and_text_as_text(results):
    page = Page(results[2]['report.html'].decode())
    text = ' '.join(page.texts)
    for said in (
        '82.5 ± 3.5',
        '(99.5)',
        'synthetic data',
        'needs pretrained ImageNet weights',
        'the cost is <nan> | at "epoch" 4',
        'is not valid JSON',
        'RNN (bilstm cells)',
        '5,640,456 parameters',
    ):
        assert said in text
    assert 'nan' not in page.tags


def test_examples_appear_on_the_page(results):
    page = Page(results[2]['report.html'].decode())
    assert len([link for link in page.links if link.startswith('data:image/png')]) == 4
    assert ' '.join(page.texts).count('wrong: is') == 2


def test_examples_stay_on_the_page_when_the_table_shows_photographs(tmp_path):
    synthetic.write(tmp_path, synthetic.record('drawn', dataset=DEMO))
    synthetic.write(tmp_path, synthetic.record('photographs'))
    pictures = np.zeros((4, 3 * 8 * 8), np.uint8)
    example_predictions.write(
        tmp_path / 'drawn',
        'synthetic',
        pictures,
        (3, 8, 8),
        np.array([0, 1, 1, 0]),
        np.full((4, 2), 0.5),
        ['female', 'male'],
    )
    text = build.build(tmp_path, tmp_path)[1]['report.html'].decode()
    assert (
        'runs/photographs/'
        not in re.search('<section id="examples">(.*?)</section>', text, re.S)[1]
    )
    assert len([link for link in Page(text).links if link.startswith('data:image/png')]) == 4


HOSTILE = [
    'a|b<i>`c`',
    r'\1 \g<9> \g<name>',
    '$x^{$ $',
    '\ud800 \x00 \x1b[2J \u202e',
    '{{ 7 * 7 }} {% endfor %}',
    '"><script>alert(1)</script>',
    'name' * 10**5,
]


@pytest.mark.parametrize('name', HOSTILE, ids=range(len(HOSTILE)))
def test_hostile_names_stay_text(tmp_path, name):
    made = synthetic.record(
        '<script>alert(1)<-script>', argv=[name], row=None, model=name, precision=name
    )
    made['dataset'].update(name=name, split=name, source_size=name, class_names=['a', name])
    made['dataset']['counts'] = {part: {'a': 1, name: 1} for part in ('train', 'test')}
    made['final']['per_class'] = dict(
        zip(('a', name), made['final']['per_class'].values(), strict=True)
    )
    synthetic.write(tmp_path, made, name='run')
    synthetic.write(tmp_path, dict(made, run_id='second', status='failed', error=name))
    files = build.build(tmp_path, tmp_path)[1]
    page = Page(files['report.html'].decode())
    assert page.open == []
    assert 'script' not in page.tags
    assert '49' not in page.texts
    assert len(files['report.html']) < 10**6
    assert len(files['TABLE.md']) < 10**5
    for picture in ('accuracy-time', 'confusion', 'learning-curves'):
        ElementTree.fromstring(files[f'plots/{picture}.svg'])


def test_a_markdown_cell_stays_within_its_cell():
    assert texts.cell('a|b<i>`c`\n') == 'a\\|b\\<i\\>\\`c\\`'


def test_enlarged_originals_are_named(tmp_path):
    dataset = dict(synthetic.FIELDS['dataset'], source_size=[64, 64], split='by person')
    synthetic.write(tmp_path, synthetic.record(dataset=dataset))
    files = build.build(tmp_path, tmp_path)[1]
    row = next(row for row in json.loads(files['table.json'])['rows'] if row['name'] == 'rnn')
    assert (row['image_size'], row['source_size'], row['enlarged']) == ('128x128', '64x64', True)
    said = 'faces (photographs), 128x128 (64x64 originals enlarged)'
    assert said in files['TABLE.md'].decode()
    assert said in files['report.html'].decode()
    assert 'split: by person' in files['report.html'].decode()


@pytest.mark.parametrize('name', ['accuracy-time', 'confusion', 'learning-curves'])
def test_plots_are_pictures_of_something(results, name):
    svg, png = (results[2][f'plots/{name}.{ending}'] for ending in ('svg', 'png'))
    elements = ElementTree.fromstring(svg).iter('{http://www.w3.org/2000/svg}text')
    texts = ' '.join(''.join(each.itertext()) for each in elements)
    for said in {
        'accuracy-time': ('RNN', 'TL-3', 'published', 'synthetic data: not comparable'),
        'confusion': ('FCNN-1', 'female', '165', 'predicted'),
        'learning-curves': ('CNN-1', 'training cost', 'epoch'),
    }[name]:
        assert said in texts
    with Image.open(io.BytesIO(png)) as image:
        assert np.asarray(image).std() > 5
        assert image.info.get('Software') is None


def test_plots_of_nothing_say_so(tmp_path):
    files = plots.all_plots(choose(collect(tmp_path)))
    assert b'No run has been evaluated yet' in files['plots/confusion.svg']
    assert b'No run has finished an epoch yet' in files['plots/learning-curves.svg']
    assert b'ResNet-50' in files['plots/accuracy-time.svg']


def test_the_dot_plot_has_a_row_for_each_network_and_a_mark_for_each_result(results):
    with drawing.style():
        figure = dots.accuracy_and_time(results[1])
    accuracy, time = figure.axes
    names = [label.get_text() for label in accuracy.get_yticklabels()]
    assert names == [row.row for row in published.rows().values()] + ['RNN (bilstm cells)']
    marks = {
        (line.get_label(), names[int(line.get_ydata()[0])]): line.get_xdata()[0]
        for line in accuracy.lines
        if len(line.get_xdata()) == 1
    }
    assert len(marks) == 11 + 3
    assert marks['published', 'RNN'] == 81.9
    assert marks['ours, complete protocol', 'RNN'] == pytest.approx(82.5)
    assert marks['ours, synthetic data: not comparable', 'FCNN-1'] == pytest.approx(99.5)
    (interval,) = [
        line for line in accuracy.lines if len(line.get_xdata()) == 2 and line.get_ydata()[0] == 10
    ]
    assert list(interval.get_xdata()) == pytest.approx([76.6, 87.1], abs=0.1)
    assert len(time.lines) == 11 + 3


def test_long_names_stay_within_their_place_in_the_plots(tmp_path):
    for cell in ('deep_transition', 'deep_transition_forward'):
        made = synthetic.record(cell, options={'rnn': cell})
        synthetic.write(tmp_path, made)
    chosen = choose(collect(tmp_path))
    assert max(len(each.name) for each in chosen.shown) == 35
    with drawing.style():
        curves, matrix = plots.learning_curves(chosen), matrices.confusion_matrices(chosen)
        dotted = dots.accuracy_and_time(chosen)
    for figure in (curves, matrix, dotted):
        FigureCanvasAgg(figure).draw()
        width = figure.get_size_inches()[0] * figure.dpi
        for axes in figure.axes:
            titles = [axes.title, axes._left_title, axes._right_title]
            boxes = [each.get_window_extent() for each in titles if each.get_text()]
            boxes += [each.get_window_extent() for each in axes.get_yticklabels()]
            assert all(box.x0 >= 0 and box.x1 <= width for box in boxes)
            if figure is curves and len(boxes) > 1 and axes._left_title.get_text():
                assert boxes[0].x1 < boxes[1].x0
    labels = [label.get_text() for label in dotted.axes[0].get_yticklabels()]
    assert len(set(labels)) == len(labels)


def test_confusion_picture_of_an_evaluation(tmp_path):
    plots.write_confusion(
        tmp_path / 'confusion.png', synthetic.final(160), ['female', 'male'], 'a run'
    )
    with Image.open(tmp_path / 'confusion.png') as image:
        pixels = np.asarray(image.convert('RGB')).astype(int)
    assert pixels.shape[0] > 300
    blue = pixels[..., 2] - pixels[..., 0]
    assert blue.max() > 80  # the diagonal is shaded
    assert (blue > 80).mean() > 0.1


def test_the_command_writes_and_checks(results, tmp_path, capsys):
    runs, out = results[0] / 'runs', tmp_path / 'out'
    assert main(['table', '--runs', str(runs), '--out', str(out)]) == 0
    printed = capsys.readouterr()
    assert re.search(
        r'^RNN +81.9 +82.5 ± 3.5 +\+0.6  complete protocol$', printed.out, re.MULTILINE
    )
    assert 'cut: is not valid JSON' in printed.err
    assert main(['table', '--runs', str(runs), '--out', str(out), '--check']) == 0
    assert 'all 10 files are what the records give' in capsys.readouterr().out
    (out / 'TABLE.md').write_text('# Published\n', encoding='utf-8')
    assert main(['table', '--runs', str(runs), '--out', str(out), '--check']) == 1
    assert (
        'TABLE.md differs from line 1 on. Regenerate it: ./run.sh table' in capsys.readouterr().err
    )
    assert (out / 'TABLE.md').read_text(encoding='utf-8') == '# Published\n'


def darken_a_corner(path):
    with Image.open(path) as image:
        changed = image.convert('RGBA')
    changed.putpixel((5, 5), (0, 0, 0, 255))
    changed.save(path)


@pytest.mark.parametrize(
    ('name', 'change', 'message'),
    [
        (
            'TABLE.md',
            lambda path: path.write_text('# Published', encoding='utf-8'),
            'TABLE.md differs from line 1 on',
        ),
        (
            'table.csv',
            lambda path: path.write_bytes(path.read_bytes() + b'more'),
            'table.csv differs from line',
        ),
        ('report.html', lambda path: path.unlink(), 'report.html is missing'),
        (
            'plots/confusion.png',
            lambda path: path.write_bytes(b'no picture'),
            'confusion.png shows something else',
        ),
        ('plots/confusion.png', darken_a_corner, 'confusion.png shows something else'),
    ],
)
def test_a_difference_is_found_and_nothing_changed(results, tmp_path, name, change, message):
    files = results[2]
    build.write(files, tmp_path)
    change(tmp_path / name)
    before = {path: path.read_bytes() for path in tmp_path.rglob('*') if path.is_file()}
    (found,) = build.differences(files, tmp_path)
    assert message in found
    assert {path: path.read_bytes() for path in tmp_path.rglob('*') if path.is_file()} == before


def test_check_takes_another_compression_for_the_same_picture(results, tmp_path):
    files = results[2]
    build.write(files, tmp_path)
    path = tmp_path / 'plots' / 'confusion.png'
    with Image.open(path) as image:
        image.load()
    image.save(path, compress_level=1)
    assert path.read_bytes() != files['plots/confusion.png']
    assert build.differences(files, tmp_path) == []


def test_the_work_of_a_report_grows_in_proportion_to_the_configurations(tmp_path):
    work = []
    for start, end in ((0, 250), (250, 500)):
        synthetic.write_many(tmp_path, range(start, end), '"wdecay": 0.0005', '"wdecay": {}')
        (_, files), calls = calls_of(build.build, tmp_path, tmp_path)
        work.append(calls)
        data = json.loads(files['table.json'])
        assert len(data['others']) == end - 1
        assert f'{end - 1 - table.LISTED} more are in table.json.' in files['TABLE.md'].decode()
    assert work[1] < 2.2 * work[0]


def test_a_hundred_networks_beside_the_eleven_are_counted(tmp_path):
    synthetic.write_many(tmp_path, range(100), '"rnn"', '"network-{:04d}"', epochs=5)
    _, files = build.build(tmp_path, tmp_path)
    data = json.loads(files['table.json'])
    others = 100 - choose_module.BESIDE
    assert (len(data['beside']), len(data['others'])) == (choose_module.BESIDE, others)
    left = others - table.LISTED
    assert f'{left} more are in table.json.' in files['TABLE.md'].decode()
    assert f'{left} more are in table.json.' in files['report.html'].decode()


#: Values that replace parts of a record at random.
ODD = [
    *(None, True, 0, -1, 1.5, 10**17, 10**400, 1e308, math.nan, math.inf),
    *('', 'x' * 2000, '\ud800', '\x1b[2J', r'\1', '$x^', '64x64', 'imdb-wiki', 'synthetic'),
    *([], [1], [None], [64, 64], {}, {'a': {'b': [1]}}, {'height': 3, 'width': 'x'}),
]


def places(value, place=()):
    """Return the place of every part of a record: the keys and indices that lead to it."""
    parts = value.items() if isinstance(value, dict) else enumerate(value)
    for key, each in parts:
        yield (*place, key)
        if isinstance(each, dict | list):
            yield from places(each, (*place, key))


def mutated(made, random):
    """Change one or two parts of a record."""
    made['dataset'].update(split=None, source_size=None, filters=None, preprocessing={'fit': 'a'})
    made['options'].update(pretrained=None, rnn=None)
    for _ in range(random.choice([1, 2])):
        place = random.choice([place for place in places(made) if len(place) < 4])
        parent = made
        for key in place[:-1]:
            parent = parent[key]
        parent[place[-1]] = copy.deepcopy(random.choice(ODD))
    return made


def test_mutated_records_never_stop_the_table(tmp_path):
    random = Random(0)
    results = tmp_path / 'results'
    for index in range(400):
        made = synthetic.record(f'run-{index}', epochs=2, seed=index % 9)
        made['dataset']['source'] = random.choice(['imdb-wiki', 'folder'])
        synthetic.write(results / 'runs', mutated(made, random), name=f'run-{index}')
    (tmp_path / 'README.md').write_text(
        ''.join(f'<!-- table: {name} -->\n<!-- end -->\n' for name in reproduction.TABLES),
        encoding='utf-8',
    )
    choice, files = build.build(results / 'runs', results)
    build.write(files, results)
    used, left = len(choice.collection.runs), len(choice.collection.unreadable)
    assert min(used, left) > 40
    assert used + left + len(choice.collection.duplicates) == 400
    assert Page(files['report.html'].decode()).open == []
