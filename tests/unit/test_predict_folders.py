"""`predict` over folders, and its table that grows and can be finished."""

import csv
import os
import subprocess
import sys
import time

import numpy as np
import pytest
from small_datasets import write_picture
from small_training import settings, write_data

from neon_rnn import training
from neon_rnn.cli import main
from neon_rnn.data import images, pictures
from neon_rnn.ingest import decoding
from neon_rnn.runs import classifier
from neon_rnn.runs.prediction_table import PredictionTable
from neon_rnn.support.errors import NeonRnnError, UsageError
from neon_rnn.support.paths import ROOT

CLASSES = ['female', 'male']


@pytest.fixture(scope='module')
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp('training')
    data = write_data(folder / 'data')
    return training.train(settings(data, model='fcnn-1', epochs=1), str(folder / 'runs')).folder


@pytest.fixture
def photos(tmp_path):
    """Seven pictures in nested folders, a note, and a link to the folder above."""
    root = tmp_path / 'photos'
    for index, name in enumerate(
        ['b.jpg', 'a.png', 'inner/c.JPG', 'inner/deeper/d.jpeg', 'z/e.jpg', 'z/f.jpg', 'z/g.jpg']
    ):
        path = root / name
        write_picture(path, seed=index, format='PNG' if name.endswith('png') else 'JPEG')
    (root / 'notes.txt').write_text('a note')
    (root / 'z' / 'up').symlink_to(root)
    return root


def read(path):
    with open(path, newline='', encoding='utf-8') as file:
        return list(csv.DictReader(file))


def test_pictures_are_found_in_order_and_once(photos, tmp_path):
    found = [os.path.relpath(path, photos) for path in pictures.find([str(photos)])]
    assert found == [
        'a.png',
        'b.jpg',
        'inner/c.JPG',
        'inner/deeper/d.jpeg',
        'z/e.jpg',
        'z/f.jpg',
        'z/g.jpg',
    ]
    assert list(pictures.find(['nowhere.jpg', str(photos / 'notes.txt')])) == [
        'nowhere.jpg',
        str(photos / 'notes.txt'),
    ]


def test_a_folder_as_a_table(run, photos, tmp_path, capsys):
    (photos / 'z' / 'broken.jpg').write_bytes(b'no picture')
    table = tmp_path / 'out.csv'
    assert main(['predict', run, str(photos), '-z', '3', '--csv', str(table)]) == 1
    rows = read(table)
    assert len(rows) == 8
    opened = classifier.of_run(run)
    for row in rows:
        if row['image'].endswith('broken.jpg'):
            assert row['error']
            assert row['class'] == row['p_male'] == ''
            continue
        pixels = images.load(row['image'], opened.preprocessing).reshape(1, -1)
        expected = opened.predict(pixels)[0]
        assert row['class'] == CLASSES[int(np.argmax(expected))]
        assert float(row['p_female']) == pytest.approx(expected[0], abs=2e-6)
        assert float(row['probability']) == pytest.approx(expected.max(), abs=2e-6)
        assert row['source'] == '{}, epoch 1'.format(os.path.basename(run))
    output = capsys.readouterr()
    assert '8 images' in output.out
    assert '1 image could not be read' in output.err


