"""Explanations: occlusion against direct evaluation, the pictures, the command, the worst sheet."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image
from small_datasets import write_picture
from small_training import SHAPE, train_models

from neon_rnn.cli import main
from neon_rnn.explain import explainer, occlusion, pictures, worst
from neon_rnn.explain.sweeps import Sweep
from neon_rnn.runs import trained_run
from neon_rnn.support.errors import UsageError

HEIGHT, WIDTH = 12, 20


def photograph(seed=0, shape=(3, HEIGHT, WIDTH)):
    return np.random.RandomState(seed).randint(0, 256, shape).astype(np.uint8)


def red_square(images):
    """A made-up network: the redder rows 4 to 7 of columns 10 to 13 are, the more of class 1."""
    red = images.reshape(-1, 3, HEIGHT, WIDTH)[:, 0, 4:8, 10:14].mean(axis=(1, 2)) / 64.0 - 2
    odds = np.exp(red)
    return np.stack([1 / (1 + odds), odds / (1 + odds)], axis=1).astype(np.float32)


@pytest.mark.parametrize(('window', 'step'), [(None, None), (4, 1), (5, 3), (12, 12), (1, 1)])
def test_each_window_is_what_predict_says_of_a_covered_copy(window, step):
    pixels = photograph()
    found = occlusion.occlude(red_square, pixels, window, step)
    assert found.window == (window or 3)
    np.testing.assert_array_equal(found.fill, np.rint(pixels.mean(axis=(1, 2))))
    for i, top in enumerate(found.tops):
        for j, left in enumerate(found.lefts):
            copy = pixels.copy()
            for channel in range(3):
                for y in range(top, top + found.window):
                    for x in range(left, left + found.window):
                        copy[channel, y, x] = found.fill[channel]
            expected = red_square(copy.reshape(1, -1))[0]
            np.testing.assert_array_equal(found.covered[i, j], expected)
            drop = np.log(found.probabilities[1] / found.probabilities[0]) - np.log(
                expected[1] / expected[0]
            )
            assert found.drops(1)[i, j] == pytest.approx(drop, abs=1e-5)
            assert found.drops(0)[i, j] == pytest.approx(-drop, abs=1e-5)


@pytest.mark.parametrize(('window', 'step'), [(None, None), (4, 1), (5, 3), (12, 12)])
def test_the_map_is_the_mean_of_the_windows_over_a_pixel(window, step):
    found = occlusion.occlude(red_square, photograph(), window, step)
    heat, drops = found.heat(1), found.drops(1)
    for y in range(HEIGHT):
        for x in range(WIDTH):
            over = [
                drops[i, j]
                for i, top in enumerate(found.tops)
                for j, left in enumerate(found.lefts)
                if top <= y < top + found.window and left <= x < left + found.window
            ]
            assert heat[y, x] == pytest.approx(np.mean(over), abs=1e-12)


def test_only_what_the_network_looks_at_is_marked():
    pixels = photograph()
    pixels[0] = 20
    pixels[0, 4:8, 10:14] = 255
    heat = occlusion.occlude(red_square, pixels, 4, 1).heat(1)
    assert np.unravel_index(heat.argmax(), heat.shape)[0] in range(4, 8)
    assert np.unravel_index(heat.argmax(), heat.shape)[1] in range(10, 14)
    far = np.ones_like(heat, bool)
    far[1:11, 7:17] = False  # a window that touches the square reaches this far
    assert (heat[4:8, 10:14] > 0.1).all()
    np.testing.assert_array_equal(heat[far], 0)


def test_log_odds_of_certain_answers_are_finite_and_told_apart():
    values = np.array([[1, 1e-20], [1, 1e-30], [1, 0], [0, 1]], np.float32)
    found = occlusion.log_odds(values, 0)
    assert found[:2] == pytest.approx([20 * np.log(10), 30 * np.log(10)])
    assert np.isfinite(found).all()
    assert found[0] < found[1] < found[2]
    assert found[3] == -found[2]


def test_log_odds_of_three_classes():
    found = occlusion.log_odds(np.array([0.2, 0.5, 0.3]), 0)
    assert found == pytest.approx(np.log(0.2 / 0.8))


@pytest.mark.parametrize(('window', 'step'), [(13, None), (0, None), (4, 5), (4, 0)])
def test_windows_that_cannot_be(window, step):
    with pytest.raises(UsageError, match='does not fit'):
        occlusion.occlude(red_square, photograph(), window, step)


def test_the_decision_is_orange_for_and_blue_against():
    heat = np.zeros((HEIGHT, WIDTH))
    heat[0, 0], heat[0, 1], heat[0, 2] = 2.0, -2.0, 1.0
    drawn = np.asarray(pictures.decision(photograph(), heat)).astype(int)
    assert drawn[0, 0, 0] > drawn[0, 0, 2] + 60  # more red than blue
    assert drawn[0, 1, 2] > drawn[0, 1, 0] + 60
    assert 0 < drawn[0, 2, 0] - drawn[0, 2, 2] < drawn[0, 0, 0] - drawn[0, 0, 2]
    assert np.ptp(drawn[1:], axis=2).max() == 0  # the rest is grey
    assert np.ptp(np.asarray(pictures.decision(photograph(), 0 * heat)), axis=2).max() == 0


def test_norms_are_lighter_the_larger_they_are():
    values = np.linspace(3, 5, 50).reshape(1, 50)
    drawn = np.asarray(pictures.norms(values, 3, 5).convert('L')).astype(int)[0]
    assert (np.diff(drawn) >= 0).all()
    assert drawn[0] < 40
    assert drawn[-1] > 230
    assert np.asarray(pictures.norms(np.ones((2, 2)), 1, 1)).shape == (2, 2, 3)


def test_the_directions_of_a_network_have_one_scale():
    sweeps = [
        Sweep('14', network, direction, 4, np.array([[low, low + 1]]))
        for network, direction, low in [
            ('vertical', 'down', 1.0),
            ('vertical', 'up', 3.0),
            ('horizontal', 'right', 10.0),
        ]
    ]
    assert [pictures.scale(sweep, sweeps) for sweep in sweeps] == [(1, 4), (1, 4), (10, 11)]


@pytest.mark.parametrize('size', [(8, 8), (64, 48), (300, 200), (128, 128)])
def test_pictures_are_enlarged_by_whole_pixels(size):
    image = pictures.photograph(photograph(shape=(3, *size[::-1])))
    larger = pictures.enlarged(image)
    factor = larger.width // image.width
    assert larger.size == (image.width * factor, image.height * factor)
    assert max(larger.size) >= 200
    np.testing.assert_array_equal(np.asarray(larger)[::factor, ::factor], np.asarray(image))


@pytest.fixture(scope='module')
def runs(tmp_path_factory):
    """Model name -> the folder of a run of it."""
    return train_models(tmp_path_factory.mktemp('training'), 'rnn', 'fcnn-1')


@pytest.mark.parametrize('model', ['rnn', 'fcnn-1'])
def test_an_explanation_of_a_run_is_what_its_model_computes(runs, model):
    opened = explainer.open_run(runs[model])
    pixels = photograph(3, SHAPE)
    found = opened.explain(pixels)
    trained = trained_run.load_run(runs[model])
    expected = trained.nn.predict(trained.model, pixels.reshape(1, -1))[0]
    assert list(found.probabilities.values()) == pytest.approx(expected, abs=1e-6)
    assert found.best == ['female', 'male'][int(expected.argmax())]
    place = 2, 4
    copy = pixels.copy()
    at = occlusion.window_at(found.occlusion.tops[2], found.occlusion.lefts[4], 8)
    copy[(slice(None), *at)] = found.occlusion.fill.reshape(3, 1, 1)
    expected = trained.nn.predict(trained.model, copy.reshape(1, -1))[0]
    np.testing.assert_allclose(found.occlusion.covered[place], expected, atol=1e-6)
    assert len(found.sweeps) == (8 if model == 'rnn' else 0)


def test_the_command(runs, tmp_path, capsys):
    photos = tmp_path / 'photos'
    write_picture(photos / 'one.jpg', seed=1)
    write_picture(photos / 'more' / 'ONE.png', seed=2, format='PNG')
    (photos / 'torn.jpg').write_bytes((photos / 'one.jpg').read_bytes()[:300])
    out = tmp_path / 'out'
    assert main(['explain', runs['rnn'], str(photos), '--out', str(out)]) == 1
    printed = capsys.readouterr()
    assert 'torn.jpg: ' in printed.err
    assert 'mean nothing' in printed.err  # the run knows synthetic pictures only
    assert f'{out}: 2 images' in printed.out
    written = json.loads((out / 'explanations.json').read_text('utf-8'))
    assert written['source'].endswith(', epoch 1')
    one, torn, other = written['images']
    assert (one['folder'], other['folder']) == ('one', 'ONE-2')
    assert list(torn) == ['error', 'image']
    assert main(['predict', runs['rnn'], one['image'], '--json', '-']) == 0
    (predicted,) = json.loads(capsys.readouterr().out)
    assert one['class'] == predicted['class']
    assert one['probabilities'] == pytest.approx(predicted['probabilities'], abs=2e-6)
    cover = one['occlusion']
    assert cover['window'] == 8
    assert cover['tops'] == cover['lefts'] == list(range(0, 25, 4))
    assert np.shape(cover['probability']) == np.shape(cover['log_odds_drop']) == (7, 7)
    assert [(each['layer'], each['direction']) for each in one['sweeps']] == [
        (layer, direction)
        for layer in ('17', '19')
        for direction in ('down', 'up', 'right', 'left')
    ]
    assert np.shape(one['sweeps'][0]['norms']) == (2, 2)
    for each in (one, other):
        assert each['files'][:3] == ['sheet.png', 'input.png', 'decision.png']
        assert sorted(each['files']) == sorted(os.listdir(out / each['folder']))
        for name in each['files']:
            with Image.open(out / each['folder'] / name) as image:
                image.load()
    with Image.open(out / 'one' / 'input.png') as image:
        assert image.size == (256, 256)
    assert main(['explain', runs['rnn'], str(photos), '--out', str(out)]) == 2
    assert 'is not an empty folder' in capsys.readouterr().err


def test_a_network_without_sweeps_and_another_window(runs, tmp_path, capsys):
    path = write_picture(tmp_path / 'one.jpg', seed=1)
    words = ['explain', runs['fcnn-1'], str(path), '--window', '16', '--step', '16']
    assert main([*words, '--out', str(tmp_path / 'out')]) == 0
    (one,) = json.loads((tmp_path / 'out' / 'explanations.json').read_text('utf-8'))['images']
    assert one['files'] == ['sheet.png', 'input.png', 'decision.png']
    assert one['sweeps'] == []
    assert one['occlusion']['tops'] == [0, 16]
    words[4:] = ['99']
    assert main([*words, '--out', str(tmp_path / 'other')]) == 2
    assert 'a window of 99 pixels does not fit' in capsys.readouterr().err


def test_names_that_are_not_text(runs, tmp_path):
    path = os.fsencode(str(tmp_path)) + b'/latin\xe9 \xe2\x82\xac.jpg'
    write_picture(tmp_path / 'plain.jpg', seed=1).rename(os.fsdecode(path))
    done = subprocess.run(
        [sys.executable, '-m', 'neon_rnn', 'explain', runs['fcnn-1'], path]
        + ['--out', str(tmp_path / 'out')],
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    (one,) = json.loads((tmp_path / 'out' / 'explanations.json').read_text('utf-8'))['images']
    assert one['folder'] == 'latin\\xe9 €'
    assert (tmp_path / 'out' / one['folder'] / 'sheet.png').is_file()


def test_the_most_wrong_come_first():
    probabilities = np.array(
        [[0.9, 0.1, 0.0], [0.2, 0.5, 0.3], [0.3, 0.3, 0.4], [0.05, 0.05, 0.9], [0.4, 0.3, 0.3]]
    )
    labels = np.array([0, 0, 2, 1, 2])
    indices, wrong, highest = worst.most_wrong(probabilities, labels, 4)
    assert list(indices) == [3, 1, 4, 2]
    assert list(wrong) == [2, 1, 0, 0]
    assert list(highest) == [0.9, 0.5, 0.4, 0.3]
    assert len(worst.most_wrong(probabilities, labels, 99)[0]) == 5


def test_evaluate_writes_the_sheet_where_git_does_not_look(runs, tmp_path, monkeypatch, capsys):
    subprocess.run(['git', 'init', '-q', str(tmp_path)], check=True)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv('NEON_RNN_HOME', raising=False)
    seen = []
    tile = worst.Tile
    monkeypatch.setattr(
        worst, 'Tile', lambda image, texts: seen.append((image, texts)) or tile(image, texts)
    )
    assert main(['evaluate', runs['fcnn-1'], '--worst', '4']) == 0
    path = capsys.readouterr().out.splitlines()[-1].partition(':')[0]
    assert path == os.path.join(
        'results', 'own', 'worst', f'{os.path.basename(runs["fcnn-1"])}-data-test.png'
    )
    with Image.open(path) as image:
        assert image.size[0] > 4 * 160
    tracked = subprocess.run(
        ['git', 'status', '--porcelain', '-uall'], capture_output=True, text=True, check=True
    )
    assert tracked.stdout == ''
    # What the sheet says is what the model says.
    measured = trained_run.evaluate(runs['fcnn-1'])
    indices, wrong, highest = worst.most_wrong(measured.probabilities, measured.labels, 4)
    for (image, texts), index, other, value in zip(seen, indices, wrong, highest, strict=True):
        assert texts[0].startswith(f'{index}: ')
        assert texts[1] == 'label ' + ['female', 'male'][measured.labels[index]]
        assert texts[2].startswith(f'{["female", "male"][other]} {100 * value:.1f}%')
        assert ('answered right' in texts[2]) == (value < 0.5)
        expected = measured.part.read([index]).reshape(SHAPE).transpose(1, 2, 0)
        np.testing.assert_array_equal(np.asarray(image), expected)


def test_the_sheet_of_evaluate_elsewhere(runs, tmp_path, capsys):
    path = tmp_path / 'sheet.png'
    words = ['evaluate', runs['fcnn-1'], '--part', 'train', '--sheet', str(path)]
    assert main([*words, '--worst', '2']) == 0
    assert 'the 2 most wrong pictures of 10' in capsys.readouterr().out
    assert sorted(os.listdir(tmp_path)) == ['sheet.png']
    assert main(words) == 2
    assert '--worst N' in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main([*words, '--worst', '0'])
    assert 'from 1 to 600' in capsys.readouterr().err
