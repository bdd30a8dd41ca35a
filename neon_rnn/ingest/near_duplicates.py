"""Finds photographs that are near copies of others: encoded again, scaled, or off by a few levels.

Two steps. Signatures, the means of 8x8 blocks, give candidates by nearest neighbours. The
pixels of each candidate pair decide.
"""

import functools
from collections.abc import Callable

import numpy as np

#: Two signatures of near copies differ by at most so many levels (root mean square).
SIGNATURE_LEVELS = 10
#: The pixels of near copies differ by at most this share of the contrast (standard deviation) of
#: either image. Measured on 38,092 photographs of WIKI and 1,828 others, see docs/data.md.
CONTRAST_SHARE = 0.25
_SIDE = 8
SIGNATURE_LENGTH = _SIDE * _SIDE
_DIMENSIONS = 8


def signature(pixels: np.ndarray) -> np.ndarray:
    """Return the block means of the middle channel (green) of an image (C, H, W): uint8 (64,)."""
    channel = pixels[len(pixels) // 2].astype(np.float32)
    height, width = channel.shape
    means = _block_weights(height) @ channel @ _block_weights(width).T
    return np.rint(means).astype(np.uint8).ravel()


@functools.lru_cache
def _block_weights(side: int) -> np.ndarray:
    """Return the matrix that averages `side` pixels to 8 blocks: float32 (8, side)."""
    edges = np.linspace(0, side, _SIDE + 1)[:, None]
    pixel = np.arange(side)
    overlap = np.minimum(edges[1:], pixel + 1) - np.maximum(edges[:-1], pixel)
    return (overlap.clip(0) * _SIDE / side).astype(np.float32)


def near_groups(signatures: np.ndarray, read: Callable[[list[int]], np.ndarray]) -> list[list[int]]:
    """Group images that are near copies of each other, directly or through others.

    Parameters
    ----------
    signatures : numpy.ndarray
        uint8 (N, 64), see `signature`.
    read : callable
        Takes two indices, returns the pixels: uint8 (2, C*H*W).

    Returns
    -------
    list of list of int
        The indices of each group, in order of their first; most groups have one member.
    """
    parent = list(range(len(signatures)))

    def first_of(index: int) -> int:
        while parent[index] != index:
            parent[index] = parent[parent[index]]
            index = parent[index]
        return index

    for pair in _candidates(signatures):
        first, second = sorted(map(first_of, pair))
        # Many copies of one picture make a candidate of each two; those in a group need no look.
        if first != second and _near(*read(pair).astype(np.int16)):
            parent[second] = first
    groups: dict[int, list[int]] = {}
    for index in range(len(parent)):
        groups.setdefault(first_of(index), []).append(index)
    return list(groups.values())


def _candidates(signatures: np.ndarray) -> list[list[int]]:
    """Return the pairs of similar signatures, the most similar first."""
    from scipy.spatial import cKDTree  # here: the workers need no scipy, which takes 40 MiB

    if len(signatures) < 2:
        return []
    # Projected onto their main components, distances can only become smaller: the search in few
    # dimensions is fast and misses no pair.
    centred = signatures - signatures.mean(axis=0)
    _, components = np.linalg.eigh(centred.T @ centred)
    tree = cKDTree(centred @ components[:, -_DIMENSIONS:])
    radius = SIGNATURE_LEVELS * _SIDE
    pairs = tree.query_pairs(radius, output_type='ndarray')
    distances = np.linalg.norm(centred[pairs[:, 0]] - centred[pairs[:, 1]], axis=1)
    order = np.argsort(distances, kind='stable')
    return pairs[order[distances[order] <= radius]].tolist()


def _near(first: np.ndarray, second: np.ndarray) -> bool:
    contrast = min(first.std(), second.std())
    return bool(np.abs(first - second).mean() <= CONTRAST_SHARE * contrast)
