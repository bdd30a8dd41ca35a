"""The image decoder: every mode becomes RGB as documented, and no hostile file gets through."""

import struct
import zlib

import numpy as np
import pytest
from PIL import Image
from small_datasets import encoded, picture

from neon_rnn.data import images
from neon_rnn.data.images import ImageError, Preprocessing, decode, load
from neon_rnn.data.orientation import orientation
from neon_rnn.support.errors import UsageError

SMALL = Preprocessing(32, 32)


def halves(mode='RGB', left=(255, 0, 0), right=(0, 0, 255), size=(64, 64)):
    """A picture with a left and a right colour."""
    image = Image.new(mode, size, left)
    image.paste(right, (size[0] // 2, 0, size[0], size[1]))
    return image


def corners(array):
    """The colours in the four corners: top left, top right, bottom left, bottom right."""
    return [tuple(int(value) for value in array[:, y, x]) for y in (0, -1) for x in (0, -1)]


def png_header(width, height):
    """A PNG that claims a size and holds next to nothing."""

    def chunk(name, data):
        return (
            struct.pack('>I', len(data)) + name + data + struct.pack('>I', zlib.crc32(name + data))
        )

    return (
        b'\x89PNG\r\n\x1a\n'
        + chunk(b'IHDR', struct.pack('>IIBBBBB', width, height, 8, 2, 0, 0, 0))
        + chunk(b'IDAT', zlib.compress(b'\0' * 1000))
        + chunk(b'IEND', b'')
    )


def test_layout_is_channels_height_width():
    array = decode(encoded(halves(), 'PNG'), SMALL)
    assert (array.shape, array.dtype, array.flags.c_contiguous) == ((3, 32, 32), np.uint8, True)
    assert corners(array) == [(255, 0, 0), (0, 0, 255)] * 2


def test_an_image_of_the_right_size_is_not_touched():
    image = picture(size=(32, 32))
    np.testing.assert_array_equal(
        decode(encoded(image, 'PNG'), SMALL), np.asarray(image).transpose(2, 0, 1)
    )


@pytest.mark.parametrize(
    ('image', 'expected'),
    [
        (halves('L', 0, 200), [(0, 0, 0), (200, 200, 200)]),
        (halves('1', 0, 1), [(0, 0, 0), (255, 255, 255)]),
        (halves().convert('P'), [(255, 0, 0), (0, 0, 255)]),
        (halves('LA', (10, 255), (10, 0)), [(10, 10, 10), (255, 255, 255)]),
        (halves('RGBA', (255, 0, 0, 255), (0, 0, 255, 0)), [(255, 0, 0), (255, 255, 255)]),
        (
            Image.fromarray(
                np.repeat(np.array([[0, 65535]], np.uint16), 32, axis=1).repeat(64, axis=0)
            ),
            [(0, 0, 0), (255, 255, 255)],
        ),
    ],
)
def test_modes_become_rgb(image, expected):
    assert corners(decode(encoded(image, 'PNG'), SMALL)) == expected * 2


def test_cmyk_and_tiff_and_gif_with_transparency():
    cmyk = decode(encoded(halves('CMYK', (0, 255, 255, 0), (255, 255, 0, 0)), quality=100), SMALL)
    np.testing.assert_allclose(corners(cmyk), [(255, 0, 0), (0, 0, 255)] * 2, atol=6)
    floats = Image.fromarray(np.zeros((64, 64), np.float32))
    with pytest.raises(ImageError, match='no known range'):
        decode(encoded(floats, 'TIFF'), SMALL)
    palette = halves().convert('P')
    transparent = palette.getpixel((63, 0))
    assert (
        corners(decode(encoded(palette, 'GIF', transparency=transparent), SMALL))
        == [(255, 0, 0), (255, 255, 255)] * 2
    )


@pytest.mark.parametrize(
    ('orientation', 'expected'),
    [
        # The corners of the upright picture, found from a file whose pixels read 1 2 / 3 4.
        (1, '1234'),
        (2, '2143'),
        (3, '4321'),
        (4, '3412'),
        (5, '1324'),
        (6, '3142'),
        (7, '4231'),
        (8, '2413'),
    ],
)
def test_exif_orientation_is_applied(orientation, expected):
    image = Image.new('RGB', (64, 64))
    colours = {'1': (255, 0, 0), '2': (0, 255, 0), '3': (0, 0, 255), '4': (255, 255, 255)}
    for number, place in zip('1234', ((0, 0), (32, 0), (0, 32), (32, 32)), strict=True):
        image.paste(colours[number], (*place, place[0] + 32, place[1] + 32))
    exif = Image.Exif()
    exif[0x0112] = orientation
    array = decode(encoded(image, 'PNG', exif=exif), SMALL)
    assert corners(array) == [colours[number] for number in expected]


def test_damaged_exif_costs_no_photograph():
    data = encoded(picture(), exif=b'Exif\0\0II*\0\xff\xff\xff\xff\1\2\3')
    assert decode(data, SMALL).shape == (3, 32, 32)


def test_crop_stretch_and_centre():
    wide = Image.new('RGB', (128, 64), (0, 255, 0))
    wide.paste((255, 0, 0), (0, 0, 32, 64))
    wide.paste((0, 0, 255), (96, 0, 128, 64))
    data = encoded(wide, 'PNG')
    assert corners(decode(data, SMALL)) == [(0, 255, 0)] * 4
    assert corners(decode(data, Preprocessing(32, 32, 'stretch'))) == [(255, 0, 0), (0, 0, 255)] * 2
    framed = Image.new('RGB', (64, 64), (255, 255, 255))
    framed.paste((9, 9, 9), (16, 16, 48, 48))
    np.testing.assert_array_equal(
        decode(encoded(framed, 'PNG'), Preprocessing(32, 32, centre=0.5)), 9
    )


def test_preprocessing_survives_its_description():
    chosen = Preprocessing(64, 96, 'stretch', 0.75)
    assert Preprocessing.of(chosen.describe()) == chosen
    for wrong in (
        {'height': 4},
        {'width': 5000},
        {'fit': 'tile'},
        {'centre': 0.0},
        {'centre': 1.5},
    ):
        with pytest.raises(UsageError):
            Preprocessing(**wrong)


@pytest.mark.parametrize(
    ('data', 'reason'),
    [
        (b'', images.NOT_AN_IMAGE),
        (b'just text', images.NOT_AN_IMAGE),
        (encoded(picture())[:300], images.DAMAGED),
        (encoded(picture())[:700], images.DAMAGED),
        (encoded(picture(), 'PNG')[:-200], images.DAMAGED),
        (encoded(picture(size=(1, 1)), 'PNG'), images.TOO_SMALL),
        (encoded(picture(size=(300, 15))), images.TOO_SMALL),
        (encoded(picture(), 'ICO'), images.NOT_AN_IMAGE),
        (png_header(64, 64), images.DAMAGED),
        (png_header(20000, 20000), images.TOO_LARGE),
        (png_header(9000, 8000), images.TOO_LARGE),
        (png_header(2**31 - 1, 2**31 - 1), images.TOO_LARGE),
    ],
)
def test_what_is_no_usable_image_says_why(data, reason):
    with pytest.raises(ImageError) as caught:
        decode(data, SMALL)
    assert caught.value.reason == reason


def test_a_bomb_is_refused_before_its_pixels_are_decoded(monkeypatch):
    monkeypatch.setattr(Image.Image, 'load', lambda self: pytest.fail('decoded'))
    with pytest.raises(ImageError, match='9000x8000'):
        decode(png_header(9000, 8000), SMALL)


def test_every_truncation_is_refused_or_whole():
    """No cut of a JPEG may pass as a picture with a grey rest."""
    data = encoded(picture(), quality=90)
    whole = decode(data, SMALL)
    for length in range(0, len(data), 37):
        with pytest.raises(ImageError):
            decode(data[:length], SMALL)
    np.testing.assert_array_equal(decode(data + b'rubbish', SMALL), whole)


def test_files_that_cannot_be_read(tmp_path):
    for path in (tmp_path / 'missing.jpg', tmp_path):
        with pytest.raises(ImageError) as caught:
            load(path, SMALL)
        assert caught.value.reason == images.UNREADABLE
    path = tmp_path / 'photo\N{LATIN SMALL LETTER E WITH ACUTE} \N{CJK UNIFIED IDEOGRAPH-5973}.jpg'
    path.write_bytes(encoded(picture()))
    assert load(path, SMALL).shape == (3, 32, 32)


def test_a_huge_file_is_not_read(tmp_path, monkeypatch):
    monkeypatch.setattr(images, 'MAX_BYTES', 100)
    (tmp_path / 'a.jpg').write_bytes(encoded(picture()))
    with pytest.raises(ImageError) as caught:
        load(tmp_path / 'a.jpg', SMALL)
    assert caught.value.reason == images.TOO_LARGE


@pytest.mark.parametrize('orientation', range(1, 9))
@pytest.mark.parametrize('format', ['TIFF', 'JPEG', 'PNG', 'WEBP'])
def test_every_orientation_of_every_format_is_applied_once(orientation, format):
    """The upright picture has a red corner at the top left and a green one at the top right."""
    upright = Image.new('RGB', (96, 64), (0, 0, 0))
    upright.paste((255, 0, 0), (0, 0, 48, 32))
    upright.paste((0, 255, 0), (48, 0, 96, 32))
    turns = {
        1: [],
        2: [Image.Transpose.FLIP_LEFT_RIGHT],
        3: [Image.Transpose.ROTATE_180],
        4: [Image.Transpose.FLIP_TOP_BOTTOM],
        5: [Image.Transpose.TRANSPOSE],
        6: [Image.Transpose.ROTATE_90],
        7: [Image.Transpose.TRANSVERSE],
        8: [Image.Transpose.ROTATE_270],
    }
    stored = upright
    for turn in turns[orientation]:
        stored = stored.transpose(turn)
    exif = Image.Exif()
    exif[0x0112] = orientation
    options = {'lossless': True} if format == 'WEBP' else {}
    data = encoded(stored, format, exif=exif, **options)
    array, size = images.decode_sized(data, Preprocessing(32, 32, 'stretch'))
    assert size == (64, 96)
    wanted = [(255, 0, 0), (0, 255, 0), (0, 0, 0), (0, 0, 0)]
    np.testing.assert_allclose(corners(array), wanted, atol=12)


def test_the_size_is_that_of_the_file_not_of_the_scaled_down_decoding():
    data = encoded(picture(size=(640, 480)))
    assert images.decode_sized(data, SMALL)[1] == (480, 640)


def test_an_old_pillow_leaves_tiff_files_to_us():
    class OldImage:
        tag_v2 = {0x0112: 6}

    class OldJpeg:
        def _getexif(self):
            return {0x0112: 8}

    assert orientation(OldImage()) == 6
    assert orientation(OldJpeg()) == 8
    assert orientation(object()) == 1


def chunk(kind, data=b''):
    checksum = zlib.crc32(kind + data)
    return struct.pack('>I', len(data)) + kind + data + struct.pack('>I', checksum)


JPEG, PNG, GIF = (encoded(picture(), form) for form in ('JPEG', 'PNG', 'GIF'))
PIXELS = bytes(64 * 48 * 3)


@pytest.mark.parametrize(
    'data',
    [
        JPEG[:2] + b'\xff\xfe\0\2' * 100000 + JPEG[2:],
        JPEG[:2] + (b'\xff\xe1\xff\xffExif\0\0' + bytes(65527)) * 600 + JPEG[2:],
        JPEG[:2] + b'\xff' * 100000 + JPEG[2:],
        PNG[:33] + chunk(b'zzZz') * 100000 + PNG[33:],
        PNG[:33] + chunk(b'IDAT') * 100000 + PNG[33:],
        PNG[:-12] + chunk(b'zzZz') * 100000 + PNG[-12:],
        GIF[:781] + b'\x21\xfe\1a\0' * 100000 + GIF[781:],
        b'P6\n#' + b'a' * 100000 + b'\n64 48\n255\n' + PIXELS,
    ],
    ids=['segments', 'exif', 'fill', 'chunks', 'idat', 'behind', 'comments', 'ppm'],
)
def test_a_file_of_countless_pieces_is_refused(data):
    with pytest.raises(ImageError) as caught:
        decode(data, Preprocessing(32, 32))
    assert caught.value.reason == images.TOO_COSTLY


def test_a_file_of_many_scans_is_refused_by_their_pixels(monkeypatch):
    data = encoded(picture(size=(400, 300)), progressive=True)
    scans = data.count(b'\xff\xda')
    assert scans == 10
    monkeypatch.setattr(images, 'MAX_PIXELS', 400 * 300)
    monkeypatch.setattr(images, 'MAX_SCANS', 10)
    assert decode(data, Preprocessing(32, 32)).shape == (3, 32, 32)
    monkeypatch.setattr(images, 'MAX_SCANS', 9)
    with pytest.raises(ImageError) as caught:
        decode(data, Preprocessing(32, 32))
    assert (caught.value.reason, caught.value.detail) == (images.TOO_COSTLY, '10 scans')


@pytest.mark.parametrize('format', ['JPEG', 'PNG', 'GIF', 'BMP', 'TIFF', 'WEBP', 'PPM'])
def test_a_photograph_of_a_camera_is_not_too_costly(format):
    """Of 12 million pixels, noise in it, with profiles and comments as cameras write them."""
    noise = np.random.RandomState(0).randint(0, 256, (300, 400, 3)).astype(np.uint8)
    image = Image.fromarray(np.tile(noise, (10, 10, 1)))
    extra = {
        'JPEG': {'icc_profile': bytes(255 * 65000), 'comment': b'x' * 60000},
        'WEBP': {'method': 0},
    }
    data = encoded(image, format, **extra.get(format, {}))
    assert decode(data, Preprocessing(32, 32)).shape == (3, 32, 32)
