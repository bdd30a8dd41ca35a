"""Scales images with the Lanczos filter to Pillow's own pixels, in half of its time.

Pillow's filter works in integers: weights in units of 2**-22, sums in 32 bits, and a rounding to
8 bits after the columns and again after the rows. All these numbers are whole and below 2**53, so
matrix products in double precision give them exactly, whatever the order of their additions. The
matrix of a filter is a band; it is cut into short products along the band.
"""

import functools

import numpy as np
from PIL import Image

#: An image of more pixels is left to Pillow: its numbers in double precision would take 6 MiB.
MAX_PIXELS = 1 << 18
#: Outputs of one product: so few that OpenBLAS starts no threads for it, scaled down by 4 or less.
_OUTPUTS = 8
_LOBES = 3
_UNIT = 2.0**-22
#: A weight so near to the middle between two units is left to Pillow: its sine decides there.
_DOUBT = 1e-6

#: First input, last input + 1, first output, matrix (inputs, outputs) of a part of the band.
Band = list[tuple[int, int, int, np.ndarray]]


def resize(
    image: Image.Image | np.ndarray, box: tuple[int, int, int, int], size: tuple[int, int]
) -> np.ndarray | None:
    """Cut out a part of an image and scale it, as Pillow's ``crop`` and ``resize`` do.

    Parameters
    ----------
    image : PIL.Image.Image or numpy.ndarray
        RGB; an array is uint8 (height, width, 3).
    box : tuple of int
        (left, top, right, bottom) of the part, inside the image.
    size : tuple of int
        (width, height) of the result.

    Returns
    -------
    numpy.ndarray or None
        uint8 (3, height, width); None where this is left to Pillow.

    Notes
    -----
    Not for several threads: the numbers in between are kept in the same arrays.
    """
    left, top, right, bottom = box
    if (right - left) * (bottom - top) > MAX_PIXELS:
        return None
    columns, rows = _band(right - left, size[0]), _band(bottom - top, size[1])
    if columns is None or rows is None:
        return None
    part = np.asarray(image)[top:bottom, left:right].transpose(2, 0, 1)
    if part.shape[1:] == size[::-1]:
        return np.ascontiguousarray(part)
    pixels = _room('source', *part.shape)
    pixels[...] = part
    if pixels.shape[2] != size[0]:
        scaled = _room('columns', 3, len(pixels[0]), size[0])
        for start, end, first, weights in columns:
            place = scaled[:, :, first : first + weights.shape[1]]
            np.matmul(pixels[:, :, start:end], weights, out=place)
        pixels = np.floor(_in_range(scaled), out=scaled)
    if pixels.shape[1] != size[1]:
        scaled = _room('rows', 3, size[1], size[0])
        for start, end, first, weights in rows:
            place = scaled[:, first : first + weights.shape[1]]
            np.matmul(weights.T, pixels[:, start:end], out=place)
        pixels = _in_range(scaled)
    return pixels.astype(np.uint8)  # without a fraction


@functools.lru_cache(maxsize=3)
def _room(use: str, *shape: int) -> np.ndarray:
    """Return an array that is used again: its pages would be given back and zeroed each time."""
    return np.empty(shape)


def _in_range(values: np.ndarray) -> np.ndarray:
    """Make the values ready for rounding half up by leaving out the fraction, in 0..255."""
    values += 0.5
    return np.clip(values, 0, 255, out=values)


@functools.lru_cache(maxsize=64)
def _band(source: int, target: int) -> Band | None:
    """Return the filter from `source` to `target` pixels, in parts; None where it is in doubt."""
    scale = source / target
    reach = max(scale, 1.0)  # enlarged, the filter keeps its width
    centres = (np.arange(target)[:, None] + 0.5) * scale
    starts = np.maximum(0, (centres - _LOBES * reach + 0.5).astype(int))
    ends = np.minimum(source, (centres + _LOBES * reach + 0.5).astype(int))
    inputs = starts + np.arange((ends - starts).max())
    distances = (inputs - centres + 0.5) / reach
    weights = np.where(
        (inputs < ends) & (np.abs(distances) < _LOBES),
        np.sinc(distances) * np.sinc(distances / _LOBES),
        0,
    )
    weights /= weights.sum(axis=1, keepdims=True) * _UNIT
    whole = np.rint(weights)
    if np.any(np.abs(weights - whole) > 0.5 - _DOUBT):
        return None
    matrix = np.zeros((source + inputs.shape[1], target))
    matrix[inputs, np.arange(target)[:, None]] = whole * _UNIT
    parts: Band = []
    for first in range(0, target, _OUTPUTS):
        outputs = slice(first, first + _OUTPUTS)
        start, end = int(starts[outputs].min()), int(ends[outputs].max())
        parts.append((start, end, first, np.ascontiguousarray(matrix[start:end, outputs])))
    return parts
