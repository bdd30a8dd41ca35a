"""Decoding faster than `neon_rnn.data.images`: to the same pixels, with the same reasons."""

import concurrent.futures
import functools
import importlib.util
import itertools
import tracemalloc

import numpy as np
import pytest
from PIL import Image
from small_datasets import encoded, picture

from neon_rnn.data import images
from neon_rnn.data.images import ImageError, Preprocessing
from neon_rnn.ingest import decoding, jpeg

#: Without Numba, which the engine torch brings along, Pillow scales.
with_numba = pytest.mark.skipif(
    importlib.util.find_spec('numba') is None, reason='Numba is not installed'
)


def decode(data, preprocessing):
    """What an import of many files makes of a file."""
    return decoding.decode(data, preprocessing, decoding.compiled_resize())


def noise(size, mode='RGB', seed=0):
    """A picture with hard edges and noise, where every rounding shows."""
    width, height = size
    random = np.random.RandomState(seed)
    pixels = np.asarray(picture(seed, size)) + random.randint(-60, 61, (height, width, 3))
    return Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).convert(mode)


def by_pillow(data, preprocessing):
    """What an import made of a file by Pillow alone, with the check for damage behind it."""
    decoded = images.decode_sized(data, preprocessing)
    jpeg.check(data)
    return decoded


def outcome(function, *arguments):
    try:
        pixels, size = function(*arguments)
    except ImageError as error:
        return error.reason, error.detail
    assert pixels.flags.c_contiguous
    return pixels.shape, pixels.tobytes(), size


