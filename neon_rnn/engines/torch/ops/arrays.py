"""Channels-last maps as NumPy arrays, for the compiled loops (`ops.loops`)."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import TypeVar

import numpy
import torch

from neon_rnn.engines.torch.ops import threads

_Result = TypeVar('_Result')

#: Fewer bytes than this are not worth a second thread.
SMALL = 2**18


def array(maps: torch.Tensor) -> numpy.ndarray:
    """View channels-last maps (n, C, H, W) as an array (n, H, W, C); bfloat16 as uint16.

    Features (n, C) are maps of one pixel. Maps in another memory format are copied.
    """
    maps = maps.detach()
    rows = (maps[:, :, None, None] if maps.dim() == 2 else maps).permute(0, 2, 3, 1).contiguous()
    return (rows.view(torch.uint16) if rows.dtype == torch.bfloat16 else rows).numpy()


def new_maps(count: int, shape: Sequence[int], dtype: torch.dtype) -> torch.Tensor:
    """Return uninitialised channels-last maps (count, *shape) on the CPU."""
    return torch.empty((count, *shape), dtype=dtype, memory_format=torch.channels_last)


def spread(function: Callable[..., _Result], *arrays: numpy.ndarray | None) -> list[_Result]:
    """Call a function with parts of arrays, cut along their first axis, one part in each thread.

    Returns what the calls return, in the order of the parts. All arrays have the same length; None
    stays None. In a thread that computes with one core (`threads.each`), and for few bytes, the
    function is called once with the whole arrays.
    """
    first = next(each for each in arrays if each is not None)
    count = min(torch.get_num_threads(), len(first))
    if count == 1 or first.nbytes < SMALL:
        return [function(*arrays)]
    cuts = [len(first) * part // count for part in range(count + 1)]
    parts = [
        [None if each is None else each[start:end] for each in arrays]
        for start, end in zip(cuts, cuts[1:], strict=False)
    ]
    return threads.at_once([functools.partial(function, *part) for part in parts])
