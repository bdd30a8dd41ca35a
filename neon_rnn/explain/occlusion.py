"""Occlusion: cover a part of a photograph, and see how the answer changes.

After Zeiler and Fergus, arXiv 1311.2901. A square window is covered with the mean colour of the
photograph, at one place after another. Each place costs one prediction, so the map holds for any
network and any engine, and every number of it can be computed again with `predict` alone.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable

import numpy as np

from neon_rnn.support.errors import UsageError

#: From uint8 (n, C*H*W) to probabilities (n, classes).
Predict = Callable[[np.ndarray], np.ndarray]

#: The default window is this part of the shorter side, and moves by half of itself.
WINDOW_PART = 4
#: Smallest window, in pixels.
_LEAST = 2
#: A probability of 0 counts as the smallest normal float32, so that log-odds are finite.
_TINY = float(np.finfo(np.float32).tiny)


@dataclasses.dataclass(frozen=True)
class Occlusion:
    """The probabilities of a photograph, and those with each window covered.

    Attributes
    ----------
    probabilities : numpy.ndarray
        (classes,): of the photograph as it is.
    covered : numpy.ndarray
        (rows, columns, classes): with the window at ``tops[row]``, ``lefts[column]`` covered.
    tops, lefts : list of int
        The upper edges and the left edges of the windows, in pixels.
    window : int
        The side of a window, in pixels.
    fill : numpy.ndarray
        uint8 (C,): the colour of the cover.
    size : tuple of int
        (H, W) of the photograph.
    """

    probabilities: np.ndarray
    covered: np.ndarray
    tops: list[int]
    lefts: list[int]
    window: int
    fill: np.ndarray
    size: tuple[int, int]

    def drops(self, label: int) -> np.ndarray:
        """Return by how much each cover lowers the log-odds of a class.

        Log-odds, unlike probabilities, tell windows apart where the network is nearly certain.

        Returns
        -------
        numpy.ndarray
            (rows, columns), natural logarithms. Positive where the window speaks for the class.
        """
        return log_odds(self.probabilities, label) - log_odds(self.covered, label)

    def heat(self, label: int) -> np.ndarray:
        """Return the map of a class over the pixels: the mean drop of the windows over each.

        Returns
        -------
        numpy.ndarray
            (H, W), natural logarithms.
        """
        total, count = np.zeros(self.size), np.zeros(self.size)
        drops = self.drops(label)
        for row, column in np.ndindex(*drops.shape):
            place = window_at(self.tops[row], self.lefts[column], self.window)
            total[place] += drops[row, column]
            count[place] += 1
        return total / count


def window_at(top: int, left: int, window: int) -> tuple[slice, slice]:
    """Return the rows and the columns of a window, as an index of an array (H, W)."""
    return slice(top, top + window), slice(left, left + window)


def log_odds(probabilities: np.ndarray, label: int) -> np.ndarray:
    """Return log(p / (1 - p)) of a class, from probabilities (..., classes).

    1 - p is the sum of the others, since float32 has no values close enough to 1.
    """
    values = np.asarray(probabilities, np.float64)
    own, others = values[..., label], np.delete(values, label, axis=-1).sum(axis=-1)
    return np.log(np.maximum(own, _TINY)) - np.log(np.maximum(others, _TINY))


def occlude(
    predict: Predict, pixels: np.ndarray, window: int | None = None, step: int | None = None
) -> Occlusion:
    """Predict a photograph with a window covered, at every place.

    Parameters
    ----------
    predict : callable
        From uint8 (n, C*H*W) to probabilities (n, classes).
    pixels : numpy.ndarray
        uint8 (C, H, W).
    window : int, optional
        Side of the window in pixels; default: a quarter of the shorter side.
    step : int, optional
        Pixels from one place to the next; default: half of the window. The last window of a row or
        a column always ends at the edge.

    Returns
    -------
    Occlusion

    Raises
    ------
    UsageError
        The window is larger than the photograph, or the step larger than the window, which would
        leave gaps.
    """
    height, width = pixels.shape[1:]
    window = max(_LEAST, min(height, width) // WINDOW_PART) if window is None else window
    step = max(1, window // 2) if step is None else step
    if not 1 <= window <= min(height, width):
        raise UsageError(
            f'a window of {window} pixels does not fit the photograph, which the network sees as '
            f'{width}x{height}.'
        )
    if not 1 <= step <= window:
        raise UsageError(
            f'a step of {step} pixels does not fit a window of {window}; it runs from 1 to that.'
        )
    tops, lefts = (_places(side, window, step) for side in (height, width))
    fill = np.rint(pixels.reshape(len(pixels), -1).mean(axis=1)).astype(np.uint8)
    images = np.repeat(pixels[np.newaxis], 1 + len(tops) * len(lefts), axis=0)
    for image, (top, left) in zip(images[1:], itertools.product(tops, lefts), strict=True):
        image[(slice(None), *window_at(top, left, window))] = fill[:, np.newaxis, np.newaxis]
    found = np.asarray(predict(images.reshape(len(images), -1)))
    covered = found[1:].reshape(len(tops), len(lefts), -1)
    return Occlusion(found[0], covered, tops, lefts, window, fill, (height, width))


def _places(side: int, window: int, step: int) -> list[int]:
    """Return where windows begin along a side, so that they cover it from edge to edge."""
    last = side - window
    return [*range(0, last, step), last]
