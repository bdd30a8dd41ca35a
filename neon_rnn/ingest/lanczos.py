"""Scales images with the Lanczos filter to Pillow's own pixels, in a third of its time.

Pillow's filter works in whole numbers: weights in units of 2**-22, sums in 32 bits, and a rounding
to 8 bits after the columns and again after the rows. So does the loop here. Numba compiles it, and
the processor computes many outputs of a line at once.
"""

import functools
from typing import Any

import numba
import numpy as np
from PIL import Image

from neon_rnn.support import compiling

#: A larger image is left to Pillow: its array would take more than 3 MiB.
MAX_PIXELS = 1 << 20
_LOBES = 3
_BITS = 22
#: A weight so near to the middle between two units is left to Pillow: its sine decides there.
_DOUBT = 1e-6
#: Rows that are turned into columns at a time: few, so that they stay in the processor's cache.
_ROWS = 64


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
    """
    left, top, right, bottom = box
    if isinstance(image, Image.Image):
        if image.width * image.height > MAX_PIXELS:
            return None
        image = np.array(image)
    if (right - left, bottom - top) == size:
        return np.ascontiguousarray(image[top:bottom, left:right].transpose(2, 0, 1))
    columns, rows = _filter(right - left, size[0]), _filter(bottom - top, size[1])
    if columns is None or rows is None:
        return None
    scaled = np.empty((3, size[1], size[0]), np.uint8)
    _scale(image, left, top, bottom - top, columns, rows, scaled)
    return scaled


@functools.lru_cache(maxsize=64)
def _filter(source: int, target: int) -> tuple[np.ndarray, np.ndarray, np.ndarray] | None:
    """Return the filter from `source` to `target` pixels; None where it is in doubt.

    Returns
    -------
    first, count : numpy.ndarray
        int32 (target,): the first input of each output, and how many it has.
    weights : numpy.ndarray
        int32 (target, largest count).
    """
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
    weights *= 2.0**_BITS / weights.sum(axis=1, keepdims=True)
    whole = np.rint(weights)
    if np.any(np.abs(weights - whole) > 0.5 - _DOUBT):
        return None
    return (
        starts[:, 0].astype(np.int32),
        (ends - starts)[:, 0].astype(np.int32),
        whole.astype(np.int32),
    )


# Part of the loop that calls it: as a function of its own it takes a tenth more time.
@numba.njit(error_model='numpy', forceinline=True)
def _filter_lines(lines: Any, first: int, weights: Any, sums: Any, result: Any) -> None:
    """Compute the weighted sum of some lines from `first` on, rounded to 8 bits, in `sums`."""
    count = len(result)
    sums[:count] = 1 << (_BITS - 1)
    for i in range(len(weights)):
        weight, line = weights[i], lines[first + i]
        for x in range(count):
            sums[x] += weight * line[x]
    for x in range(count):
        result[x] = min(max(sums[x] >> _BITS, 0), 255)


@functools.partial(compiling.kept, functools.partial(numba.njit, nogil=True, error_model='numpy'))
def _scale(
    pixels: Any, left: int, top: int, height: int, columns: Any, rows: Any, scaled: Any
) -> None:
    """Scale a part of (height, width, 3) into (3, height, width), all uint8, by two filters."""
    (firsts, counts, weights), (row_firsts, row_counts, row_weights) = columns, rows
    width = firsts[-1] + counts[-1]
    narrowed = np.empty((3, height, len(firsts)), np.uint8)
    turned = np.empty((3, width, _ROWS), np.uint8)
    sums = np.empty(max(len(firsts), _ROWS), np.int32)
    for start in range(0, height, _ROWS):
        end = min(start + _ROWS, height)
        for y in range(start, end):
            line = pixels[top + y]
            for x in range(width):
                for c in range(3):
                    turned[c, x, y - start] = line[left + x, c]
        for c in range(3):
            for x in range(len(firsts)):
                column = narrowed[c, start:end, x]
                _filter_lines(turned[c], firsts[x], weights[x, : counts[x]], sums, column)
    for c in range(3):
        for y in range(len(row_firsts)):
            of_row = row_weights[y, : row_counts[y]]
            _filter_lines(narrowed[c], row_firsts[y], of_row, sums, scaled[c, y])
