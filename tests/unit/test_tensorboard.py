"""``train --tensorboard``: what TensorBoard reads from the folder is what the record says."""

import io
import sys

import numpy as np
import pytest
from PIL import Image
from small_training import write_data

from neon_rnn.cli import main
from neon_rnn.export import tensorboard
from neon_rnn.runs import records

SHORT = ['--model', 'fcnn-1', '--engine', 'torch', '-z', '4', '--threads', '1', '-r', '3']


@pytest.fixture
def words(tmp_path):
    """A command to train a run named ``one`` on ten images: three minibatches an epoch."""
    data = write_data(tmp_path / 'data', counts=(10, 6, 4))
    words = ['train', *SHORT, '--data', data, '--out', str(tmp_path / 'runs'), '--run_id', 'one']
    return [*words, '--tensorboard', str(tmp_path / 'curves')]


def read(folder):
    """Return what TensorBoard's own reader finds: tag -> [(step, value)], and the pictures."""
    module = pytest.importorskip(
        'tensorboard.backend.event_processing.event_accumulator',
        reason="pip install -e '.[tensorboard]'",
    )
    events = module.EventAccumulator(str(folder)).Reload()
    scalars = {
        tag: [(event.step, event.value) for event in events.Scalars(tag)]
        for tag in events.Tags()['scalars']
    }
    pictures = {tag: events.Images(tag) for tag in events.Tags()['images']}
    return scalars, pictures


def assert_curve(found, steps, values):
    assert [step for step, _ in found] == steps
    np.testing.assert_allclose([value for _, value in found], values, rtol=1e-6)


def test_the_curves_are_those_of_the_record(words, tmp_path):
    pytest.importorskip('tensorboard', reason="pip install -e '.[tensorboard]'")
    assert main([*words, '-e', '2', '--keep_best']) in (None, 0)
    record = records.read_record(tmp_path / 'runs' / 'one')
    scalars, pictures = read(tmp_path / 'curves' / 'one')
    costs = [cost for _, _, cost in records.read_minibatches(tmp_path / 'runs' / 'one')]
    assert_curve(scalars['cost/minibatch'], [1, 2, 3, 4, 5, 6], costs)
    assert_curve(scalars['cost/epoch'], [3, 6], [row['cost'] for row in record['epochs']])
    assert_curve(scalars['accuracy/test'], [3, 6], [row['accuracy'] for row in record['epochs']])
    assert [step for step, _ in scalars['accuracy/validation']] == [3, 6]
    assert {'class/female', 'class/male', 'speed/images per second'} <= set(scalars)
    assert [picture.step for picture in pictures['confusion']] == [3, 6]
    picture = Image.open(io.BytesIO(pictures['confusion'][0].encoded_image_string))
    assert len(picture.getcolors(1 << 20)) > 10, 'the picture is empty'


def test_a_resumed_run_goes_on_in_its_folder(words, tmp_path):
    pytest.importorskip('tensorboard', reason="pip install -e '.[tensorboard]'")
    curves = str(tmp_path / 'curves')
    assert main([*words, '-e', '1']) in (None, 0)
    run = str(tmp_path / 'runs' / 'one')
    assert main(['resume', run, '-e', '2', '--tensorboard', curves]) in (None, 0)
    assert [step for step, _ in read(tmp_path / 'curves' / 'one')[0]['cost/epoch']] == [3, 6]


def test_what_is_trained_again_replaces_what_was_drawn(tmp_path):
    pytest.importorskip('tensorboard', reason="pip install -e '.[tensorboard]'")
    epoch = {'run_id': 'one', 'figures': None, 'accuracy': None, 'validation': None}
    epoch['images_per_second'] = 1.0
    for first, cost in ((1, 0.5), (2, 0.25)):  # the second session repeats epoch 2
        with tensorboard.curves(str(tmp_path)) as write:
            for number in range(first, 3):
                write(dict(epoch, epoch=number, cost=cost, costs=[cost, cost]))
    scalars, _ = read(tmp_path / 'one')
    assert scalars['cost/minibatch'] == [(1, 0.5), (2, 0.5), (3, 0.25), (4, 0.25)]
    assert scalars['cost/epoch'] == [(2, 0.5), (4, 0.25)]
    assert 'accuracy/test' not in scalars


def test_without_the_package_nothing_is_trained(words, tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, 'tensorboard', None)
    assert main([*words, '-e', '1']) == 2
    assert "pip install '.[tensorboard]'" in capsys.readouterr().err
    assert not (tmp_path / 'runs').exists()


def test_a_folder_that_cannot_be_made_ends_it_before_the_training(words, tmp_path, capsys):
    pytest.importorskip('tensorboard', reason="pip install -e '.[tensorboard]'")
    (tmp_path / 'curves').write_text('a file')
    assert main([*words, '-e', '1']) == 1
    assert str(tmp_path / 'curves') in capsys.readouterr().err
    assert not (tmp_path / 'runs').exists()
