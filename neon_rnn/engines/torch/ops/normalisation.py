"""The arithmetic of batch norm: statistics of a minibatch on all ranks, forward and backward pass.

PyTorch's own kernel for channels-last maps on the CPU adds up thousands of float32 numbers one by
one, which costs two of the seven digits. The loops here (`ops.loops`) add up a few lines of pixels
in float32, and those sums in float64.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch.nn import functional

from neon_rnn.engines.torch import distributed
from neon_rnn.engines.torch.ops import loops, threads
from neon_rnn.engines.torch.ops.arrays import array, new_maps, spread
from neon_rnn.engines.torch.ops.layout import laid_out_as

#: Beside a variance of 1 it is nothing; PyTorch 2.11 refuses 0.
VANISHING = 1e-30


class PartStatistics(NamedTuple):
    """Mean and biased variance of parts of a map: (parts, C) each, and the values of each part."""

    mean: torch.Tensor
    variance: torch.Tensor
    size: int


def statistics(x: torch.Tensor, count: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Compute mean and biased variance of each feature map of (n, C, ...) over all ranks.

    As `join_statistics` of the whole.
    """
    return join_statistics([part_statistics(x)], count)


def part_statistics(piece: torch.Tensor) -> PartStatistics:
    """Compute mean and variance of each feature map of (n, C, ...) in parts that can be joined.

    They are of the type of the piece; float32 for bfloat16.
    """
    if piece.device.type == 'cpu' and (piece.dim() == 2 or _lies_as_loops_read(piece)):
        return _sums_of_channels_last(piece)
    maps = piece.shape[1]
    columns = piece
    if piece.dim() == 4 and piece.is_contiguous():
        columns = piece.flatten(0, 1)[None]  # each map of each image by itself
    running = None
    if columns.dtype == torch.bfloat16:
        # Given running statistics in float32, PyTorch does not round those of bfloat16 to three
        # digits. The momentum of 0 leaves the running statistics alone.
        running = columns.new_zeros(columns.shape[1], dtype=torch.float32)
    mean, variance = torch.batch_norm_update_stats(columns, running, running, 0.0)
    return PartStatistics(
        mean.reshape(-1, maps), variance.reshape(-1, maps), piece.numel() // mean.numel()
    )


def _sums_of_channels_last(piece: torch.Tensor) -> PartStatistics:
    """Compute the statistics as one part, in one pass over memory.

    Means of v and of v^2 lose digits where the mean is large beside the deviation. Those of
    v - v_0, with a value v_0 of the same map, do not.
    """
    values = array(piece)
    dtype = torch.float32 if piece.dtype == torch.bfloat16 else piece.dtype
    one = piece.detach()[0]
    one = (one if piece.dim() == 2 else one[:, 0, 0]).to(dtype)
    shift, size = one.numpy(), piece.numel() // len(one)
    parts = spread(lambda part: loops.sums(part, shift), values)
    mean, of_squares = torch.from_numpy(sum(parts[1:], parts[0])) / size
    variance = (of_squares - mean**2).clamp_min(0)
    return PartStatistics((one + mean).to(dtype)[None], variance.to(dtype)[None], size)


