"""The arithmetic of batch norm: statistics of a minibatch on all ranks, forward and backward pass.

PyTorch's own kernel for channels-last maps on the CPU adds up thousands of float32 numbers one by
one, which costs two of the seven digits. Here the sums are of many short columns, joined
afterwards.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import torch

from neon_rnn.engines.torch import distributed


def statistics(pieces: Iterable[torch.Tensor], count: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Compute mean and biased variance of each feature map over all pieces and ranks.

    Parameters
    ----------
    pieces : iterable of torch.Tensor
        (n, C, ...) each. Each is read once, when it comes.
    count : int
        Values of a feature map in all pieces, on all ranks.

    Returns
    -------
    mean, variance : torch.Tensor
        (C,), in the type of the pieces; float32 for bfloat16.
    """
    means, variances, weights = [], [], []
    for piece in pieces:
        maps = piece.shape[1]
        columns = _columns(piece)
        running = None
        if columns.dtype == torch.bfloat16:
            # Given running statistics in float32, PyTorch does not round those of bfloat16 to three
            # digits. The momentum of 0 leaves the running statistics alone.
            running = columns.new_zeros(columns.shape[1], dtype=torch.float32)
        each_mean, each_variance = torch.batch_norm_update_stats(columns, running, running, 0.0)
        means.append(each_mean.reshape(-1, maps))
        variances.append(each_variance.reshape(-1, maps))
        size = piece.numel() // each_mean.numel()
        weights.append(torch.full_like(means[-1][:, :1], size / count))
    # Chan, Golub and LeVeque (1979): mean and variance of the whole from those of its parts.
    weight, each_mean, each_variance = torch.cat(weights), torch.cat(means), torch.cat(variances)
    mean = distributed.sum_over_ranks((weight * each_mean).sum(0))
    return mean, distributed.sum_over_ranks(
        (weight * (each_variance + (each_mean - mean) ** 2)).sum(0)
    )


def _columns(piece: torch.Tensor) -> torch.Tensor:
    """View a map as short columns.

    (n, C, H, W) becomes (1, n * C, H, W); with channels last, (n * H, W * C, 1, 1).
    """
    if piece.dim() == 4 and piece.is_contiguous():
        return piece.flatten(0, 1)[None]
    if piece.dim() == 4 and piece.is_contiguous(memory_format=torch.channels_last):
        return piece.permute(0, 2, 3, 1).reshape(piece.shape[0] * piece.shape[2], -1, 1, 1)
    return piece


@torch.no_grad()
def update_running(running: torch.Tensor, batch: torch.Tensor, rho: float) -> None:
    """Set neon's running mean or variance (C,) to rho * running + (1 - rho) * batch, in place."""
    running.mul_(rho).add_(batch, alpha=1 - rho)


def per_map(values: torch.Tensor, like: torch.Tensor) -> torch.Tensor:
    """Shape one value for each feature map, (C,), as (1, C, 1, ...) for a tensor (n, C, ...)."""
    return values.reshape(1, -1, *[1] * (like.dim() - 2))


def scale_and_shift(x: torch.Tensor, scale: torch.Tensor, shift: torch.Tensor) -> torch.Tensor:
    """Compute x * scale + shift for each feature map, in the type of `x`."""
    return torch.addcmul(per_map(shift, x), x, per_map(scale, x)).to(x.dtype)


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
    scale, shift = per_map(scale, whole), per_map(shift, whole)
    start = 0
    for part in parts:
        place = whole[start : start + len(part)]
        # Written in place only in the parts' own type. Into another type, PyTorch needs twenty
        # times as long.
        if place.dtype == scale.dtype:
            values = torch.addcmul(shift, part, scale, out=place)
        else:
            values = torch.addcmul(shift, part.to(scale.dtype), scale)
        if shortcut is not None:
            values += shortcut[start : start + len(part)]
        if rectified:
            values.relu_()
        if values is not place:
            place.copy_(values)
        start += len(part)
    return whole


def join(parts: Sequence[torch.Tensor]) -> torch.Tensor:
    """Join parts (n, C, H, W) into one channels-last tensor."""
    return parts[0] if len(parts) == 1 else torch.cat(list(parts), out=_space(parts))


def _space(parts: Sequence[torch.Tensor]) -> torch.Tensor:
    """Return an empty channels-last tensor for the images of all parts."""
    first = parts[0]
    return torch.empty(
        (sum(map(len, parts)), *first.shape[1:]),
        dtype=first.dtype,
        device=first.device,
        memory_format=torch.channels_last,
    )


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
        return scale_and_shift(x, scale, beta - mean * scale)

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        x, gamma, mean, inverse = ctx.saved_tensors
        dtype = gamma.dtype
        error = gradient.to(dtype)
        others = [dimension for dimension in range(x.dim()) if dimension != 1]
        centred = x.to(dtype) - per_map(mean, x)
        of_beta = error.sum(others)
        of_gamma = (centred * error).sum(others) * inverse
        total_beta, total_gamma = distributed.sum_over_ranks(torch.stack([of_beta, of_gamma]))
        scale = gamma * inverse
        of_x = error * per_map(scale, x)
        of_x.sub_(per_map(scale * total_beta / ctx.count, x))
        of_x.addcmul_(centred, per_map(scale * inverse * total_gamma / ctx.count, x), value=-1)
        return of_x.to(x.dtype), of_gamma, of_beta, None, None, None, None
