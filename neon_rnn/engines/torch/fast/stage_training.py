"""The training pass of a stage (`fast.stage.Stage`), with its gradients written out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch

from neon_rnn.engines.torch.fast.filters import Gradients
from neon_rnn.engines.torch.layers.base import features
from neon_rnn.engines.torch.ops import threads
from neon_rnn.engines.torch.ops.normalisation import (
    NormGradient,
    PartStatistics,
    gradient_sums,
    join,
    join_statistics,
    norm_gradient,
    of_norm_input,
    part_statistics,
    scale_and_join,
)


class _Minibatch(NamedTuple):
    """The tensors of the whole minibatch that the backward pass reads.

    Those of batch norm are None without one; `output` is None without a last rectifier.
    """

    x: torch.Tensor
    weight: torch.Tensor
    operand: torch.Tensor  # the weight as `filters` takes it
    bias: torch.Tensor | None
    gamma: torch.Tensor | None
    mean: torch.Tensor | None
    inverse: torch.Tensor | None  # 1 / sqrt(variance + eps)
    output: torch.Tensor | None


class _Piece(NamedTuple):
    """The tensors of one piece of the minibatch that the backward pass reads."""

    convolved: torch.Tensor | None  # None without batch norm
    pooled: torch.Tensor
    places: torch.Tensor | None  # of the largest values; None without pooling


def _save(ctx: Any, minibatch: _Minibatch, pieces: Sequence[_Piece]) -> None:
    """Keep the tensors for the backward pass."""
    ctx.save_for_backward(*minibatch, *(tensor for piece in pieces for tensor in piece))


def _saved(ctx: Any) -> tuple[_Minibatch, list[_Piece]]:
    """Return what `_save` kept."""
    tensors = iter(ctx.saved_tensors)
    minibatch = _Minibatch(*(next(tensors) for _ in _Minibatch._fields))
    return minibatch, [
        _Piece(*piece) for piece in zip(*[tensors] * len(_Piece._fields), strict=True)
    ]


class Training(torch.autograd.Function):
    """The training pass of a `Stage`; arguments as in `Stage.__call__`."""

    @staticmethod
    def forward(
        ctx: Any,
        x: torch.Tensor,
        weight: torch.Tensor,
        bias: torch.Tensor | None,
        gamma: torch.Tensor | None,
        beta: torch.Tensor | None,
        shortcut: torch.Tensor | None,
        stage: Any,
    ) -> torch.Tensor:
        ctx.stage = stage
        operand = stage.filters.operand(weight, x.dtype)
        sign = signs(stage) if stage.pooling else None

        def compute(images: torch.Tensor) -> tuple[_Piece, PartStatistics | None]:
            # Each piece is pooled, then read by `part_statistics`, while it is in the cache.
            convolved = stage.convolve(images, operand, bias)
            pooled, places = stage.pool(convolved, sign)
            if stage.norm is None:
                return _Piece(None, pooled, places), None
            return _Piece(convolved, pooled, places), part_statistics(convolved)

        pieces, parts = zip(*threads.each(compute, stage.pieces(x)), strict=True)
        if stage.norm is None:
            _save(ctx, _Minibatch(x, weight, operand, bias, *[None] * 4), pieces)
            return join([piece.pooled for piece in pieces])
        assert gamma is not None
        assert beta is not None
        ctx.count = stage.norm.count(len(x) * features(stage.convolution.out_shape) // len(gamma))
        mean, variance = join_statistics(parts, ctx.count)
        stage.norm.update(mean, variance)
        inverse = torch.rsqrt(variance + stage.norm.eps)
        scale = gamma * inverse
        y = scale_and_join(
            [piece.pooled for piece in pieces],
            scale,
            beta - mean * scale,
            shortcut,
            stage.rectified_last,
        )
        output = y if stage.rectified_last else None
        _save(ctx, _Minibatch(x, weight, operand, bias, gamma, mean, inverse, output), pieces)
        return y

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        stage = ctx.stage
        minibatch, pieces = _saved(ctx)
        x, weight, bias = minibatch.x, minibatch.weight, minibatch.bias
        gradient = gradient.contiguous(memory_format=torch.channels_last)
        sizes = [len(piece.pooled) for piece in pieces]
        errors, images = gradient.split(sizes), x.split(sizes)
        of_gamma = of_beta = of_input = None
        if minibatch.gamma is not None:
            of_gamma, of_beta, of_input, errors = _norm_gradients(
                minibatch, pieces, errors, ctx.count
            )
        wanted = ctx.needs_input_grad[0]
        of_x = torch.empty_like(x) if wanted and len(pieces) > 1 else None
        places = [None] * len(pieces) if of_x is None else of_x.split(sizes)

        def compute(
            piece: _Piece, error: torch.Tensor, images: torch.Tensor, place: torch.Tensor | None
        ) -> Gradients:
            error = _convolved_error(stage, piece, error, of_input)
            gradients = _gradients(stage, minibatch, images, error, wanted)
            if place is None or gradients[0] is None:
                return gradients
            return place.copy_(gradients[0]), *gradients[1:]

        of_images, of_operands, of_biases = zip(
            *threads.each(compute, pieces, errors, images, places), strict=True
        )
        if of_x is None:
            of_x = of_images[0]
        of_operand = _sum(of_operands, weight.dtype)
        of_bias = None if bias is None else _sum(of_biases, bias.dtype)
        of_weight = stage.filters.of_weight(of_operand, weight)
        of_shortcut = join(errors) if ctx.needs_input_grad[5] else None
        return of_x, of_weight, of_bias, of_gamma, of_beta, of_shortcut, None


def _gradients(
    stage: Any, minibatch: _Minibatch, images: torch.Tensor, error: torch.Tensor, wanted: bool
) -> Gradients:
    """Return the gradients of images, if `wanted`, of the operand and of the bias, if any.

    `error` is the gradient of the convolution's output.
    """
    # oneDNN computes the gradient of the bias at no cost. In float32 it has two digits less than a
    # sum, so only the one in bfloat16 is taken.
    biased = minibatch.bias is not None
    by_onednn = biased and images.dtype == torch.bfloat16
    of_images, of_operand, of_bias = stage.filters.gradients(
        error, images, minibatch.operand, (wanted, True, by_onednn)
    )
    if biased and not by_onednn:
        of_bias = error.sum((0, 2, 3))
    return of_images, of_operand, of_bias


def _sum(parts: Sequence[torch.Tensor], dtype: torch.dtype) -> torch.Tensor:
    """Add up parts one after another, in `dtype`."""
    total = parts[0].to(dtype)
    for part in parts[1:]:
        total += part
    return total


def _norm_gradients(
    minibatch: _Minibatch, pieces: Sequence[_Piece], errors: Sequence[torch.Tensor], count: int
) -> tuple[torch.Tensor, torch.Tensor, NormGradient, Sequence[torch.Tensor]]:
    """Compute the gradients of batch norm: of gamma, of beta, of its input, of its output.

    The sums run over the pooled map: elsewhere the error of batch norm is 0. `errors` are those of
    a last rectifier's output, if there is one.
    """
    gamma, mean, inverse = minibatch.gamma, minibatch.mean, minibatch.inverse
    assert gamma is not None
    assert mean is not None
    assert inverse is not None
    sizes = [len(error) for error in errors]
    outputs = minibatch.output
    rectified = [None] * len(sizes) if outputs is None else outputs.split(sizes)

    def sums(
        piece: _Piece, error: torch.Tensor, output: torch.Tensor | None
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        return gradient_sums(error, piece.pooled, mean, inverse, output)

    of_gammas, of_betas, of_outputs = zip(
        *threads.each(sums, pieces, errors, rectified), strict=True
    )
    of_gamma, of_beta = (_sum(parts, gamma.dtype) for parts in (of_gammas, of_betas))
    of_input = of_norm_input(gamma, mean, inverse, (of_gamma, of_beta), count)
    return of_gamma, of_beta, of_input, of_outputs


def _convolved_error(
    stage: Any, piece: _Piece, error: torch.Tensor, of_input: NormGradient | None
) -> torch.Tensor:
    """Propagate the error of one piece back to the convolution's output, in the type of both."""
    if of_input is None:
        # Only the values that the pooling chose have an error; they are those of its output.
        if stage.rectified_first:
            error = torch.ops.aten.threshold_backward(error, piece.pooled, 0)
        return error if piece.places is None else stage.unpool(error, piece.places)
    assert piece.convolved is not None
    if piece.places is None:
        return norm_gradient(error, piece.convolved, of_input, stage.rectified_first)
    return stage.unpool(error, piece.places, piece.convolved, of_input)


def signs(stage: Any) -> torch.Tensor:
    """Return 1 or, where gamma is negative, -1 for each feature map: (C,)."""
    if stage.norm is None:
        return torch.ones(stage.convolution.maps, dtype=stage.convolution.weight.dtype)
    gamma = stage.norm.gamma.detach()
    return torch.where(gamma < 0, -1, 1).to(gamma.dtype)
