"""Photographs to arrays, defensively and the same way for every data set and for prediction.

The steps, in this order: the header is read and checked (format, pixel limit, smallest side); the JPEG decoder may
scale down by a power of two as long as twice the wanted size remains; the EXIF orientation is applied; the image
becomes 8-bit RGB (transparency over white, grey-scale repeated in the three channels); the central part is cut out; it
is resized with the Lanczos filter.
"""

import collections
import io
import os
import warnings

import numpy as np
from PIL import Image, ImageFile

from neon_rnn.support.errors import NeonRnnError, UsageError

#: More pixels than this are not decoded: 64 million, above any camera the data sets know, 192 MB as RGB.
MAX_PIXELS = 64000000
#: A file of more bytes than this is not read.
MAX_BYTES = 256 << 20
#: A shorter side than this is a placeholder or a thumbnail, no photograph.
MIN_SIDE = 16
FORMATS = ('JPEG', 'PNG', 'BMP', 'GIF', 'WEBP', 'TIFF', 'PPM')

#: The reasons for which an image is not used.
NOT_AN_IMAGE = 'not an image of a supported format'
DAMAGED = 'truncated or damaged image'
TOO_LARGE = 'more than {} million pixels'.format(MAX_PIXELS // 1000000)
TOO_SMALL = 'smaller than {} pixels'.format(MIN_SIDE)
UNREADABLE = 'file cannot be read'

_EXIF_ORIENTATION = 0x0112
#: What turns a picture of each EXIF orientation upright. Pillow 4 has no TRANSVERSE (7), so it is made of two, and the
#: names of the constants moved between versions, so they are looked up.
_TRANSPOSITIONS = {
    orientation: [getattr(Image, name) for name in names]
    for orientation, names in {
        2: ['FLIP_LEFT_RIGHT'],
        3: ['ROTATE_180'],
        4: ['FLIP_TOP_BOTTOM'],
        5: ['TRANSPOSE'],
        6: ['ROTATE_270'],
        7: ['TRANSPOSE', 'ROTATE_180'],
        8: ['ROTATE_90'],
    }.items()
}


class ImageError(NeonRnnError):
    """An image that cannot be used; `reason` is one of the reasons above, the message has the detail."""

    def __init__(self, reason, detail=''):
        super().__init__('{} ({})'.format(reason, detail) if detail else reason)
        self.reason, self.detail = reason, detail


class Preprocessing(collections.namedtuple('Preprocessing', 'height width fit centre')):
    """How a photograph becomes an array; kept in ``dataset.json`` so that prediction does the same.

    Parameters
    ----------
    height, width : int
    fit : str
        ``'crop'``: the largest central rectangle of the wanted proportions. ``'stretch'``: the whole image.
    centre : float
        Share of each side to keep before that, around the middle; less than 1 removes a margin around a face.

    Raises
    ------
    UsageError
        A value is out of range.
    """

    __slots__ = ()

    def __new__(cls, height=128, width=128, fit='crop', centre=1.0):
        if not (8 <= height <= 1024 and 8 <= width <= 1024):
            raise UsageError(
                'an image size of {}x{} cannot be made; sides run from 8 to 1024.'.format(
                    height, width
                )
            )
        if fit not in ('crop', 'stretch'):
            raise UsageError("fit {!r} is not known; it is 'crop' or 'stretch'.".format(fit))
        if not 0.1 <= centre <= 1.0:
            raise UsageError(
                'centre {} is out of range; it is the share of each side to keep, 0.1 to 1.'.format(
                    centre
                )
            )
        return super().__new__(cls, height, width, fit, centre)

    def describe(self):
        """A dict for ``dataset.json``; ``Preprocessing.of`` reads it back."""
        return dict(self._asdict(), filter='lanczos')

    @classmethod
    def of(cls, description):
        """From ``dataset.json``'s ``preprocessing``."""
        return cls(*(description[name] for name in cls._fields))


def load(path, preprocessing):
    """Decode an image file.

    Parameters
    ----------
    path : str or os.PathLike
    preprocessing : Preprocessing

    Returns
    -------
    numpy.ndarray
        uint8 (3, height, width), RGB.

    Raises
    ------
    ImageError
        It cannot be used.
    """
    try:
        if not os.path.isfile(str(path)):
            raise ImageError(UNREADABLE, 'missing, or no regular file')
        with open(str(path), 'rb') as file:
            data = file.read(MAX_BYTES + 1)
    except (OSError, ValueError) as error:
        raise ImageError(UNREADABLE, getattr(error, 'strerror', None) or str(error)) from error
    if len(data) > MAX_BYTES:
        raise ImageError(TOO_LARGE, 'the file has more than {} MiB'.format(MAX_BYTES >> 20))
    return decode(data, preprocessing)


def decode(data, preprocessing):
    """Decode the bytes of an image file; see `load`."""
    with warnings.catch_warnings():
        # Pillow warns about odd metadata and, from a size above MAX_PIXELS, about size; both are judged here.
        warnings.simplefilter('ignore')
        image = _opened(data)
        _check_size(image.size)
        try:
            orientation = _orientation(image)
            image.draft(
                'RGB',
                tuple(
                    int(2 * side / preprocessing.centre)
                    for side in (preprocessing.width, preprocessing.height)
                ),
            )
            image.load()
            for transposition in _TRANSPOSITIONS.get(orientation, []):
                image = image.transpose(transposition)
            image = _as_rgb(image)
        except ImageError:
            raise
        except Exception as error:  # the decoders raise many types on hostile input
            raise ImageError(DAMAGED, '{}: {}'.format(type(error).__name__, error)) from error
    return np.ascontiguousarray(np.asarray(_resized(image, preprocessing)).transpose(2, 0, 1))


def _opened(data):
    assert not ImageFile.LOAD_TRUNCATED_IMAGES, 'a truncated image has to be an error'
    try:
        image = Image.open(io.BytesIO(data))
    except (
        Exception
    ) as error:  # OSError for an unknown format, anything at all for a hostile header
        if type(error).__name__ == 'DecompressionBombError':  # which Pillow 4 does not have
            raise ImageError(TOO_LARGE, str(error)) from error
        if str(error).startswith('cannot identify'):
            raise ImageError(NOT_AN_IMAGE) from error
        raise ImageError(DAMAGED, str(error)) from error
    if image.format not in FORMATS and image.format != 'MPO':
        raise ImageError(
            NOT_AN_IMAGE, '{} is not one of {}'.format(image.format, ', '.join(FORMATS))
        )
    return image


def _check_size(size):
    width, height = size
    if width * height > MAX_PIXELS:
        raise ImageError(TOO_LARGE, '{}x{}'.format(width, height))
    if min(size) < MIN_SIDE:
        raise ImageError(TOO_SMALL, '{}x{}'.format(width, height))


def _orientation(image):
    """The EXIF orientation, 1 to 8; damaged metadata counts as upright."""
    try:
        exif = image.getexif() if hasattr(image, 'getexif') else image._getexif()
        return int(exif.get(_EXIF_ORIENTATION, 1))
    except Exception:  # metadata of any shape must not cost a sound photograph
        return 1


def _as_rgb(image):
    """8-bit RGB: 16-bit grey scaled, transparency laid over white, all else as Pillow converts it."""
    if image.mode == 'F':
        raise ImageError(NOT_AN_IMAGE, 'floating-point pixels have no known range')
    if image.mode == 'I' or image.mode.startswith('I;16'):
        values = np.asarray(image).astype(np.int64)
        if values.min() < 0 or values.max() > 65535:
            raise ImageError(NOT_AN_IMAGE, 'pixels beyond 16 bits')
        image = Image.fromarray(((values * 255 + 32767) // 65535).astype(np.uint8))
    if image.mode in ('RGBA', 'LA', 'PA', 'La', 'RGBa') or 'transparency' in image.info:
        image = image.convert('RGBA')
        white = Image.new('RGBA', image.size, (255, 255, 255, 255))
        image = Image.alpha_composite(white, image)
    return image if image.mode == 'RGB' else image.convert('RGB')


def _resized(image, preprocessing):
    width, height = (side * preprocessing.centre for side in image.size)
    if preprocessing.fit == 'crop':
        scale = min(width / preprocessing.width, height / preprocessing.height)
        width, height = scale * preprocessing.width, scale * preprocessing.height
    width, height = max(1, int(round(width))), max(1, int(round(height)))
    left, top = (image.size[0] - width) // 2, (image.size[1] - height) // 2
    if (width, height) != image.size:
        image = image.crop((left, top, left + width, top + height))
    if image.size == (preprocessing.width, preprocessing.height):
        return image
    return image.resize((preprocessing.width, preprocessing.height), Image.LANCZOS)
