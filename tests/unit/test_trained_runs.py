"""What the commands do with a trained run: evaluate, predict, and train on."""

import json
import os
import shutil

import numpy as np
import pytest
from PIL import Image
from small_training import settings, write_data

from neon_rnn import engines, training
from neon_rnn.cli import main
from neon_rnn.runs import checkpoint
from neon_rnn.runs.trained_run import checkpoint_path
from neon_rnn.support import machine


@pytest.fixture
def data(tmp_path):
    return write_data(tmp_path / 'data')


def test_evaluate_and_predict(data, tmp_path, capsys):
    run = training.train(settings(data), tmp_path / 'runs')
    assert (
        main(
            [
                'evaluate',
                run.folder,
                '--json',
                str(tmp_path / 'e.json'),
                '--png',
                str(tmp_path / 'e.png'),
            ]
        )
        == 0
    )
    figures = json.loads((tmp_path / 'e.json').read_text())
    assert figures['accuracy'] == run.record['final']['accuracy']
    assert figures['confusion'] == run.record['final']['confusion']
    assert (tmp_path / 'e.png').read_bytes()[:8] == b'\x89PNG\r\n\x1a\n'
    assert 'majority baseline 50.0%' in capsys.readouterr().out

    names = ['grey with space é.png', 'palette.gif', 'rgba.png', 'cmyk.jpg', 'wide.jpg']
    modes = ['L', 'P', 'RGBA', 'CMYK', 'RGB']
    sizes = [(40, 40), (33, 50), (64, 64), (32, 32), (200, 20)]
    for name, mode, size in zip(names, modes, sizes, strict=True):
        Image.new('RGB', size, (90, 120, 150)).convert(mode).save(tmp_path / name)
    (tmp_path / 'text.jpg').write_text('no image')
    paths = [str(tmp_path / name) for name in [*names, 'text.jpg', 'missing.jpg']]
    assert main(['predict', run.folder, *paths, '-z', '2', '--json', str(tmp_path / 'p.json')]) == 1
    results = json.loads((tmp_path / 'p.json').read_text())
    assert [result['image'] for result in results] == paths
    for result in results[:5]:
        assert sum(result['probabilities'].values()) == pytest.approx(1, abs=1e-5)
        assert result['class'] == max(result['probabilities'], key=result['probabilities'].get)
    assert ['error' in result for result in results] == [False] * 5 + [True] * 2
    printed = capsys.readouterr()
    assert 'text.jpg: not an image' in printed.err
    assert printed.out.count('%') == 5


def with_class_names(folder, target, names, swapped):
    """Copy a data set under other class names, in their order; return the copy."""
    from neon_rnn.data.dataset import open_dataset
    from neon_rnn.ingest.output import PartData, write_dataset

    opened = open_dataset(folder)
    parts = {
        name: PartData(
            1 - part.labels if swapped else part.labels,
            [part.read(range(part.count))],
            [str(index) for index in range(part.count)],
            [''] * part.count,
        )
        for name, part in opened.parts.items()
    }
    described = {**opened.description, 'class_names': names, 'filters': [], 'split': 'none'}
    write_dataset(target, parts, opened.shape, described)
    return str(target)


def test_predictions_in_other_precisions(data, tmp_path, capsys):
    run = training.train(settings(data), tmp_path / 'runs')
    picture = tmp_path / 'a.png'
    pixels = np.random.RandomState(0).randint(0, 256, (32, 32, 3), np.uint8)
    Image.fromarray(pixels).save(picture)
    found = {}
    for precision in ('float32', 'float64', 'bf16'):
        out = tmp_path / (precision + '.json')
        more = ['--precision', precision, '--json', str(out)]
        assert main(['predict', run.folder, str(picture), *more]) == 0
        (found[precision],) = json.loads(out.read_text())
        assert main(['evaluate', run.folder, *more]) == 0
    exact = found['float64']['probabilities']['male']
    assert abs(found['float32']['probabilities']['male'] - exact) <= 1e-5
    assert 0 < abs(found['bf16']['probabilities']['male'] - exact) < 0.05
    capsys.readouterr()
    assert main(['evaluate', run.folder, '--precision', 'tf32']) == 2
    assert 'precision tf32 is for -b gpu' in capsys.readouterr().err


