"""Decodes photographs as `neon_rnn.data.images` does, to the same pixels in less time.

libjpeg-turbo reads JPEG files, and a compiled loop scales, where Numba is installed. What they do
not know is left to Pillow.
"""

import functools
import importlib.util
import os
from collections.abc import Callable

import numpy as np

from neon_rnn.data import images
from neon_rnn.data.images import Preprocessing
from neon_rnn.ingest import jpeg


def load(path: str | os.PathLike, preprocessing: Preprocessing) -> np.ndarray:
    """Decode an image file as `images.load` does, damaged ones too."""
    return images.decode_sized(images.read(path), preprocessing, jpeg.read, compiled_resize())[0]


def decode(
    data: bytes, preprocessing: Preprocessing, resize: Callable | None = None
) -> tuple[np.ndarray, tuple[int, int]]:
    """Decode the bytes of an image file as `images.decode_sized` does, but refuse more.

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

    decoded = images.decode_sized(data, preprocessing, read_jpeg, resize)
    if not sound:
        jpeg.check(data)
    return decoded


@functools.cache
def compiled_resize() -> Callable | None:
    """Return `lanczos.resize`, or None without Numba, which the engine torch brings along."""
    if importlib.util.find_spec('numba') is None:
        return None
    from neon_rnn.ingest import lanczos

    return lanczos.resize
