"""A stage: convolution, rectifier, batch norm and max pooling, computed in one piece on the CPU.

What a stage saves, compared with its layers one by one:

- A minibatch goes through in pieces that stay in the cache from one operation to the next.
- Bias and rectifier are part of oneDNN's convolution.
- The pooling comes before the scale and shift of batch norm, which then works on a quarter of the
  numbers. For a positive gamma the two commute exactly. Where gamma is negative, the pooling takes
  the smallest value.
- In the backward pass, the sums of batch norm run over the pooled map only. No normalised map is
  ever stored.
- The batch norm of the input pixels moves into the first convolution (`pixels.NormalisedPixels`),
  so no gradient is propagated back to pixels.

Tensors are (batch, C, H, W) in the channels-last memory format.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import torch

from neon_rnn.engines.torch import distributed
from neon_rnn.engines.torch.fast.pixels import NormalisedPixels
from neon_rnn.engines.torch.layers.base import features
from neon_rnn.engines.torch.layers.convolution import Pooling
from neon_rnn.engines.torch.layers.feedforward import DataTransform
from neon_rnn.engines.torch.ops.matmul import convolution_relu, matrix_dtype
from neon_rnn.engines.torch.ops.normalisation import per_map, scale_and_join, statistics

#: Bytes of a convolution's output that are computed at a time. A piece and its gradient then fit
#: into the cache.
PIECE = 4 * 2**20


class Stage:
    """Convolution, rectifier, batch norm and, where there is one, max pooling.

    Parameters
    ----------
    layers : sequence of Layer
        In that order; the division and the batch norm of the pixels may come before them.
    """

    def __init__(self, layers: Sequence[Any]) -> None:
        self.layers = list(layers)
        self.pixels: NormalisedPixels | None = None
        if isinstance(layers[0], DataTransform):
            self.pixels, layers = NormalisedPixels(*layers[:2]), layers[2:]
        self.convolution, _, self.norm, *pooling = layers
        self.pooling: Pooling | None = pooling[0] if pooling else None

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        if x.device.type != 'cpu' or (self.pixels and x.requires_grad):
            for layer in self.layers:
                x = layer(x)
            return x
        weight = self.convolution.weight
        if self.pixels:
            x, weight = self.pixels(x, weight)
        dtype = matrix_dtype(x)
        x = x.to(dtype, memory_format=torch.channels_last)
        weight = weight.to(dtype, memory_format=torch.channels_last)
        if not self.norm.training:
            return self._infer(x, weight)
        return _Training.apply(
            x, weight, self.convolution.bias, self.norm.gamma, self.norm.beta, self
        )

    def rectified(
        self, x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None
    ) -> Iterator[torch.Tensor]:
        """Iterate over the rectified convolution, piece by piece."""
        convolution = self.convolution
        for images in self.pieces(x):
            yield convolution_relu(
                images,
                weight,
                bias,
                convolution.strides,
                convolution.padding,
                convolution.dilation,
            )

    def pieces(self, images: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Split images so that the convolution of each piece takes `PIECE` bytes.

        Counted in float32, the type of the gradient.
        """
        return images.split(max(1, PIECE // (4 * features(self.convolution.out_shape))))

    def pool(
        self, rectified: torch.Tensor, sign: torch.Tensor | None
    ) -> tuple[torch.Tensor, torch.Tensor | None]:
        """Return the largest value of each window and its position.

        Where `sign` is -1, it is the smallest value. Without pooling: the map itself and None.
        """
        if self.pooling is None:
            return rectified, None
        pooled, positions = torch.ops.aten.max_pool2d_with_indices(
            rectified if sign is None else rectified * sign, *self._window()
        )
        return pooled if sign is None else pooled * sign, positions

    def unpool(
        self, error: torch.Tensor, rectified: torch.Tensor, positions: torch.Tensor | None
    ) -> torch.Tensor:
        """Return the gradient of the pooling's input from that of its output."""
        if positions is None:
            return error
        return torch.ops.aten.max_pool2d_with_indices_backward(
            error, rectified, *self._window(), [1, 1], False, positions
        )

    def _window(self) -> tuple[list[int], list[int], list[int]]:
        """Return size, strides and padding of the pooling."""
        assert self.pooling is not None
        return list(self.pooling.window), list(self.pooling.strides), list(self.pooling.padding)

    def convolution_gradients(
        self,
        error: torch.Tensor,
        images: torch.Tensor,
        weight: torch.Tensor,
        wanted: tuple[bool, bool, bool],
    ) -> tuple[torch.Tensor, ...]:
        """Return the gradients of images, weight and bias; None for what is not `wanted`."""
        convolution, no_output_padding, groups = self.convolution, [0, 0], 1
        return torch.ops.aten.convolution_backward(
            error,
            images,
            weight,
            [len(weight)],
            convolution.strides,
            convolution.padding,
            convolution.dilation,
            False,
            no_output_padding,
            groups,
            wanted,
        )

    def _infer(self, x: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
        gamma = self.norm.gamma
        scale = gamma * torch.rsqrt(self.norm.gvar + self.norm.eps)
        shift = self.norm.beta - self.norm.gmean * scale
        pooled = [
            self.pool(rectified, _signs(gamma, rectified.dtype))[0]
            for rectified in self.rectified(x, weight, self.convolution.bias)
        ]
        return scale_and_join(pooled, scale, shift)


class _Minibatch(NamedTuple):
    """The tensors of the whole minibatch that the backward pass reads."""

    x: torch.Tensor
    weight: torch.Tensor
    bias: torch.Tensor | None
    gamma: torch.Tensor
    mean: torch.Tensor
    inverse: torch.Tensor  # 1 / sqrt(variance + eps)


class _Piece(NamedTuple):
    """The tensors of one piece of the minibatch that the backward pass reads."""

    rectified: torch.Tensor
    pooled: torch.Tensor
    positions: torch.Tensor | None  # of the largest values; None without pooling


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


class _NormGradient(NamedTuple):
    """The gradient of batch norm's input a: scale * error - slope * a - offset, (1, C, 1, 1) each.

    `error` is the gradient of batch norm's output.
    """

    scale: torch.Tensor
    slope: torch.Tensor
    offset: torch.Tensor


class _Training(torch.autograd.Function):
    """The training pass of a `Stage`."""

    @staticmethod
    def forward(
        ctx: Any,
        x: torch.Tensor,
        weight: torch.Tensor,
        bias: torch.Tensor | None,
        gamma: torch.Tensor,
        beta: torch.Tensor,
        stage: Stage,
    ) -> torch.Tensor:
        norm = stage.norm
        sign = _signs(gamma, x.dtype)
        pieces: list[_Piece] = []

        def rectified_pieces() -> Iterator[torch.Tensor]:
            # Each piece is pooled, then read by `statistics`, while it is in the cache.
            for rectified in stage.rectified(x, weight, bias):
                pieces.append(_Piece(rectified, *stage.pool(rectified, sign)))
                yield rectified

        count = norm.count(len(x) * features(stage.convolution.out_shape) // len(gamma))
        mean, variance = statistics(rectified_pieces(), count)
        norm.update(mean, variance)
        inverse = torch.rsqrt(variance + norm.eps)
        ctx.stage, ctx.count = stage, count
        _save(ctx, _Minibatch(x, weight, bias, gamma, mean, inverse), pieces)
        scale = gamma * inverse
        return scale_and_join([piece.pooled for piece in pieces], scale, beta - mean * scale)

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        stage: Stage = ctx.stage
        minibatch, pieces = _saved(ctx)
        x, weight, bias = minibatch.x, minibatch.weight, minibatch.bias
        dtype = minibatch.gamma.dtype
        lengths = [len(piece.pooled) for piece in pieces]
        errors = [error.to(dtype) for error in gradient.split(lengths)]
        of_gamma, of_beta, of_input = _norm_gradients(minibatch, pieces, errors, ctx.count)
        of_x = torch.empty_like(x) if ctx.needs_input_grad[0] else None
        of_weight = torch.zeros_like(weight, dtype=dtype)
        of_bias = None if bias is None else torch.zeros_like(bias, dtype=dtype)
        # oneDNN computes the gradient of the bias at no cost. In float32 it has two digits less
        # than a sum, so only the one in bfloat16 is taken.
        wanted = (of_x is not None, True, bias is not None and x.dtype == torch.bfloat16)
        done = 0
        for images, piece, error in zip(stage.pieces(x), pieces, errors, strict=True):
            error = _rectified_error(stage, piece, error, of_input)
            piece_x, piece_weight, piece_bias = stage.convolution_gradients(
                error.to(x.dtype), images, weight, wanted
            )
            if of_x is not None:
                of_x[done : done + len(images)] = piece_x
                done += len(images)
            of_weight += piece_weight.to(dtype)
            if of_bias is not None:
                of_bias += piece_bias.to(dtype) if wanted[2] else error.sum((0, 2, 3))
        return of_x, of_weight.to(weight.dtype), of_bias, of_gamma, of_beta, None


def _norm_gradients(
    minibatch: _Minibatch, pieces: Sequence[_Piece], errors: Sequence[torch.Tensor], count: int
) -> tuple[torch.Tensor, torch.Tensor, _NormGradient]:
    """Compute the gradients of batch norm: of gamma, of beta, of its input.

    The sums run over the pooled map: elsewhere the error of batch norm is 0.
    """
    x, gamma, mean, inverse = minibatch.x, minibatch.gamma, minibatch.mean, minibatch.inverse
    of_beta, of_gamma = torch.zeros_like(gamma), torch.zeros_like(gamma)
    for piece, error in zip(pieces, errors, strict=True):
        of_beta += error.sum((0, 2, 3))
        centred = piece.pooled.to(gamma.dtype) - per_map(mean, x)
        of_gamma += centred.mul_(error).sum((0, 2, 3))
    of_gamma *= inverse
    total_beta, total_gamma = distributed.sum_over_ranks(torch.stack([of_beta, of_gamma]))
    scale = gamma * inverse
    slope = scale * inverse * total_gamma / count
    offset = scale * total_beta / count - slope * mean
    of_input = _NormGradient(*(per_map(values, x) for values in (scale, slope, offset)))
    return of_gamma, of_beta, of_input


def _rectified_error(
    stage: Stage, piece: _Piece, error: torch.Tensor, of_input: _NormGradient
) -> torch.Tensor:
    """Propagate the error of one piece back to the convolution's output."""
    rectified = piece.rectified.to(error.dtype)
    error = (error * of_input.scale).contiguous(memory_format=torch.channels_last)
    error = stage.unpool(error, rectified, piece.positions)
    error.addcmul_(rectified, of_input.slope, value=-1).sub_(of_input.offset)
    return torch.ops.aten.threshold_backward.grad_input(error, rectified, 0, grad_input=error)


def _signs(gamma: torch.Tensor, dtype: torch.dtype) -> torch.Tensor | None:
    """Return 1 or, where gamma is negative, -1 for each feature map; None if none is negative."""
    negative = gamma.detach() < 0
    if not bool(negative.any()):
        return None
    return torch.where(negative, -1.0, 1.0).to(dtype)[None, :, None, None]