@pytest.mark.parametrize(
    ('names', 'swapped'),
    [
        (['Man', 'Woman'], True),
        (['woman', 'man'], False),
        (['F', 'M'], False),
        (['male', 'female'], True),
    ],
)
def test_other_words_for_the_classes_are_taken_and_said(data, tmp_path, capsys, names, swapped):
    ours = with_class_names(data, tmp_path / 'ours', ['female', 'male'], False)
    run = training.train(settings(ours), tmp_path / 'runs')
    theirs = with_class_names(data, tmp_path / 'theirs', names, swapped)
    written = str(tmp_path / 'e.json')
    assert main(['evaluate', run.folder, '--data', theirs, '--json', written]) == 0
    with open(written) as file:
        figures = json.load(file)
    assert figures['confusion'] == run.record['final']['confusion']
    said = 'the classes {}, {} of the data are taken as those of the run, female, male'
    assert said.format(*sorted(names)) in capsys.readouterr().out


@pytest.mark.parametrize('names', [['woman', 'dog'], ['f', 'female'], ['a', 'b']])
def test_other_classes_are_refused(data, tmp_path, capsys, names):
    ours = with_class_names(data, tmp_path / 'ours', ['female', 'male'], False)
    run = training.train(settings(ours, epochs=1), tmp_path / 'runs')
    theirs = with_class_names(data, tmp_path / 'theirs', names, False)
    assert main(['evaluate', run.folder, '--data', theirs]) == 2
    said = 'its classes are {}, those of the run female, male'.format(', '.join(names))
    assert said in capsys.readouterr().err


def test_a_compressed_checkpoint_is_refused(data, tmp_path, capsys):
    run = training.train(settings(data, epochs=1), tmp_path / 'runs')
    path = os.path.join(run.folder, 'checkpoint.npz')
    with np.load(path) as archive:
        arrays = {name: np.zeros_like(archive[name]) for name in archive.files}
        arrays['meta'] = archive['meta']
    np.savez_compressed(path, **arrays)
    assert main(['evaluate', run.folder]) == 1
    assert 'checkpoint.npz: would unpack to ' in capsys.readouterr().err


@pytest.mark.parametrize('name', ['checkpoint.npz', 'record.json'])
def test_a_file_of_the_run_names_the_run(data, tmp_path, capsys, name, monkeypatch):
    run = training.train(settings(data, epochs=1), tmp_path / 'runs')
    path = os.path.join(run.folder, name)
    assert main(['train', '--resume', path, '-e', '2']) == 0
    monkeypatch.chdir(run.folder)
    assert main(['resume', name, '-e', '3']) == 0
    assert main(['evaluate', path]) == 0
    capsys.readouterr()
    alone = tmp_path / 'alone.npz'
    shutil.copy(path, str(alone))
    for command in (['resume', str(alone)], ['evaluate', str(alone)]):
        assert main(command) == 2
        assert '{}: is a file. Name the folder of a run'.format(alone) in capsys.readouterr().err


def test_predict_prepares_photographs_as_the_training_did(tmp_path, capsys):
    from PIL import Image

    striped = np.zeros((32, 96, 3), np.uint8)
    striped[:, 32:64] = 255
    Image.fromarray(striped).save(tmp_path / 'wide.png')
    answers = []
    for fit in ('crop', 'stretch'):
        data = write_data(tmp_path / fit)
        path = os.path.join(data, 'dataset.json')
        with open(path) as file:
            description = json.load(file)
        description['preprocessing'] = {
            'height': 32,
            'width': 32,
            'fit': fit,
            'centre': 1.0,
            'filter': 'lanczos',
        }
        with open(path, 'w') as file:
            json.dump(description, file)
        run = training.train(settings(data, epochs=1), tmp_path / 'runs')
        assert main(['predict', run.folder, str(tmp_path / 'wide.png'), '--json', '-']) == 0
        answers.append(
            json.loads(capsys.readouterr().out.split('images/s\n')[-1])[0]['probability']
        )
    assert (
        answers[0] != answers[1]
    )  # the same weights, shown the white middle, or white between black


def test_a_checkpoint_of_another_model_is_named(data, tmp_path, capsys):
    run = training.train(settings(data, epochs=1), tmp_path / 'runs')
    other = training.train(settings(data, epochs=1)._replace(model='fcnn-2'), tmp_path / 'runs')
    path = os.path.join(run.folder, 'checkpoint.npz')
    shutil.copy(os.path.join(other.folder, 'checkpoint.npz'), path)
    for command in (['evaluate', run.folder], ['train', '--resume', run.folder, '-e', '2']):
        assert main(command) == 1
        assert (
            'error: {}: the weights are of another model: '.format(path) in capsys.readouterr().err
        )


