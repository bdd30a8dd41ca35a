"""The demo portraits and what ``data show`` makes of them."""

import numpy as np
import pytest
from PIL import Image

from neon_rnn.cli import main
from neon_rnn.data.dataset import open_dataset
from neon_rnn.ingest.portraits import Traits, draw_portrait


@pytest.fixture(scope='module')
def demo(tmp_path_factory):
    folder = tmp_path_factory.mktemp('data') / 'demo'
    assert (
        main(
            [
                'data',
                'demo',
                '--out',
                str(folder),
                '--train',
                '40',
                '--test',
                '12',
                '--workers',
                '1',
            ]
        )
        == 0
    )
    return folder


def test_a_portrait_is_fixed_by_seed_and_number():
    first = draw_portrait(0, 1, 2)
    assert (first.shape, first.dtype) == ((3, 128, 128), np.uint8)
    np.testing.assert_array_equal(first, draw_portrait(0, 1, 2))
    for label, seed, index in ((1, 1, 2), (0, 2, 2), (0, 1, 3)):
        assert np.any(first != draw_portrait(label, seed, index))
    assert draw_portrait(1, 0, 0, size=64).shape == (3, 64, 64)


def test_classes_overlap_in_every_trait():
    drawn = [
        [Traits.sample(label, np.random.RandomState([label, index])) for index in range(600)]
        for label in (0, 1)
    ]
    for name in ('long_hair', 'beard', 'bald', 'earrings'):
        often, seldom = sorted(
            np.mean([bool(getattr(traits, name)) for traits in of]) for of in drawn
        )
        assert 0 < often < seldom < 1
    for name in ('brow', 'lips', 'jaw', 'shoulders'):
        values = [[getattr(traits, name) for traits in of] for of in drawn]
        assert max(map(min, values)) < min(map(max, values))


def test_the_data_set_is_honest_balanced_and_reproducible(demo, tmp_path):
    dataset = open_dataset(demo)
    assert (dataset.description['kind'], dataset.description['source']) == ('synthetic', 'demo')
    assert 'not photographed' in dataset.description['note']
    assert dataset.description['counts'] == {
        'train': {'female': 20, 'male': 20},
        'test': {'female': 6, 'male': 6},
    }
    assert not np.array_equal(dataset.train.labels, np.sort(dataset.train.labels))
    np.testing.assert_array_equal(
        dataset.test.read([3])[0], draw_portrait(int(dataset.test.labels[3]), 0, 43).ravel()
    )
    assert (
        main(
            [
                'data',
                'demo',
                '--out',
                str(tmp_path / 'demo'),
                '--train',
                '40',
                '--test',
                '12',
                '--workers',
                '2',
            ]
        )
        == 0
    )
    for name in ('train.h5', 'test.h5', 'dataset.json'):
        assert (demo / name).read_bytes() == (tmp_path / 'demo' / name).read_bytes()


def test_no_portrait_is_drawn_twice(demo):
    dataset = open_dataset(demo)
    rows = np.concatenate([part.read(range(part.count)) for part in dataset.parts.values()])
    assert len(np.unique(rows, axis=0)) == 52


def test_the_same_portraits_are_drawn_again_other_ones_only_by_force(tmp_path, capsys):
    command = [
        'data',
        'demo',
        '--out',
        str(tmp_path / 'demo'),
        '--train',
        '5',
        '--test',
        '2',
        '--size',
        '16',
        '--workers',
        '1',
    ]
    assert main(command) == 0
    drawn = (tmp_path / 'demo/train.h5').read_bytes()
    (tmp_path / 'demo/train.h5').write_bytes(b'damaged')
    assert main(command) == 0
    assert (tmp_path / 'demo/train.h5').read_bytes() == drawn
    for other in (['--seed', '1'], ['--train', '6'], ['--size', '17']):
        assert main(command + other) == 2
        assert (
            "holds the data set 'demo' (demo, synthetic; test 2, train 5), which would be lost"
            in capsys.readouterr().err
        )
    assert (tmp_path / 'demo/train.h5').read_bytes() == drawn
    assert main([*command, '--seed', '1', '--force']) == 0
    assert (tmp_path / 'demo/train.h5').read_bytes() != drawn


@pytest.mark.parametrize(
    'options',
    [['--train', '1'], ['--test', '0'], ['--size', '8'], ['--seed', '-1'], ['--workers', '0']],
)
def test_wrong_numbers(tmp_path, options, capsys):
    assert main(['data', 'demo', '--out', str(tmp_path / 'demo'), *options]) == 2
    assert 'error:' in capsys.readouterr().err
    assert not (tmp_path / 'demo').exists()


def test_show_prints_counts_and_writes_a_sheet(demo, tmp_path, capsys):
    sheet = tmp_path / 'sheet.png'
    assert main(['data', 'show', str(demo), '--sheet', str(sheet)]) == 0
    out = capsys.readouterr().out
    assert 'synthetic' in out
    assert '40  train: 20 female, 20 male' in out
    with Image.open(sheet) as image:
        pixels = np.asarray(image.convert('RGB'))
    assert pixels.shape[1] == 16 * 66
    # The notice that the pictures are drawn is red; the first picture is where it belongs.
    red, green, blue = pixels[:18].astype(int).transpose(2, 0, 1)
    assert np.any(red - np.maximum(green, blue) > 100)
    assert pixels[60:100, :60].std() > 5
    assert main(['data', 'show', str(tmp_path / 'nowhere')]) == 2


def test_unknown_source_and_help(capsys):
    with pytest.raises(SystemExit) as caught:
        main(['data', 'imagenet'])
    assert caught.value.code == 2
    for arguments in (['data', '--help'], ['data', 'demo', '--help'], ['data', 'folder', '--help']):
        with pytest.raises(SystemExit) as caught:
            main(arguments)
        assert caught.value.code == 0
    assert '--test-fraction' in capsys.readouterr().out


def test_a_validation_part(tmp_path):
    words = ['--train', '6', '--test', '4', '--size', '32', '--workers', '1']
    assert main(['data', 'demo', '--out', str(tmp_path / 'with'), '--val', '2', *words]) == 0
    assert main(['data', 'demo', '--out', str(tmp_path / 'plain'), *words]) == 0
    with_val, plain = (open_dataset(tmp_path / name) for name in ('with', 'plain'))
    assert with_val.description['counts']['val'] == {'female': 1, 'male': 1}
    assert list(plain.parts) == ['train', 'test']
    for part in ('train', 'test'):
        assert with_val.sha256()[part + '.h5'] == plain.sha256()[part + '.h5']
