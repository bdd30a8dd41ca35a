"""The arithmetic of batch norm: statistics over a minibatch, on all ranks, and both passes.

PyTorch's own kernel for channels-last maps on the CPU adds up thousands of float32 numbers one by one, which costs two
of the seven digits. Here the sums are of many short columns, joined afterwards.
"""

from __future__ import annotations

from collections.abc import Iterable

import torch

from neon_rnn.engines.torch import distributed


def statistics(pieces: Iterable[torch.Tensor], count: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Mean and biased variance of each feature map over all pieces and ranks.

    Parameters
    ----------
    pieces : iterable of torch.Tensor
        (n, C, ...) each; each is read once, when it comes.
    count : int
        Values a feature map in all of them, on all ranks.

    Returns
    -------
    mean, variance : torch.Tensor
        (C,), in the type of the pieces; float32 for bfloat16.
    """
    means, variances, weights = [], [], []
    for piece in pieces:
        maps = piece.shape[1]
        columns = _columns(piece)
        # Given running statistics in float32 (which a momentum of 0 leaves alone), PyTorch does not round those of
        # bfloat16 to three digits.
        running = (
            columns.new_zeros(columns.shape[1], dtype=torch.float32)
            if columns.dtype == torch.bfloat16
            else None
        )
        each_mean, each_variance = torch.batch_norm_update_stats(columns, running, running, 0.0)
        means.append(each_mean.reshape(-1, maps))
        variances.append(each_variance.reshape(-1, maps))
        size = piece.numel() // each_mean.numel()
        weights.append(torch.full_like(means[-1][:, :1], size / count))
    # Chan, Golub and LeVeque (1979): how mean and variance of parts make those of the whole
    weight, each_mean, each_variance = torch.cat(weights), torch.cat(means), torch.cat(variances)
    mean = distributed.total((weight * each_mean).sum(0))
    return mean, distributed.total((weight * (each_variance + (each_mean - mean) ** 2)).sum(0))


def _columns(piece: torch.Tensor) -> torch.Tensor:
    """A map in short columns: (n, C, H, W) as (1, n * C, H, W); where channels are last, as (n * H, W * C, 1, 1)."""
    if piece.dim() == 4 and piece.is_contiguous():
        return piece.flatten(0, 1)[None]
    if piece.dim() == 4 and piece.is_contiguous(memory_format=torch.channels_last):
        return piece.permute(0, 2, 3, 1).reshape(piece.shape[0] * piece.shape[2], -1, 1, 1)
    return piece


@torch.no_grad()
def update_running(running: torch.Tensor, batch: torch.Tensor, rho: float) -> None:
    """running = rho * running + (1 - rho) * batch, in place: neon's running mean and variance, (C,)."""
    running.mul_(rho).add_(batch, alpha=1 - rho)


def by_map(values: torch.Tensor, like: torch.Tensor) -> torch.Tensor:
    """(C,) -> (1, C, 1, ...), to go with (n, C, ...)."""
    return values.reshape(1, -1, *[1] * (like.dim() - 2))


def scaled(x: torch.Tensor, scale: torch.Tensor, shift: torch.Tensor) -> torch.Tensor:
    """x * scale + shift by feature map, in the type of `x`."""
    return torch.addcmul(by_map(shift, x), x, by_map(scale, x)).to(x.dtype)


class Normalise(torch.autograd.Function):
    """gamma (x - mean) / sqrt(variance + eps) + beta; mean and variance are those of `x` on all ranks."""

    @staticmethod
    def forward(ctx, x, gamma, beta, mean, variance, eps, count):
        inverse = torch.rsqrt(variance + eps)
        ctx.save_for_backward(x, gamma, mean, inverse)
        ctx.count = count
        scale = gamma * inverse
        return scaled(x, scale, beta - mean * scale)

    @staticmethod
    def backward(ctx, gradient):
        x, gamma, mean, inverse = ctx.saved_tensors
        dtype = gamma.dtype
        error = gradient.to(dtype)
        others = [dimension for dimension in range(x.dim()) if dimension != 1]
        centred = x.to(dtype) - by_map(mean, x)
        of_beta = error.sum(others)
        of_gamma = (centred * error).sum(others) * inverse
        total_beta, total_gamma = distributed.total(torch.stack([of_beta, of_gamma]))
        scale = gamma * inverse
        of_x = error * by_map(scale, x)
        of_x.sub_(by_map(scale * total_beta / ctx.count, x))
        of_x.addcmul_(centred, by_map(scale * inverse * total_gamma / ctx.count, x), value=-1)
        return of_x.to(x.dtype), of_gamma, of_beta, None, None, None, None