@pytest.mark.parametrize('progressive', [False, True])
@pytest.mark.parametrize('subsampling', [0, 1, 2, '4:1:1'])
def test_jpeg_pixels_are_those_of_pillow(subsampling, progressive):
    for size, shrink, restart, (mode, options) in itertools.product(
        [(200, 200), (201, 199), (17, 131)],
        [1, 2, 4, 8],
        [0, 3],
        [('RGB', {'subsampling': subsampling}), ('L', {})],
    ):
        data = encoded(
            noise(size, mode),
            progressive=progressive,
            quality=85,
            restart_marker_blocks=restart,
            **options,
        )
        image = Image.open(images.BoundedFile(data))
        image.draft('RGB', tuple(side // shrink for side in size))
        np.testing.assert_array_equal(jpeg.read(data, image.size), np.asarray(image.convert('RGB')))


@pytest.mark.parametrize('orientation', range(1, 9))
def test_every_orientation_gives_the_same_pixels(orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = encoded(noise((150, 90)), exif=exif)
    for preprocessing in (Preprocessing(64, 48), Preprocessing(32, 32, 'stretch')):
        assert outcome(decode, data, preprocessing) == outcome(by_pillow, data, preprocessing)


@pytest.mark.parametrize(
    'data',
    [
        encoded(noise((150, 90), 'CMYK')),
        encoded(noise((150, 90)), keep_rgb=True),
        encoded(noise((150, 90)), 'MPO'),
        encoded(noise((150, 90)), 'PNG'),
        encoded(noise((150, 90), 'RGBA'), 'PNG'),
        encoded(noise((150, 90), 'P'), 'GIF'),
        encoded(noise((900, 700))),
        encoded(noise((900, 700)), 'PNG'),
        b'no picture',
        encoded(noise((15, 90))),
    ],
    ids=['CMYK', 'RGB', 'MPO', 'PNG', 'RGBA', 'GIF', 'large', 'large PNG', 'none', 'small'],
)
def test_every_kind_of_file_gives_the_same(data):
    for preprocessing in (
        Preprocessing(64, 64),
        Preprocessing(40, 70, 'stretch', 0.7),
        Preprocessing(90, 150),
    ):
        assert outcome(decode, data, preprocessing) == outcome(by_pillow, data, preprocessing)


def test_damage_is_refused_for_the_reason_that_pillow_and_libjpeg_give():
    sound = encoded(noise((120, 120)), quality=90)
    damaged = [sound[:length] for length in range(0, len(sound), 331)] + [sound[:-1], sound[:-2]]
    for place in range(20, len(sound) - 600, 409):
        damaged.append(sound[:place] + bytes(300) + sound[place + 300 :])
        damaged.append(sound[:place] + sound[place + 7 :])
    reasons = set()
    for data in damaged:
        found = outcome(decode, data, Preprocessing(64, 64))
        assert found == outcome(by_pillow, data, Preprocessing(64, 64))
        reasons.add(found[0])
    assert {images.NOT_AN_IMAGE, images.DAMAGED, jpeg.CORRUPT} < reasons


def test_a_sound_jpeg_file_is_decoded_once(monkeypatch):
    monkeypatch.setattr('neon_rnn.ingest.jpeg.check', lambda data: pytest.fail('decoded again'))
    monkeypatch.setattr(
        'PIL.JpegImagePlugin.JpegImageFile.load', lambda self: pytest.fail('decoded by Pillow')
    )
    for mode in ('RGB', 'L'):
        assert decode(encoded(noise((100, 80), mode)), Preprocessing(64, 64))[1] == (80, 100)


def test_pixels_beyond_the_size_of_the_header_are_not_decoded():
    data = encoded(noise((100, 80)))
    tracemalloc.start()
    try:
        assert jpeg.read(data, (100, 79)) is None
        assert tracemalloc.get_traced_memory()[1] < 1.5 * 100 * 80 * 3  # one buffer, not two
    finally:
        tracemalloc.stop()
    assert jpeg.read(data, (100, 80)).shape == (80, 100, 3)


def resize(*arguments):
    return importlib.import_module('neon_rnn.ingest.lanczos').resize(*arguments)


@with_numba
def test_lanczos_gives_the_pixels_of_pillow():
    random, left_to_pillow = np.random.RandomState(0), 0
    for number in range(150):
        width, height, *size = (int(side) for side in random.randint(8, 300, 4))
        if number % 4 == 0:
            size[0] = width  # no scaling in this direction
        pixels = random.randint(0, 256, (height, width, 3))
        if number % 2:  # black and white, where the filter runs over
            pixels = pixels // 128 * 255
        image = Image.fromarray(pixels.astype(np.uint8))
        box = (0, 0, width, height) if number % 3 else (2, 1, width - 1, height - 3)
        given = image if number % 5 else pixels.astype(np.uint8)
        found = resize(given, box, tuple(size))
        left_to_pillow += found is None
        if found is not None:
            expected = np.asarray(image.crop(box).resize(size, Image.Resampling.LANCZOS))
            np.testing.assert_array_equal(found, expected.transpose(2, 0, 1))
    assert left_to_pillow < 5


@with_numba
def test_lanczos_leaves_to_pillow_what_it_cannot_do_exactly():
    assert resize(Image.new('RGB', (310, 34)), (0, 0, 310, 34), (34, 34)) is None
    assert resize(Image.new('RGB', (1025, 1024)), (0, 0, 1025, 1024), (64, 64)) is None
    data = encoded(noise((310, 40)), 'PNG')
    for preprocessing in (Preprocessing(40, 34, 'stretch'), Preprocessing(34, 34)):
        assert outcome(decode, data, preprocessing) == outcome(by_pillow, data, preprocessing)


def test_files_are_loaded_to_the_same_pixels_in_several_threads(tmp_path):
    """Damaged ones too, which an import refuses and `predict` has always taken."""
    sound = encoded(noise((200, 180)), quality=90)
    damaged = sound[:3000] + bytes(40) + sound[3040:]
    with pytest.raises(ImageError):
        decode(damaged, Preprocessing(64, 64))
    files = {
        'sound.jpg': sound,
        'damaged.jpg': damaged,
        'cut.jpg': sound[: len(sound) // 2],
        'grey.jpg': encoded(noise((90, 70), 'L')),
        'other.png': encoded(noise((90, 170), 'RGBA'), 'PNG'),
        'none.jpg': b'no picture',
    }
    for name, data in files.items():
        (tmp_path / name).write_bytes(data)

    def loaded(function, name):
        try:
            return function(tmp_path / name, Preprocessing(64, 48)).tobytes()
        except ImageError as error:
            return error.reason, error.detail

    names = [*files] * 20
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        found = list(pool.map(functools.partial(loaded, decoding.load), names))
    assert found == [loaded(images.load, name) for name in names]


def test_without_numba_pillow_scales(monkeypatch):
    monkeypatch.setattr('importlib.util.find_spec', lambda name: None)
    decoding.compiled_resize.cache_clear()
    try:
        assert decoding.compiled_resize() is None
        data = encoded(noise((150, 90)))
        expected = outcome(by_pillow, data, Preprocessing(64, 48))
        assert outcome(decode, data, Preprocessing(64, 48)) == expected
    finally:
        decoding.compiled_resize.cache_clear()


def test_reading_a_small_file_takes_little_memory(tmp_path):
    (tmp_path / 'a.jpg').write_bytes(bytes(1000))
    tracemalloc.start()
    try:
        assert images.read(tmp_path / 'a.jpg') == bytes(1000)
        assert tracemalloc.get_traced_memory()[1] < 1 << 20
    finally:
        tracemalloc.stop()
