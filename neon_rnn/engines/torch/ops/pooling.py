"""Max pooling on the CPU and its gradient, one pass over memory each.

PyTorch's kernel keeps the place of each largest value in eight bytes: as many as four numbers of
the map in bfloat16. Here it is one byte, the place within the window.

Maps are (n, C, H, W) in the channels-last memory format.
"""

from __future__ import annotations

from typing import NamedTuple

import torch

from neon_rnn.engines.torch.ops import loops
from neon_rnn.engines.torch.ops.arrays import array, new_maps, spread
from neon_rnn.engines.torch.ops.normalisation import NormGradient


class Windows(NamedTuple):
    """The windows of a pooling: (rows, columns) each."""

    size: tuple[int, int]
    strides: tuple[int, int]
    padding: tuple[int, int]


def largest(
    maps: torch.Tensor, windows: Windows, shape: tuple[int, ...], signs: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the largest value of each window, and which of the window's places has it.

    Parameters
    ----------
    maps : torch.Tensor
        (n, C, H, W).
    windows : Windows
    shape : tuple of int
        (C, P, Q) of the result.
    signs : torch.Tensor
        (C,): 1 or, for feature maps of which the smallest value is wanted, -1; in float32 for
        bfloat16.

    Returns
    -------
    tuple of torch.Tensor
        Values and places, (n, C, P, Q) each. Places are counted row by row, those in the padding
        too; of equal values the first one counts.
    """
    rows, columns = windows.size
    pooled = new_maps(len(maps), shape, maps.dtype)
    counted_by = torch.uint8 if rows * columns <= 256 else torch.int32
    places = new_maps(len(maps), shape, counted_by)
    sign = signs.numpy()
    spread(
        lambda *arrays: loops.largest(*arrays, sign, *windows),
        array(maps),
        array(pooled),
        array(places),
    )
    return pooled, places


def gradient(
    error: torch.Tensor,
    places: torch.Tensor,
    windows: Windows,
    shape: tuple[int, ...],
    maps: torch.Tensor | None = None,
    of_norm: NormGradient | None = None,
    rectified: bool = False,
) -> torch.Tensor:
    """Return the gradient of what `largest` pooled.

    Parameters
    ----------
    error : torch.Tensor
        The gradient of its values, (n, C, P, Q).
    places : torch.Tensor
        From `largest`.
    windows : Windows
    shape : tuple of int
        (C, H, W) of what was pooled.
    maps, of_norm : torch.Tensor and NormGradient, optional
        What was pooled, (n, C, H, W), and the gradient of its batch norm, whose scale and shift
        came behind the pooling. `error` is that of the batch norm's output then.
    rectified : bool
        `maps` come from a rectifier, and the gradient of its input is wanted.
    """
    result = new_maps(len(error), shape, error.dtype)
    dtype = torch.float64 if error.dtype == torch.float64 else torch.float32
    factors = [factor.numpy() for factor in of_norm or [torch.ones(shape[0], dtype=dtype)] * 3]

    def compute(*arrays: object) -> None:
        loops.largest_gradient(*arrays, *factors, *windows, rectified)

    before = None if maps is None else array(maps)
    spread(compute, array(error), array(places), array(result), before)
    return result


def pixels(places: torch.Tensor, windows: Windows, width: int) -> torch.Tensor:
    """Turn places within windows, (n, C, P, Q), into flat indices of a map that is `width` wide."""
    columns = windows.size[1]
    return _first_pixels(places, windows, width) + places // columns * width + places % columns


def places(pixels: torch.Tensor, windows: Windows, width: int) -> torch.Tensor:
    """Undo `pixels`."""
    behind = pixels - _first_pixels(pixels, windows, width)
    return behind // width * windows.size[1] + behind % width


def _first_pixels(like: torch.Tensor, windows: Windows, width: int) -> torch.Tensor:
    """Return the flat index at which each window begins: (P, Q) of `like`."""
    y, x = (
        torch.arange(count) * stride - padding
        for count, stride, padding in zip(
            like.shape[2:], windows.strides, windows.padding, strict=True
        )
    )
    return y[:, None] * width + x
