"""Finds photographs that are near copies of others: encoded again, scaled, or off by a few levels.

Two steps. Signatures, the means of 8x8 blocks, give candidates by nearest neighbours. The
pixels of each candidate pair decide.
"""

from collections.abc import Callable

import numpy as np
import scipy.sparse.csgraph
import scipy.spatial
from PIL import Image

#: Two signatures of near copies differ by at most so many levels (root mean square).
SIGNATURE_LEVELS = 10
#: The pixels of near copies differ by at most this share of the contrast (standard deviation) of
#: either image. Measured on 38,092 photographs of WIKI and 1,828 others, see docs/data.md.
CONTRAST_SHARE = 0.25
_SIDE = 8
_DIMENSIONS = 8


def signature(pixels: np.ndarray) -> np.ndarray:
    """Return the block means of the middle channel (green) of an image (C, H, W): uint8 (64,)."""
    channel = Image.fromarray(pixels[len(pixels) // 2])
    return np.asarray(channel.resize((_SIDE, _SIDE), Image.Resampling.BOX)).ravel()


def near_groups(
    signatures: np.ndarray, read: Callable[[np.ndarray], np.ndarray]
) -> list[np.ndarray]:
    """Group images that are near copies of each other.

    Parameters
    ----------
    signatures : numpy.ndarray
        uint8 (N, 64), see `signature`.
    read : callable
        Takes indices (n,), returns the pixels, uint8 (n, C*H*W).

    Returns
    -------
    list of numpy.ndarray
        The indices of each group, in order of their first; most groups have one member.
    """
    pairs = near_pairs(signatures, read)
    count = len(signatures)
    graph = scipy.sparse.coo_matrix((np.ones(len(pairs)), tuple(pairs.T)), (count, count))
    _, group = scipy.sparse.csgraph.connected_components(graph, directed=False)
    order = np.argsort(group, kind='stable')
    return np.split(order, np.flatnonzero(np.diff(group[order])) + 1) if count else []


def near_pairs(signatures: np.ndarray, read: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    """Find the pairs of near copies, see `near_groups`: int (P, 2)."""
    if len(signatures) < 2:
        return np.empty((0, 2), dtype=np.int64)
    # Projected onto their main components, distances can only become smaller: the search in few
    # dimensions is fast and misses no pair.
    centred = signatures - signatures.mean(axis=0)
    _, components = np.linalg.eigh(centred.T @ centred)
    tree = scipy.spatial.cKDTree(centred @ components[:, -_DIMENSIONS:])
    radius = SIGNATURE_LEVELS * _SIDE
    pairs = tree.query_pairs(radius, output_type='ndarray')
    distances = np.linalg.norm(centred[pairs[:, 0]] - centred[pairs[:, 1]], axis=1)
    pairs = np.sort(pairs[distances <= radius], axis=1)
    near = [_near(*read(pair).astype(np.int16)) for pair in pairs]
    pairs = pairs[np.array(near, dtype=bool)]
    return pairs[np.lexsort(pairs.T[::-1])]


def _near(first: np.ndarray, second: np.ndarray) -> bool:
    contrast = min(first.std(), second.std())
    return bool(np.abs(first - second).mean() <= CONTRAST_SHARE * contrast)
