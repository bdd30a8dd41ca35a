"""Groups of layers computed in one piece on the CPU: convolution, rectifier, batch norm and max pooling.

The layers themselves stay what `layers` says; a `Sequential` asks `plan` which of them to run together. The results
are the same up to rounding. What a group saves, next to running its layers one by one:

- A minibatch goes through in pieces that stay in the cache from one operation to the next.
- Bias and rectifier are part of oneDNN's convolution.
- The pooling comes before the scale and shift of batch norm, which then works on a quarter of the numbers. For a
  positive gamma the two commute exactly; where gamma is negative, the pooling takes the smallest.
- Backward, the sums of batch norm run over the pooled map only, and no normalised map is ever stored.
- The batch norm of the input pixels moves into the first convolution (`Pixels`), so nothing is propagated back to
  pixels.

Tensors are (batch, C, H, W) in the channels-last memory format.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch

from neon_rnn.engines.torch import distributed
from neon_rnn.engines.torch.layers.base import Layer, features
from neon_rnn.engines.torch.layers.feedforward import (
    Activation,
    BatchNorm,
    Convolution,
    DataTransform,
    Pooling,
)
from neon_rnn.engines.torch.layers.transforms import Normalizer, Rectlin
from neon_rnn.engines.torch.ops.matmul import convolution_relu, matrix_dtype
from neon_rnn.engines.torch.ops.normalisation import by_map, statistics

#: Bytes of a convolution's output that are worked on at a time: a piece and its gradient then fit into the cache.
PIECE = 4 * 2**20

Step = Callable[[torch.Tensor], torch.Tensor]


def plan(layers: Sequence[Layer]) -> list[Step]:
    """What to run, one after another, in place of `layers`."""
    steps: list[Step] = []
    position = 0
    while position < len(layers):
        group = _stage_at(layers, position)
        steps.append(Stage(group) if group else layers[position])
        position += len(group) or 1
    return steps


def _stage_at(layers: Sequence[Any], position: int) -> list[Any]:
    """The layers of the stage that starts here; none if none does."""
    pixels = _match(layers[position : position + 2], (DataTransform, BatchNorm))
    if pixels and not isinstance(layers[position].transform, Normalizer):
        return []
    start = position + 2 * pixels
    group = layers[start : start + 3]
    if not _match(group, (Convolution, Activation, BatchNorm)):
        return []
    if not isinstance(group[1].transform, Rectlin) or group[1].transform.slope:
        return []
    end = start + 3
    if end < len(layers) and isinstance(layers[end], Pooling) and layers[end].op == 'max':
        end += 1
    return list(layers[position:end])


def _match(layers: Sequence[Layer], types: tuple[type, ...]) -> bool:
    return [type(layer) for layer in layers] == list(types)


class Stage:
    """Convolution, rectifier, batch norm and, where there is one, max pooling.

    Parameters
    ----------
    layers : list of Layer
        In that order, perhaps behind the scaling and the batch norm of pixels.
    """

    def __init__(self, layers: list[Any]) -> None:
        self.layers = layers
        self.pixels = Pixels(*layers[:2]) if isinstance(layers[0], DataTransform) else None
        self.convolution, _, self.norm, *pooling = layers[2:] if self.pixels else layers
        self.pooling: Pooling | None = pooling[0] if pooling else None
        #: Size, strides and padding of the pooling.
        self.window = (
            [
                list(pair)
                for pair in (self.pooling.window, self.pooling.strides, self.pooling.padding)
            ]
            if self.pooling
            else []
        )

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
        return _Stage.apply(x, weight, self.convolution.bias, self.norm.gamma, self.norm.beta, self)

    def rectified(
        self, x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None
    ) -> Iterator[torch.Tensor]:
        """The rectified convolution, piece by piece."""
        for piece in self.pieces(x):
            yield convolution_relu(
                piece,
                weight,
                bias,
                self.convolution.strides,
                self.convolution.padding,
                self.convolution.dilation,
            )

    def pieces(self, tensor: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """The images of `tensor` in pieces of which a convolution makes `PIECE` bytes (float32, as its gradient is)."""
        return tensor.split(max(1, PIECE // (4 * features(self.convolution.out_shape))))

    def pool(
        self, a: torch.Tensor, sign: torch.Tensor | None
    ) -> tuple[torch.Tensor, torch.Tensor | None]:
        """The largest of each window (the smallest where `sign` is -1), and where it lies."""
        if self.pooling is None:
            return a, None
        pooled, where = torch.ops.aten.max_pool2d_with_indices(
            a if sign is None else a * sign, *self.window
        )
        return pooled if sign is None else pooled * sign, where

    def _infer(self, x, weight):
        gamma = self.norm.gamma
        scale = gamma * torch.rsqrt(self.norm.gvar + self.norm.eps)
        shift = self.norm.beta - self.norm.gmean * scale
        parts = [
            self.pool(a, _signs(gamma, a.dtype))[0]
            for a in self.rectified(x, weight, self.convolution.bias)
        ]
        return _scaled(parts, scale, shift)


class Pixels:
    """Scaling and batch norm of the pixels, moved into the convolution behind them.

    With the normalised pixels n, the convolution reads z = gamma n + beta inside the image and 0 in its padding. That
    is the convolution of (n, 1), one channel of ones more, with the weights (gamma W, sum of beta W over the channels).
    Its weight gradient then holds all that gamma and beta need, and no gradient of the pixels has to be made.
    """

    def __init__(self, transform: DataTransform, norm: BatchNorm) -> None:
        self.transform, self.norm = transform, norm

    def __call__(self, x: torch.Tensor, weight: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Pixels (batch, C, H, W), weight (K, C, R, S) -> both with C + 1 channels."""
        norm, divisor = self.norm, self.transform.transform.divisor
        if norm.training:
            mean, variance = statistics([x], norm.count(x.numel() // x.shape[1]))
            mean, variance = mean / divisor, variance / divisor**2
            norm.update(mean, variance)
        else:
            mean, variance = norm.gmean, norm.gvar
        scale = torch.rsqrt(variance + norm.eps)
        batch, channels, height, width = x.shape
        normal = x.new_ones(batch, height, width, channels + 1)
        torch.addcmul(
            -mean * scale, x.permute(0, 2, 3, 1), scale / divisor, out=normal[..., :channels]
        )
        gamma, beta = norm.gamma[:, None, None], norm.beta[:, None, None]
        return normal.permute(0, 3, 1, 2), torch.cat(
            [weight * gamma, (weight * beta).sum(1, keepdim=True)], dim=1
        )


class _Stage(torch.autograd.Function):
    """The training pass of a `Stage`."""

    @staticmethod
    def forward(ctx, x, weight, bias, gamma, beta, stage):
        norm = stage.norm
        sign = _signs(gamma, x.dtype)
        rectified, pools = [], []

        def pieces():
            # pooled and counted while the piece is in the cache
            for a in stage.rectified(x, weight, bias):
                rectified.append(a)
                pools.append(stage.pool(a, sign))
                yield a

        count = norm.count(len(x) * features(stage.convolution.out_shape) // len(gamma))
        mean, variance = statistics(pieces(), count)
        norm.update(mean, variance)
        pooled, where = zip(*pools, strict=True)
        inverse = torch.rsqrt(variance + norm.eps)
        ctx.stage, ctx.count, ctx.pieces = stage, count, len(rectified)
        ctx.save_for_backward(x, weight, bias, gamma, mean, inverse, *rectified, *pooled, *where)
        scale = gamma * inverse
        return _scaled(pooled, scale, beta - mean * scale)

    @staticmethod
    def backward(ctx, gradient):
        x, weight, bias, gamma, mean, inverse, *rest = ctx.saved_tensors
        stage, pieces = ctx.stage, ctx.pieces
        rectified, pooled, where = rest[:pieces], rest[pieces : 2 * pieces], rest[2 * pieces :]
        dtype = gamma.dtype
        gradients = [part.to(dtype) for part in gradient.split([len(part) for part in pooled])]
        of_beta, of_gamma = torch.zeros_like(gamma), torch.zeros_like(gamma)
        for part, p in zip(gradients, pooled, strict=True):
            of_beta += part.sum((0, 2, 3))
            of_gamma += (p.to(dtype) - by_map(mean, x)).mul_(part).sum((0, 2, 3))
        of_gamma *= inverse
        total_beta, total_gamma = distributed.total(torch.stack([of_beta, of_gamma]))
        # the gradient of batch norm's input a: scale * unpooled gradient - slope * a - offset
        scale = gamma * inverse
        slope = scale * inverse * total_gamma / ctx.count
        offset = scale * total_beta / ctx.count - slope * mean
        scale, slope, offset = (by_map(values, x) for values in (scale, slope, offset))
        of_x = torch.empty_like(x) if ctx.needs_input_grad[0] else None
        # oneDNN's gradient of the bias costs nothing; in float32 it has two digits less than a sum, so only in bfloat16
        bias_comes = bias is not None and x.dtype == torch.bfloat16
        of_weight, of_bias, done = 0, 0, 0
        for piece, a, part, position in zip(
            stage.pieces(x), rectified, gradients, where, strict=True
        ):
            error = (part * scale).contiguous(memory_format=torch.channels_last)
            a = a.to(dtype)
            if position is not None:
                error = torch.ops.aten.max_pool2d_with_indices_backward(
                    error, a, *stage.window, [1, 1], False, position
                )
            error.addcmul_(a, slope, value=-1).sub_(offset)
            error = torch.ops.aten.threshold_backward.grad_input(error, a, 0, grad_input=error)
            piece_x, piece_weight, piece_bias = torch.ops.aten.convolution_backward(
                error.to(x.dtype),
                piece,
                weight,
                [len(gamma)],
                stage.convolution.strides,
                stage.convolution.padding,
                stage.convolution.dilation,
                False,
                [0, 0],
                1,
                [ctx.needs_input_grad[0], True, bias_comes],
            )
            if of_x is not None:
                of_x[done : done + len(piece)] = piece_x
                done += len(piece)
            of_weight += piece_weight.to(dtype)
            if bias is not None:
                of_bias += piece_bias.to(dtype) if bias_comes else error.sum((0, 2, 3))
        return (
            of_x,
            of_weight.to(weight.dtype),
            of_bias if bias is not None else None,
            of_gamma,
            of_beta,
            None,
        )


def _scaled(
    parts: Sequence[torch.Tensor], scale: torch.Tensor, shift: torch.Tensor
) -> torch.Tensor:
    """The parts in one tensor, scaled and shifted by feature map."""
    first = parts[0]
    whole = torch.empty(
        (sum(map(len, parts)), *first.shape[1:]),
        dtype=first.dtype,
        device=first.device,
        memory_format=torch.channels_last,
    )
    scale, shift = by_map(scale, first), by_map(shift, first)
    for part, place in zip(parts, whole.split(len(first)), strict=True):
        # written in place only in the parts' own type: into another one, PyTorch needs twenty times as long
        operands = shift, part.to(scale.dtype), scale
        if place.dtype == scale.dtype:
            torch.addcmul(*operands, out=place)
        else:
            place.copy_(torch.addcmul(*operands))
    return whole


def _signs(gamma: torch.Tensor, dtype: torch.dtype) -> torch.Tensor | None:
    """Per feature map, 1 or -1 where gamma is negative, as a map; None while there is no negative one."""
    negative = gamma.detach() < 0
    return (
        torch.where(negative, -1.0, 1.0).to(dtype)[None, :, None, None]
        if bool(negative.any())
        else None
    )
