"""Reads JPEG files with libjpeg-turbo, which tells of damage inside that Pillow hides."""

import numpy as np
import simplejpeg

from neon_rnn.data.images import ImageError

CORRUPT = 'damaged JPEG data inside the image'


def read(data: bytes, size: tuple[int, int]) -> np.ndarray | None:
    """Decode a JPEG file of grey or RGB pixels, and accept no warning of libjpeg.

    The pixels are those of Pillow, which decodes with libjpeg-turbo too.

    Parameters
    ----------
    data : bytes
    size : tuple of int
        (width, height) to decode to: those of the file, or a half, a quarter or an eighth of them.

    Returns
    -------
    numpy.ndarray or None
        uint8 (height, width, 3), RGB; None where libjpeg warns or this reader does not know the
        file, see `check`.
    """
    width, height = size
    # The buffer bounds the memory if the file has another size than its reader believes.
    pixels = np.empty((height, width, 3), np.uint8)
    try:
        pixels = simplejpeg.decode_jpeg(
            data, 'RGB', min_height=height, min_width=width, buffer=pixels
        )
    except ValueError:
        return None
    return pixels if pixels.shape == (height, width, 3) else None


def check(data: bytes) -> None:
    """Decode a JPEG file at its smallest scale, and refuse what libjpeg warns of.

    Other formats, and JPEG files that this reader does not know, are left to Pillow.

    Raises
    ------
    ImageError
        libjpeg had to guess a part of the image.
    """
    if not data.startswith(b'\xff\xd8'):
        return
    try:
        _decode(data, strict=True)
    except ValueError as warning:
        try:
            _decode(data, strict=False)
        except ValueError:  # not a warning
            return
        raise ImageError(CORRUPT, str(warning)) from warning


def _decode(data: bytes, strict: bool) -> None:
    simplejpeg.decode_jpeg(data, 'GRAY', min_height=1, min_width=1, strict=strict)