def test_without_a_table_the_lines_are_printed(run, photos, capsys):
    assert main(['predict', run, str(photos)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(': ')[0] for line in lines] == list(pictures.find([str(photos)]))


@pytest.mark.parametrize('torn', [0, 1, 15, 40])
def test_an_interrupted_table_is_finished(run, photos, tmp_path, capsys, monkeypatch, torn):
    """Wherever the last line was torn; names with line ends and quotes too."""
    write_picture(photos / 'z' / 'quoted "name"\nwith a line end.jpg', seed=20)
    whole, broken = tmp_path / 'whole.csv', tmp_path / 'broken.csv'
    assert main(['predict', run, str(photos), '--csv', str(whole)]) == 0
    content = whole.read_bytes()
    rows = content.splitlines(keepends=True)
    broken.write_bytes(b''.join(rows[:5]) + rows[5][:torn])
    seen = []
    load = decoding.load
    monkeypatch.setattr(
        decoding, 'load', lambda path, *more: seen.append(path) or load(path, *more)
    )
    assert main(['predict', run, str(photos), '--csv', str(broken)]) == 0
    assert broken.read_bytes() == content
    assert len(seen) == 8 - 4
    assert 'has 4 images already' in capsys.readouterr().err
    # Once more: nothing is left to do.
    assert main(['predict', run, str(photos), '--csv', str(broken)]) == 0
    assert broken.read_bytes() == content
    assert len(seen) == 4


@pytest.mark.parametrize('length', range(0, 60, 7))
def test_a_table_torn_anywhere(tmp_path, length):
    def fill(path):
        table = PredictionTable(path, CLASSES, 'run, epoch 1')
        for name in ('plain.jpg', 'two\nlines "quoted".jpg', os.fsdecode(b'latin\xe9.jpg')):
            if table.key(name) not in table.done:
                table.add([{'image': name, 'error': 'damaged, "very"'}])

    fill(tmp_path / 'whole.csv')
    content = (tmp_path / 'whole.csv').read_bytes()
    assert b'latin\xe9.jpg' in content
    (tmp_path / 'torn.csv').write_bytes(content[: len(content) - length])
    fill(tmp_path / 'torn.csv')
    assert (tmp_path / 'torn.csv').read_bytes() == content


@pytest.mark.slow
def test_kill_9_leaves_a_table_that_can_be_finished(run, tmp_path):
    for index in range(60):
        write_picture(tmp_path / 'many' / f'{index:03d}.jpg', seed=index)
    table = tmp_path / 'out.csv'
    words = ['predict', run, str(tmp_path / 'many'), '-z', '1', '--csv', str(table)]
    with subprocess.Popen([sys.executable, '-m', 'neon_rnn', *words], cwd=ROOT) as process:
        while not (table.exists() and table.stat().st_size > 500):
            assert process.poll() is None
            time.sleep(0.005)
        process.kill()
    assert main(words) == 0
    assert [row['image'] for row in read(table)] == list(pictures.find([str(tmp_path / 'many')]))


def test_memory_stays_flat(run, photos, monkeypatch):
    """The thread that reads ahead holds no more than three minibatches beside the one in use."""
    order = []
    add, load = PredictionTable.add, decoding.load
    monkeypatch.setattr(
        PredictionTable, 'add', lambda table, results: order.append('write') or add(table, results)
    )
    monkeypatch.setattr(decoding, 'load', lambda *given: order.append('read') or load(*given))
    assert main(['predict', run, str(photos), '-z', '1', '--csv', str(photos / 'out.csv')]) == 0
    assert (order.count('read'), order.count('write')) == (7, 7)
    for place, event in enumerate(order):
        so_far = order[:place]
        if event == 'write':
            ahead = so_far.count('read') - so_far.count('write')
            assert 1 <= ahead <= 4


@pytest.mark.parametrize(
    ('content', 'message'),
    [
        ('a note without a line end', 'is not a table of predictions of these classes'),
        ('image,class\n', 'is not a table of predictions of these classes'),
        (
            'image,class,probability,p_female,p_male,error,source\na.jpg,,,,,,"other, epoch 1"\n',
            'was written by other, epoch 1, not by run, epoch 1',
        ),
        ('image,class,probability,p_female,p_male,error,source\na.jpg,1\n', 'row 2: has 2 columns'),
    ],
)
def test_other_files_are_not_touched(tmp_path, content, message):
    path = tmp_path / 'out.csv'
    path.write_text(content)
    with pytest.raises(NeonRnnError, match=message):
        PredictionTable(str(path), CLASSES, 'run, epoch 1')
    assert path.read_text() == content


def test_what_cannot_be(run, photos, tmp_path, capsys):
    (tmp_path / 'empty').mkdir()
    assert main(['predict', run, str(tmp_path / 'empty')]) == 2
    assert 'no pictures there' in capsys.readouterr().err
    words = [str(photos), '--csv', str(tmp_path / 'a.csv'), '--json', '-']
    assert main(['predict', run, *words]) == 2
    assert 'choose one of them' in capsys.readouterr().err
    assert main(['predict', run, str(photos), '--csv', str(tmp_path / 'no' / 'a.csv')]) == 2
    assert 'there is no folder' in capsys.readouterr().err
    with pytest.raises(UsageError):
        PredictionTable(str(tmp_path), CLASSES, 'run')
