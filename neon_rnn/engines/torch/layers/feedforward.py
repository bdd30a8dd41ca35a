"""Linear, bias, activation, batch norm and dropout (neon/layers/layer.py)."""

from __future__ import annotations

from collections.abc import Iterator

import numpy
import torch
from torch.nn import functional

from neon_rnn.engines.torch import backend, distributed
from neon_rnn.engines.torch.layers.base import (
    Layer,
    Shape,
    Weight,
    column,
    features,
    parameter,
    statistic,
)
from neon_rnn.engines.torch.layers.initializers import Initializer
from neon_rnn.engines.torch.layers.transforms import Rectlin, Transform
from neon_rnn.engines.torch.ops.matmul import linear
from neon_rnn.engines.torch.ops.normalisation import Normalise, statistics, update_running
from neon_rnn.support.errors import UsageError


class Linear(Layer):
    """y = W x on the flattened features, in the order (C, H, W)."""

    def __init__(self, nout: int, init: Initializer, name: str | None = None) -> None:
        super().__init__(name)
        self.nout, self.init = nout, init

    def configure(self, in_shape: Shape) -> Shape:
        super().configure(in_shape)
        self.out_shape = (self.nout,)
        return self.out_shape

    def make_parameters(self, rng: numpy.random.RandomState) -> None:
        self.weight = parameter(self.init.sample(rng, (self.nout, features(self.in_shape))))

    def weights(self) -> Iterator[Weight]:
        yield Weight('W', (self.weight,), lambda tensors: tensors[0], lambda packed: [packed])

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return linear(x.flatten(1), self.weight)


class Bias(Layer):
    """Adds one learned number to each feature map."""

    owns_output = False

    def __init__(self, init: Initializer, name: str | None = None) -> None:
        super().__init__(name)
        self.init = init

    def make_parameters(self, rng: numpy.random.RandomState) -> None:
        self.bias = parameter(self.init.sample(rng, (self.in_shape[0], 1))[:, 0])

    def weights(self) -> Iterator[Weight]:
        yield column('W', self.bias)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.bias.reshape((1, -1) + (1,) * (x.dim() - 2))


class Activation(Layer):
    """Applies a transform."""

    owns_output = False

    def __init__(self, transform: Transform, name: str | None = None) -> None:
        super().__init__(name)
        self.transform = transform

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.transform(x)


def is_rectifier(layer: Layer) -> bool:
    """Tell whether a layer is a rectifier without a slope, and nothing else."""
    if type(layer) is not Activation:
        return False
    return isinstance(layer.transform, Rectlin) and not layer.transform.slope


class DataTransform(Activation):
    """Applies a transform to the input pixels; no gradient goes through, as in neon."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return super().forward(x.detach())


class BatchNorm(Layer):
    """Batch norm of each feature map (of each feature for flat input), with neon's statistics.

    The variance of the minibatch is the biased one. Running mean and variance start at 0 and move
    by 1 - rho. Inference uses the running values alone. Parameters in neon's order: beta, gamma.
    """

    gmean: torch.Tensor
    gvar: torch.Tensor

    def __init__(self, rho: float = 0.9, eps: float = 1e-3, name: str | None = None) -> None:
        super().__init__(name)
        self.rho, self.eps = rho, eps

    def make_parameters(self, rng: numpy.random.RandomState) -> None:
        size = self.in_shape[0]
        self.beta = parameter(numpy.zeros(size))
        self.gamma = parameter(numpy.ones(size))
        self.register_buffer('gmean', statistic(size))
        self.register_buffer('gvar', statistic(size))

    def weights(self) -> Iterator[Weight]:
        for name in ('beta', 'gamma', 'gmean', 'gvar'):
            yield column(name, getattr(self, name))

    def update(self, mean: torch.Tensor, variance: torch.Tensor) -> None:
        """Move the running statistics towards those of a minibatch (the biased variance)."""
        update_running(self.gmean, mean, self.rho)
        update_running(self.gvar, variance, self.rho)

    def in_inference(self, dtype: torch.dtype | None = None) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the scale and the shift, (C,) each, that inference applies to each feature map.

        They are computed in `dtype`, or else in the type of the layer.
        """
        gamma, beta, mean, variance = (
            each.to(dtype or each.dtype) for each in (self.gamma, self.beta, self.gmean, self.gvar)
        )
        scale = gamma * torch.rsqrt(variance + self.eps)
        return scale, beta - mean * scale

    @staticmethod
    def count(values: int) -> int:
        """Return the values of a feature map on all ranks, from the number on this one.

        Raises
        ------
        UsageError
            There is only one.
        """
        count = values * distributed.ranks()
        if count == 1:
            raise UsageError(
                'batch norm in training needs more than one value in each feature map: use a '
                'larger batch.'
            )
        return count

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if not self.training:
            return functional.batch_norm(
                x, self.gmean, self.gvar, self.gamma, self.beta, False, 0.0, self.eps
            )
        count = self.count(x.numel() // x.shape[1])
        if x.device.type == 'cpu' or distributed.ranks() > 1:
            with torch.no_grad():
                mean, variance = statistics(x, count)
            self.update(mean, variance)
            return Normalise.apply(x, self.gamma, self.beta, mean, variance, self.eps, count)
        # cuDNN's running variance is the unbiased one, neon's the biased one: PyTorch gets neon's,
        # divided by the ratio of the two.
        biased = (count - 1) / count
        running_variance = self.gvar / biased
        y = functional.batch_norm(
            x, self.gmean, running_variance, self.gamma, self.beta, True, 1 - self.rho, self.eps
        )
        torch.mul(running_variance, biased, out=self.gvar)
        return y


class Dropout(Layer):
    """Keeps each value with probability `keep` in training, scales by `keep` in inference.

    The mask is the one of neon's cpu backend: ``rng.uniform(size=(features, batch)) < keep``. Every
    rank makes the mask of the whole minibatch and takes its part.
    """

    owns_output = False

    def __init__(self, keep: float = 0.5, name: str | None = None) -> None:
        super().__init__(name)
        self.keep = keep

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if not self.training:
            return x * self.keep
        batch = x.shape[0] * distributed.ranks()
        mask = backend.active().rng.uniform(size=(features(self.in_shape), batch)) < self.keep
        mask = mask[:, distributed.own_part(batch)]
        return x * torch.from_numpy(mask.T.reshape(x.shape)).to(x.device, x.dtype)
