"""Turn photographs into arrays, the same way for every data set and for prediction.

No file is trusted. The steps, in this order:

1. The header is read and checked: format, pixel limit, smallest side.
2. The JPEG decoder may scale down by a power of two while twice the wanted size remains.
3. The EXIF orientation is applied.
4. The image becomes 8-bit RGB: transparency over white, grey-scale repeated in the three channels.
5. The central part is cut out.
6. It is resized with the Lanczos filter.
"""

import collections
import os

import numpy as np
from PIL import Image, ImageFile

from neon_rnn.data import orientation
from neon_rnn.data.bounded_file import BoundedFile, TooMuchEffort
from neon_rnn.support.errors import NeonRnnError, UsageError
from neon_rnn.support.quiet import Quiet

#: An image of more pixels is not decoded. No camera of the data sets has as many; RGB takes 192 MB.
MAX_PIXELS = 64000000
#: A file of more bytes is not read.
MAX_BYTES = 256 << 20
#: So many scans of an image of that many pixels are decoded, and more of a smaller one.
MAX_SCANS = 20
#: An image with a shorter side is a placeholder or a thumbnail and not a photograph.
MIN_SIDE = 16
FORMATS = ('JPEG', 'PNG', 'BMP', 'GIF', 'WEBP', 'TIFF', 'PPM')

