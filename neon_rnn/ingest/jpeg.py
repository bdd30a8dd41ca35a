"""Finds JPEG files whose damage the decoder only warns of, such as a stretch of zeros inside."""

import simplejpeg

from neon_rnn.data.images import ImageError

CORRUPT = 'damaged JPEG data inside the image'


def check(data: bytes) -> None:
    """Decode a JPEG file at its smallest scale, and refuse what libjpeg warns of.

    Pillow hides these warnings. Other formats, and JPEG files that this reader does not know, are
    left to Pillow.

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