@pytest.mark.parametrize(
    ('options', 'named'),
    [
        (['-z', '4'], '--batch_size'),
        (['--rng_seed', '0', '--no-shuffle'], '--rng_seed, --no-shuffle'),
        (['--model', 'rnn', '-b', 'cpu'], '--model'),
    ],
)
def test_settings_beside_resume_are_refused_and_not_passed_over(capsys, options, named):
    assert main(['train', '--resume', 'no-such-run', *options]) == 2
    assert (
        '--resume goes on with the settings of the run; {} cannot be given'.format(named)
        in capsys.readouterr().err
    )
    assert (
        main(
            [
                'train',
                '--resume',
                'no-such-run',
                '-e',
                '2',
                '--data',
                'x',
                '--engine',
                'torch',
                '-b',
                'cpu',
            ]
        )
        == 2
    )
    assert 'no-such-run: there is no such run folder' in capsys.readouterr().err


@pytest.mark.parametrize(
    'options', [['-b', 'gpu'], ['--engine', 'neon'], ['--engine', 'torch', '-b', 'numpy']]
)
def test_another_engine_or_backend_beside_resume_is_refused(data, tmp_path, capsys, options):
    run = training.train(settings(data, epochs=1), tmp_path / 'runs')
    assert main(['train', '--resume', run.folder, '-e', '2', *options]) == 2
    assert (
        'was trained by engine torch on backend cpu, and goes on with these only'
        in capsys.readouterr().err
    )
    assert main(['train', '--resume', run.folder, '-e', '2', '--engine', 'torch', '-b', 'mkl']) == 0


def test_evaluate_refuses_other_sizes_and_runs_without_checkpoint(data, tmp_path, capsys):
    run = training.train(settings(data, epochs=1), tmp_path / 'runs')
    other = write_data(tmp_path / 'other', shape=(3, 64, 64))
    assert main(['evaluate', run.folder, '--data', other]) == 2
    assert 'the run was trained on (3, 32, 32)' in capsys.readouterr().err
    os.unlink(os.path.join(run.folder, 'checkpoint.npz'))
    assert main(['evaluate', run.folder]) == 2
    assert main(['predict', run.folder, 'x.jpg']) == 2
    assert main(['train', '--resume', run.folder, '-e', '2']) == 2
    assert main(['evaluate', str(tmp_path)]) == 2
    assert main(['evaluate', run.folder, '-z', '0']) == 2
    assert main(['predict', run.folder, 'x.jpg', '-z', '-1']) == 2
    errors = capsys.readouterr().err.splitlines()
    assert [line.split(': error: ')[0] for line in errors] == [
        'neon_rnn evaluate',
        'neon_rnn predict',
        'neon_rnn train',
        'neon_rnn evaluate',
        'neon_rnn evaluate',
        'neon_rnn predict',
    ]
    assert 'checkpoint.npz' in errors[2]
    assert 'is not a run folder' in errors[3]
    assert [line.split(': error: ')[1] for line in errors[4:]] == [
        '-z 0: has to be at least 1.',
        '-z -1: has to be at least 1.',
    ]


def test_a_run_of_an_engine_that_is_not_here_names_the_way_on(data, tmp_path, monkeypatch, capsys):
    run = training.train(settings(data, epochs=1), tmp_path / 'runs')
    monkeypatch.setattr(engines, 'installed', lambda name: False)
    assert main(['train', '--resume', run.folder, '-e', '2']) == 2
    assert './run.sh resume {} --engine torch -b cpu'.format(run.folder) in capsys.readouterr().err


def test_a_resumption_takes_no_more_threads_than_there_are_cores(data, tmp_path, monkeypatch):
    run = training.train(settings(data, epochs=1, threads=2), tmp_path / 'runs')
    monkeypatch.setattr(machine, 'cores', lambda: 1)
    resumed = training.resume(run.folder, epochs=2)
    assert resumed.record['device']['threads'] == 2
    assert [each['device']['threads'] for each in resumed.record['resumed']] == [1]


def test_a_float64_training_goes_on_in_float64(data, tmp_path):
    whole = training.train(settings(data, epochs=2, precision='float64'), tmp_path / 'whole')
    broken = training.train(settings(data, epochs=1, precision='float64'), tmp_path / 'broken')
    assert checkpoint.load(checkpoint_path(broken.folder)).weights['2.W'].dtype == np.float64
    assert (
        training.resume(broken.folder, epochs=2).record['epochs'][1]['cost']
        == whole.record['epochs'][1]['cost']
    )
