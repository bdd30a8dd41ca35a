"""Scaling and batch norm of the input pixels, without a gradient of the pixels.

Nothing but gamma and beta of this batch norm needs that gradient. They get theirs from the gradient
of the weight of the layer that follows, a convolution or a linear layer.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch.autograd.function import once_differentiable

from neon_rnn.engines.torch.layers.feedforward import BatchNorm, DataTransform
from neon_rnn.engines.torch.layers.transforms import Normalizer
from neon_rnn.engines.torch.ops import loops
from neon_rnn.engines.torch.ops.arrays import array, new_maps, spread
from neon_rnn.engines.torch.ops.matmul import matrix_dtype, product, weight_gradient
from neon_rnn.engines.torch.ops.normalisation import per_map, statistics

#: Rows of a weight that are read at a time.
ROWS = 8


class NormalisedPixels:
    """Turn pixels and the weight of a convolution so that the convolution also normalises.

    With the normalised pixels n, the convolution reads z = gamma n + beta inside the image and 0 in
    its padding. That equals the convolution of (n, 1), which has one more channel of ones, with the
    weight (gamma W, sum of beta W over the channels). The gradient of this weight holds everything
    that gamma and beta need. So no gradient of the pixels has to be computed.

    Parameters
    ----------
    transform : DataTransform
        A division by a number (`Normalizer`).
    norm : BatchNorm
    """

    def __init__(self, transform: DataTransform, norm: BatchNorm) -> None:
        assert isinstance(transform.transform, Normalizer)
        self.divisor, self.norm = transform.transform.divisor, norm

    def __call__(self, x: torch.Tensor, weight: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return pixels (batch, C, H, W) and weight (K, C, R, S), both with C + 1 channels.

        The pixels are of the type of products (`matrix_dtype`), channels last.
        """
        scale, shift = normalisation(self.norm, self.divisor, x)
        channels, height, width = x.shape[1:]
        normal = new_maps(len(x), (channels + 1, height, width), matrix_dtype(x))
        factors = tuple(scale.numpy()), tuple(shift.numpy())
        spread(
            lambda images, result: loops.pixels(images, result, *factors),
            x.contiguous().numpy(),
            array(normal),
        )
        gamma, beta = self.norm.gamma[:, None, None], self.norm.beta[:, None, None]
        widened = torch.cat([weight * gamma, (weight * beta).sum(1, keepdim=True)], dim=1)
        return normal, widened


def normalisation(
    norm: BatchNorm, divisor: float, x: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return scale and shift, (C,) each, that normalise pixels: those of batch norm but for gamma
    and beta. In training, move the running statistics.
    """
    if norm.training:
        mean, variance = statistics(x, norm.count(x.numel() // x.shape[1]))
        mean, variance = mean / divisor, variance / divisor**2
        norm.update(mean, variance)
    else:
        mean, variance = norm.gmean, norm.gvar
    scale = torch.rsqrt(variance + norm.eps)
    return scale / divisor, -mean * scale


class PixelLinear:
    """The division and the batch norm of the pixels, and the linear layer behind them.

    Parameters
    ----------
    layers : sequence of Layer
        `DataTransform` with a `Normalizer`, `BatchNorm`, `Linear`.
    """

    def __init__(self, layers: Sequence[Any]) -> None:
        self.layers = list(layers)
        transform, self.norm, self.linear = layers
        self.divisor = transform.transform.divisor

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        if x.device.type != 'cpu' or x.requires_grad or not self.norm.training:
            for layer in self.layers:
                x = layer(x)
            return x
        scale, shift = normalisation(self.norm, self.divisor, x)
        gamma, beta = self.norm.gamma, self.norm.beta
        return _PixelLinear.apply(x, scale, shift, gamma, beta, self.linear.weight, matrix_dtype(x))


class _PixelLinear(torch.autograd.Function):
    """y = W z with z = gamma n + beta and n = scale x + shift, x (batch, C, H, W), W (K, C H W).

    With the error e of y, the gradient of W is G = e' z. From n = (z - beta) / gamma follow those
    of beta, the sum over the pixels j of a channel of W_kj e_k, and of gamma, the sum of W_kj G_kj
    less beta times that of beta, divided by gamma. Where gamma is too small for that, it comes from
    the gradient of n.
    """

    @staticmethod
    def forward(
        ctx: Any,
        x: torch.Tensor,
        scale: torch.Tensor,
        shift: torch.Tensor,
        gamma: torch.Tensor,
        beta: torch.Tensor,
        weight: torch.Tensor,
        dtype: torch.dtype,
    ) -> torch.Tensor:
        with torch.no_grad():
            factor, offset = per_map(scale * gamma, x), per_map(shift * gamma + beta, x)
        z = torch.addcmul(offset, x, factor).flatten(1).to(dtype)
        ctx.save_for_backward(x, scale, shift, gamma, beta, weight, z)
        return product(z, weight.to(dtype))

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, error: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        x, scale, shift, gamma, beta, weight, z = ctx.saved_tensors
        error = error.contiguous()
        of_weight = weight_gradient(error, z).to(weight.dtype)
        maps = len(gamma)
        summed = error.to(weight.dtype).sum(0)
        by_map = weight.unflatten(1, (maps, -1))
        of_beta = summed @ by_map.sum(2)
        if bool((gamma.abs() > beta.abs() / 8).all()):
            # Few rows at a time, so that their products stay in the cache.
            pairs = zip(by_map.split(ROWS), of_weight.view_as(by_map).split(ROWS), strict=True)
            products = torch.stack([(rows * gradients).sum((0, 2)) for rows, gradients in pairs])
            of_gamma = (products.sum(0) - beta * of_beta) / gamma
        else:
            of_n = product(error, weight.to(error.dtype).t()).to(weight.dtype).view_as(x)
            normal = torch.addcmul(per_map(shift, x), x, per_map(scale, x))
            of_gamma = (of_n * normal).sum((0, 2, 3))
        return None, None, None, of_gamma, of_beta, of_weight, None
