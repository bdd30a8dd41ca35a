"""Scaling and batch norm of the input pixels, moved into the convolution behind them."""

from __future__ import annotations

import torch

from neon_rnn.engines.torch.layers.feedforward import BatchNorm, DataTransform
from neon_rnn.engines.torch.layers.transforms import Normalizer
from neon_rnn.engines.torch.ops.normalisation import statistics


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
        """Return pixels (batch, C, H, W) and weight (K, C, R, S), both with C + 1 channels."""
        norm, divisor = self.norm, self.divisor
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
        widened = torch.cat([weight * gamma, (weight * beta).sum(1, keepdim=True)], dim=1)
        return normal.permute(0, 3, 1, 2), widened