#: The reasons for which an image is not used.
NOT_AN_IMAGE = 'not an image of a supported format'
DAMAGED = 'truncated or damaged image'
TOO_LARGE = 'more than {} million pixels'.format(MAX_PIXELS // 1000000)
TOO_SMALL = 'smaller than {} pixels'.format(MIN_SIDE)
TOO_COSTLY = 'takes too long to decode'
UNREADABLE = 'file cannot be read'

#: Pillow warns of odd metadata and of sizes above its own limit; both are checked here.
_QUIET = Quiet()


class ImageError(NeonRnnError):
    """The image cannot be used: `reason` is one of the constants above, `detail` says more."""

    def __init__(self, reason, detail=''):
        super().__init__('{} ({})'.format(reason, detail) if detail else reason)
        self.reason, self.detail = reason, detail


class Preprocessing(collections.namedtuple('Preprocessing', 'height width fit centre')):
    """The choices by which a photograph becomes an array.

    ``dataset.json`` keeps them, so that prediction makes the same ones.

    Parameters
    ----------
    height, width : int
    fit : str
        ``'crop'`` takes the largest central rectangle of the wanted proportions.
        ``'stretch'`` takes the whole image.
    centre : float
        Share of each side that is kept before that, around the middle.
        Less than 1 removes a margin around a face.

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
        """Return a dict for ``dataset.json``; `Preprocessing.of` reads it back."""
        return dict(self._asdict(), filter='lanczos')

    @classmethod
    def of(cls, description):
        """Read the entry ``preprocessing`` of ``dataset.json``."""
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
        The image cannot be used.
    """
    return decode(read(path), preprocessing)


def read(path):
    """Return the bytes of an image file.

    Raises
    ------
    ImageError
        The file cannot be read, is not a regular file, or is too large.
    """
    try:
        if not os.path.isfile(str(path)):
            raise ImageError(UNREADABLE, 'missing, or not a regular file')
        with open(str(path), 'rb') as file:
            # No more than its size: Python takes the memory of what it is asked for.
            data = file.read(min(os.fstat(file.fileno()).st_size, MAX_BYTES) + 1)
    except (OSError, ValueError) as error:
        raise ImageError(UNREADABLE, getattr(error, 'strerror', None) or str(error)) from error
    if len(data) > MAX_BYTES:
        raise ImageError(TOO_LARGE, 'the file has more than {} MiB'.format(MAX_BYTES >> 20))
    return data


def decode(data, preprocessing):
    """Decode the bytes of an image file, see `load`."""
    return decode_sized(data, preprocessing)[0]


def decode_sized(data, preprocessing, read_jpeg=None, resize=None):
    """Decode the bytes of an image file.

    Parameters
    ----------
    data : bytes
    preprocessing : Preprocessing
    read_jpeg : callable, optional
        Decodes a JPEG file in Pillow's place. It gets the bytes and the (width, height) to decode
        to. It returns Pillow's own pixels, uint8 (height, width, 3), or None to leave it to Pillow.
    resize : callable, optional
        Cuts out and scales in Pillow's place. It gets an RGB image or its array (height, width, 3),
        the box (left, top, right, bottom) and the (width, height) wanted. It returns Pillow's own
        pixels, uint8 (3, height, width), or None.

    Returns
    -------
    numpy.ndarray
        uint8 (3, height, width), RGB.
    tuple of int
        (height, width) of the image in the file, upright.

    Raises
    ------
    ImageError
        The image cannot be used.
    """
    with _QUIET:
        file = BoundedFile(data)
        image = _opened(file)
        size = image.size
        _check_size(size)
        _check_scans(data, size)
        file.allow_pixels()
        try:
            image.draft(
                'RGB',
                tuple(
                    int(2 * side / preprocessing.centre)
                    for side in (preprocessing.width, preprocessing.height)
                ),
            )
            image = _loaded(image, data, read_jpeg)
            width, height = _size(image)
            if (size[0] < size[1]) != (width < height):
                size = size[::-1]
        except ImageError:
            raise
        except TooMuchEffort as error:
            raise ImageError(TOO_COSTLY, str(error)) from error
        except Exception as error:  # the decoders raise many types on hostile input
            raise ImageError(DAMAGED, '{}: {}'.format(type(error).__name__, error)) from error
    return _resized(image, preprocessing, resize), size[::-1]


def _opened(file):
    ImageFile.LOAD_TRUNCATED_IMAGES = False  # a truncated image has to be an error
    try:
        image = Image.open(file)
    except TooMuchEffort as error:
        raise ImageError(TOO_COSTLY, str(error)) from error
    except Exception as error:  # of any type, for a hostile header
        if type(error).__name__ == 'DecompressionBombError':  # unknown to Pillow 4
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


def _check_scans(data, size):
    """Refuse a JPEG file that goes over its pixels too often; a progressive one has ten scans."""
    scans = data.count(b'\xff\xda') if data.startswith(b'\xff\xd8') else 1
    if scans * size[0] * size[1] > MAX_SCANS * MAX_PIXELS:
        raise ImageError(TOO_COSTLY, '{} scans'.format(scans))


def _loaded(image, data, read_jpeg):
    """Return the upright image in 8-bit RGB, or its array (height, width, 3)."""
    pixels = None
    if read_jpeg and image.format == 'JPEG' and image.mode in ('RGB', 'L'):
        pixels = read_jpeg(data, image.size)
    if pixels is None:
        image.load()
    # After loading: Pillow turns TIFF files itself while it loads them.
    steps = orientation.upright(image)
    if pixels is not None:
        if not steps:
            return pixels
        image = Image.fromarray(pixels)
    for step in steps:
        image = image.transpose(step)
    return _as_rgb(image)


def _size(image):
    """Return (width, height) of an image or of its array."""
    return image.shape[1::-1] if isinstance(image, np.ndarray) else image.size


def _as_rgb(image):
    """Convert to 8-bit RGB.

    16-bit grey is scaled, transparency is laid over white, Pillow converts the rest.
    """
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


def _resized(image, preprocessing, resize):
    """Cut out the wanted part and scale it: uint8 (3, height, width)."""
    source, size = _size(image), (preprocessing.width, preprocessing.height)
    width, height = (side * preprocessing.centre for side in source)
    if preprocessing.fit == 'crop':
        scale = min(width / preprocessing.width, height / preprocessing.height)
        width, height = scale * preprocessing.width, scale * preprocessing.height
    width, height = max(1, int(round(width))), max(1, int(round(height)))
    left, top = (source[0] - width) // 2, (source[1] - height) // 2
    box = left, top, left + width, top + height
    pixels = resize(image, box, size) if resize else None
    if pixels is not None:
        return pixels
    if isinstance(image, np.ndarray):
        image = Image.fromarray(image)
    if (width, height) != source:
        image = image.crop(box)
    if image.size != size:
        image = image.resize(size, Image.LANCZOS)  # type: ignore[attr-defined]
    return np.ascontiguousarray(np.asarray(image).transpose(2, 0, 1))