def join_statistics(
    parts: Sequence[PartStatistics], count: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """Compute mean and biased variance of each feature map over all parts and ranks, (C,) each.

    `count` is the number of values of a feature map in all parts, on all ranks.
    """
    # Chan, Golub and LeVeque (1979): mean and variance of the whole from those of its parts.
    weight = torch.cat([torch.full_like(part.mean[:, :1], part.size / count) for part in parts])
    each_mean = torch.cat([part.mean for part in parts])
    each_variance = torch.cat([part.variance for part in parts])
    mean = distributed.sum_over_ranks((weight * each_mean).sum(0))
    return mean, distributed.sum_over_ranks(
        (weight * (each_variance + (each_mean - mean) ** 2)).sum(0)
    )


def gradient_sums(
    error: torch.Tensor,
    x: torch.Tensor,
    mean: torch.Tensor,
    inverse: torch.Tensor,
    output: torch.Tensor | None = None,
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Compute the gradients of gamma and beta: the sums of error * (x - mean) * inverse and error.

    Parameters
    ----------
    error, x : torch.Tensor
        (n, C, ...) each, of the same type and memory format: the gradient of batch norm's output,
        and its input.
    mean, inverse : torch.Tensor
        (C,), in float32 for bfloat16.
    output : torch.Tensor, optional
        The output of a rectifier behind the batch norm; `error` is its gradient.

    Returns
    -------
    tuple of torch.Tensor
        The sums, (C,) each, and the gradient of batch norm's output: `error`, or what the rectifier
        lets through of it.
    """
    if x.device.type != 'cpu' or x.dim() not in (2, 4):
        assert output is None
        wide = error.to(mean.dtype)
        normal = (x.to(mean.dtype) - per_map(mean, x)) * per_map(inverse, x)
        others = [dimension for dimension in range(x.dim()) if dimension != 1]
        return (wide * normal).sum(others), wide.sum(others), error
    let_through = error if output is None else new_maps(len(error), error.shape[1:], error.dtype)
    mean_array, inverse_array = mean.numpy(), inverse.numpy()
    parts = spread(
        lambda *arrays: loops.norm_sums(*arrays, mean_array, inverse_array),
        array(error),
        array(x),
        None if output is None else array(output),
        None if output is None else array(let_through),
    )
    of_gamma, of_beta = torch.from_numpy(sum(parts[1:], parts[0])).to(mean.dtype)
    return of_gamma, of_beta, let_through


@torch.no_grad()
def update_running(running: torch.Tensor, batch: torch.Tensor, rho: float) -> None:
    """Set neon's running mean or variance (C,) to rho * running + (1 - rho) * batch, in place."""
    running.mul_(rho).add_(batch, alpha=1 - rho)


def per_map(values: torch.Tensor, like: torch.Tensor) -> torch.Tensor:
    """Shape one value for each feature map, (C,), as (1, C, 1, ...) for a tensor (n, C, ...)."""
    return values.reshape(1, -1, *[1] * (like.dim() - 2))


def scale_and_shift(
    x: torch.Tensor, scale: torch.Tensor, shift: torch.Tensor | None = None
) -> torch.Tensor:
    """Compute x * scale + shift for each feature map, in the type of `x`."""
    if x.dtype == scale.dtype:
        factor = per_map(scale, x)
        return x * factor if shift is None else torch.addcmul(per_map(shift, x), x, factor)
    # Batch norm with a mean of 0 and a variance of 1: in float32, without a copy in float32.
    zero, one = torch.zeros_like(scale), torch.ones_like(scale)
    return functional.batch_norm(
        x, zero, one, scale, zero if shift is None else shift, False, 0.0, VANISHING
    )


def scale_and_join(
    parts: Sequence[torch.Tensor],
    scale: torch.Tensor,
    shift: torch.Tensor,
    shortcut: torch.Tensor | None = None,
    rectified: bool = False,
) -> torch.Tensor:
    """Join parts (n, C, H, W) into one channels-last tensor; scale and shift each feature map.

    A `shortcut` of the shape of the result is added; the result is `rectified` last.
    """
    whole = _space(parts)
    sizes = [len(part) for part in parts]
    shortcuts = [None] * len(parts) if shortcut is None else shortcut.split(sizes)
    scale_array, shift_array = scale.detach().numpy(), shift.detach().numpy()

    def compute(part: torch.Tensor, place: torch.Tensor, shortcut: torch.Tensor | None) -> None:
        spread(
            lambda *arrays: loops.scale_and_shift(*arrays, scale_array, shift_array, rectified),
            array(part),
            array(place),
            None if shortcut is None else array(shortcut),
        )

    threads.each(compute, parts, whole.split(sizes), shortcuts)
    return whole


class NormGradient(NamedTuple):
    """The gradient of batch norm's input a: scale * error - slope * a - offset, (C,) each.

    `error` is the gradient of batch norm's output.
    """

    scale: torch.Tensor
    slope: torch.Tensor
    offset: torch.Tensor


def of_norm_input(
    gamma: torch.Tensor,
    mean: torch.Tensor,
    inverse: torch.Tensor,
    sums: tuple[torch.Tensor, torch.Tensor],
    count: int,
) -> NormGradient:
    """Return the gradient of batch norm's input from those of gamma and beta on this rank, `sums`.

    `count` is the number of values of a feature map, on all ranks; other arguments as those of
    `gradient_sums`.
    """
    total_gamma, total_beta = distributed.sum_over_ranks(torch.stack(sums))
    scale = gamma * inverse
    slope = scale * inverse * total_gamma / count
    return NormGradient(scale, slope, scale * total_beta / count - slope * mean)


def norm_gradient(
    error: torch.Tensor, maps: torch.Tensor, of_norm: NormGradient, rectified: bool = False
) -> torch.Tensor:
    """Return the gradient of batch norm's input `maps`; both (n, C, H, W), channels last.

    If `rectified`, maps come from a rectifier and the gradient of its input is returned.
    """
    result = new_maps(len(maps), maps.shape[1:], maps.dtype)
    factors = [factor.numpy() for factor in of_norm]
    spread(
        lambda *arrays: loops.norm_gradient(*arrays, *factors, rectified),
        array(error),
        array(maps),
        array(result),
    )
    return result


def join(parts: Sequence[torch.Tensor]) -> torch.Tensor:
    """Join parts (n, C, H, W) into one channels-last tensor."""
    return parts[0] if len(parts) == 1 else torch.cat(list(parts), out=_space(parts))


def _space(parts: Sequence[torch.Tensor]) -> torch.Tensor:
    """Return an empty channels-last tensor for the images of all parts."""
    return new_maps(sum(map(len, parts)), parts[0].shape[1:], parts[0].dtype)


class Normalise(torch.autograd.Function):
    """gamma (x - mean) / sqrt(variance + eps) + beta, with the statistics of `x` on all ranks."""

    @staticmethod
    def forward(
        ctx: Any,
        x: torch.Tensor,
        gamma: torch.Tensor,
        beta: torch.Tensor,
        mean: torch.Tensor,
        variance: torch.Tensor,
        eps: float,
        count: int,
    ) -> torch.Tensor:
        inverse = torch.rsqrt(variance + eps)
        ctx.save_for_backward(x, gamma, mean, inverse)
        ctx.count = count
        scale = gamma * inverse
        if _lies_as_loops_read(x):
            return scale_and_join([x], scale, beta - mean * scale)
        return scale_and_shift(x, scale, beta - mean * scale)

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        x, gamma, mean, inverse = ctx.saved_tensors
        dtype = gamma.dtype
        gradient = laid_out_as(x, gradient)
        of_gamma, of_beta, _ = gradient_sums(gradient, x, mean, inverse)
        of_norm = of_norm_input(gamma, mean, inverse, (of_gamma, of_beta), ctx.count)
        if _lies_as_loops_read(x):
            of_x = norm_gradient(gradient, x, of_norm)
        else:
            scale, slope, offset = (per_map(factor, x) for factor in of_norm)
            of_x = torch.addcmul(-offset, gradient.to(dtype), scale)
            of_x = of_x.addcmul_(x.to(dtype), slope, value=-1).to(x.dtype)
        return of_x, of_gamma, of_beta, None, None, None, None


def _lies_as_loops_read(x: torch.Tensor) -> bool:
    """Tell whether a tensor is channels-last maps on the CPU, as `ops.loops` reads them."""
    if x.device.type != 'cpu' or x.dim() != 4:
        return False
    return x.is_contiguous(memory_format=torch.channels_last)
