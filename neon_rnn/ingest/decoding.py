"""Decodes photographs for an import: as `neon_rnn.data.images` does, faster and more strictly."""

import numpy as np

from neon_rnn.data import images
from neon_rnn.data.images import Preprocessing
from neon_rnn.ingest import jpeg, lanczos


def decode(data: bytes, preprocessing: Preprocessing) -> tuple[np.ndarray, tuple[int, int]]:
    """Decode the bytes of an image file as `images.decode_sized` does, to the same pixels and size.

    Raises
    ------
    ImageError
        The image cannot be used; among the reasons is damage inside a JPEG file.
    """
    sound = False

    def read_jpeg(data: bytes, size: tuple[int, int]) -> np.ndarray | None:
        nonlocal sound
        pixels = jpeg.read(data, size)
        sound = pixels is not None
        return pixels

    decoded = images.decode_sized(data, preprocessing, read_jpeg, lanczos.resize)
    if not sound:
        jpeg.check(data)
    return decoded
