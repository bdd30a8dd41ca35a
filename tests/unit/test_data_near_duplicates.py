"""Near copies: what counts as one, which copy stays, and what the user is told."""

import io

import numpy as np
import pytest
from PIL import Image, ImageEnhance
from small_datasets import class_folders, encoded, part_data, picture, pixels

from neon_rnn.cli import main
from neon_rnn.data.dataset import open_dataset
from neon_rnn.ingest import selection
from neon_rnn.ingest.near_duplicates import near_groups, signature
from neon_rnn.ingest.output import PartData, write_dataset


def groups(images):
    rows = np.stack([np.asarray(image).transpose(2, 0, 1) for image in images])
    found = near_groups(
        np.stack([signature(row) for row in rows]),
        lambda pair: rows[pair].reshape(len(pair), -1),
    )
    return [group for group in found if len(group) > 1]


def saved(image, **options):
    return Image.open(io.BytesIO(encoded(image, **options))).convert('RGB')


@pytest.mark.parametrize(
    'copy',
    [
        lambda image: saved(image, quality=60),
        lambda image: image.point(lambda value: min(255, value + 2)),
        lambda image: image.resize((40, 40)).resize(image.size),
        lambda image: ImageEnhance.Brightness(image).enhance(0.97),
    ],
)
def test_copies_are_found_among_others(copy):
    images = [picture(seed, (64, 64)) for seed in range(30)]
    assert groups(images) == []
    assert groups([*images, copy(images[11]), copy(images[4])]) == [[4, 31], [11, 30]]


def test_pictures_with_little_contrast_are_told_apart():
    dark = [picture(seed, (64, 64)).point(lambda value: value // 40) for seed in range(12)]
    assert groups(dark) == []
    flat = [Image.new('RGB', (64, 64), (level, level, level)) for level in (0, 1, 2)]
    assert groups([*dark, *flat]) == []


def test_many_copies_of_one_picture_need_few_looks():
    image = np.asarray(picture(5, (16, 16))).transpose(2, 0, 1)
    rows = np.stack([image ^ np.uint8(number % 2) for number in range(300)])
    looks = []

    def read(pair):
        looks.append(pair)
        return rows[pair].reshape(2, -1)

    assert near_groups(np.stack([signature(row) for row in rows]), read) == [list(range(300))]
    assert len(looks) == 299


def test_nothing_and_one_picture():
    assert near_groups(np.empty((0, 64), np.uint8), None) == []
    assert near_groups(np.zeros((1, 64), np.uint8), None) == [[0]]


def drops(folder):
    filters = open_dataset(folder).description['filters']
    return {entry['reason']: entry['dropped'] for entry in filters if entry['dropped']}


def test_the_import_drops_near_copies_under_their_own_reasons(tmp_path):
    root = class_folders(tmp_path / 'photos', per_class=8)
    for name, source, quality in (
        ('female/again.jpg', 'female/003.jpg', 55),
        ('female/more.jpg', 'female/003.jpg', 40),
        ('male/other.jpg', 'female/005.jpg', 55),
    ):
        with Image.open(root / source) as image:
            image.save(root / name, quality=quality)
    command = ['data', 'folder', str(root), '--size', '32', '--workers', '1']
    assert main([*command, '--out', str(tmp_path / 'set')]) == 0
    assert drops(tmp_path / 'set') == {
        selection.NEAR_DUPLICATE: 2,
        selection.NEAR_CONTRADICTORY: 2,
    }
    listed = (tmp_path / 'set/dropped.csv').read_text()
    assert 'female/again.jpg,female/003.jpg' in listed
    assert 'male/other.jpg,female/005.jpg' in listed
    assert main([*command, '--out', str(tmp_path / 'all'), '--keep-near-duplicates']) == 0
    assert drops(tmp_path / 'all') == {}


def test_verify_counts_near_copies_across_the_split(tmp_path, capsys):
    shape = (3, 8, 8)
    near = pixels(10, shape, 0)[[2, 7, 8]]
    test = np.concatenate([pixels(3, shape, 1), near ^ np.uint8(1)])
    parts = {
        'train': part_data(10, shape, 0),
        'test': PartData(np.arange(6) % 2, [test], [f'test {k}' for k in range(6)], [''] * 6),
    }
    description = {
        'name': 'near',
        'source': 'test',
        'kind': 'photographs',
        'class_names': ['female', 'male'],
        'filters': [],
        'split': '',
        'seed': 0,
        'note': '',
    }
    write_dataset(tmp_path / 'set', parts, shape, description)
    assert main(['data', 'verify', str(tmp_path / 'set')]) == 0
    out = capsys.readouterr().out
    assert (
        'NEAR COPIES: 3 pictures of test are near copies of pictures of train, '
        'such as test 3 of image 2' in out
    )
