"""The feed-forward layers (neon/layers/layer.py).

Convolution, linear, bias, activation, pooling, batch norm, dropout.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

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
    filters,
    parameter,
    statistic,
)
from neon_rnn.engines.torch.layers.initializers import Initializer
from neon_rnn.engines.torch.layers.transforms import Transform
from neon_rnn.engines.torch.ops.matmul import linear
from neon_rnn.engines.torch.ops.normalisation import Normalise, statistics, update_running
from neon_rnn.support.errors import UsageError


def _pair(value: Any, keys: tuple[str, str], default: int) -> tuple[int, int]:
    """Return two numbers from neon's ways to give them.

    One int for both, a pair, or a dict with some of `keys`.
    """
    if isinstance(value, dict):
        return value.get(keys[0], default), value.get(keys[1], default)
    first, second = value if isinstance(value, tuple) else (value, value)
    return first, second


def output_size(size: int, window: int, padding: int, stride: int, dilation: int = 1) -> int:
    """Return floor((size - (dilation * (window - 1) + 1) + 2 * padding) / stride) + 1.

    Raises
    ------
    UsageError
        The window does not fit.
    """
    result = (size - (dilation * (window - 1) + 1) + 2 * padding) // stride + 1
    if result < 1:
        raise UsageError(
            'a window of {} (dilation {}, padding {}) does not fit a side of {} pixels.'.format(
                window, dilation, padding, size
            )
        )
    return result


class Convolution(Layer):
    """Cross-correlation with dilation and padding; with `bias` it is neon's ``Convolution_bias``.

    (batch, C, H, W) -> (batch, maps, H', W'), sides by `output_size`. Parameters as for
    `compound.Conv`; `strides`, `padding` and `dilation` may also be pairs.
    """

    def __init__(
        self,
        fshape: tuple[int, int, int],
        strides: Any,
        padding: Any,
        dilation: Any,
        init: Initializer,
        bias: Initializer | None = None,
        name: str | None = None,
    ) -> None:
        super().__init__(name)
        self.rows, self.columns, self.maps = fshape
        self.strides = _pair(strides, ('str_h', 'str_w'), 1)
        self.padding = _pair(padding, ('pad_h', 'pad_w'), 0)
        self.dilation = _pair(dilation, ('dil_h', 'dil_w'), 1)
        self.init, self.init_bias = init, bias
        self.bias: torch.nn.Parameter | None = None

    def configure(self, in_shape: Shape) -> Shape:
        super().configure(in_shape)
        windows = (self.rows, self.columns)
        sides = [
            output_size(*sizes)
            for sizes in zip(
                in_shape[1:], windows, self.padding, self.strides, self.dilation, strict=True
            )
        ]
        self.out_shape = (self.maps, *sides)
        return self.out_shape

    def make_parameters(self, rng: numpy.random.RandomState) -> None:
        packed = self.init.sample(rng, (self.in_shape[0] * self.rows * self.columns, self.maps))
        weight = parameter(packed.T.reshape(self.maps, -1, self.rows, self.columns))
        # For 1x1 filters both memory formats are the same, and a copy would mix up the strides.
        if self.rows * self.columns > 1:
            weight = torch.nn.Parameter(
                weight.detach().contiguous(memory_format=torch.channels_last)
            )
        self.weight = weight
        if self.init_bias is not None:
            self.bias = parameter(self.init_bias.sample(rng, (self.maps, 1))[:, 0])

    def weights(self) -> Iterator[Weight]:
        yield filters('W', self.weight)
        if self.bias is not None:
            yield column('weight_bias', self.bias)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return functional.conv2d(
            x, self.weight, self.bias, self.strides, self.padding, self.dilation
        )


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


class DataTransform(Activation):
    """Applies a transform to the input pixels; no gradient goes through, as in neon."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return super().forward(x.detach())


class Pooling(Layer):
    """Max or average pooling; max ignores the padding, average counts only real pixels.

    Parameters
    ----------
    fshape : int, (rows, columns), or 'all'
        The window; ``'all'`` is the whole map.
    op : {'max', 'avg'}
    strides : int or dict, optional
        Default (None, or neon's empty dict): the window, so that windows do not overlap.
    padding : int or dict
    """

    def __init__(
        self,
        fshape: Any,
        op: str = 'max',
        strides: Any = None,
        padding: Any = 0,
        name: str | None = None,
    ) -> None:
        super().__init__(name)
        if op not in ('max', 'avg'):
            raise UsageError("pooling is 'max' or 'avg', not {!r}.".format(op))
        self.fshape, self.op, self.given_strides = fshape, op, strides
        self.padding = _pair(padding, ('pad_h', 'pad_w'), 0)

    def configure(self, in_shape: Shape) -> Shape:
        super().configure(in_shape)
        sides = in_shape[1], in_shape[2]
        self.window = sides if self.fshape == 'all' else _pair(self.fshape, ('R', 'S'), 1)
        self.strides = (
            _pair(self.given_strides, ('str_h', 'str_w'), 1) if self.given_strides else self.window
        )
        self.out_shape = (
            in_shape[0],
            *(
                output_size(*sizes)
                for sizes in zip(sides, self.window, self.padding, self.strides, strict=True)
            ),
        )
        return self.out_shape

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if self.op == 'max':
            return functional.max_pool2d(x, self.window, self.strides, self.padding)
        return functional.avg_pool2d(
            x, self.window, self.strides, self.padding, count_include_pad=False
        )


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
                mean, variance = statistics([x], count)
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
