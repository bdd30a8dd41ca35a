"""The feed-forward layers: convolution, pooling, linear, batch norm, activation, dropout (neon/layers/layer.py)."""

from __future__ import annotations

import numpy
import torch
from torch.nn import functional

from neon_rnn.engines.torch import backend, distributed
from neon_rnn.engines.torch.layers.base import Layer, Weight, column, features, parameter, statistic
from neon_rnn.engines.torch.ops.matmul import linear
from neon_rnn.engines.torch.ops.normalisation import Normalise, statistics, update_running
from neon_rnn.support.errors import UsageError


def _pair(value, keys: tuple[str, str], default: int) -> tuple[int, int]:
    """neon's ways to give two numbers: an int for both, a pair, or a dict with some of `keys`."""
    if isinstance(value, dict):
        return value.get(keys[0], default), value.get(keys[1], default)
    first, second = value if isinstance(value, tuple) else (value, value)
    return first, second


def output_size(size: int, window: int, padding: int, stride: int, dilation: int = 1) -> int:
    """floor((size - (dilation * (window - 1) + 1) + 2 * padding) / stride) + 1.

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

    (batch, C, H, W) -> (batch, maps, H', W'), sides by `output_size`; parameters as for `compound.Conv`.
    """

    def __init__(
        self, fshape, strides=1, padding=0, dilation=1, init=None, bias=None, name=None
    ) -> None:
        super().__init__(name)
        self.rows, self.columns, self.maps = fshape
        self.strides = _pair(strides, ('str_h', 'str_w'), 1)
        self.padding = _pair(padding, ('pad_h', 'pad_w'), 0)
        self.dilation = _pair(dilation, ('dil_h', 'dil_w'), 1)
        self.init, self.init_bias = init, bias
        self.bias: torch.nn.Parameter | None = None

    def configure(self, in_shape):
        super().configure(in_shape)
        sides = [
            output_size(*sizes)
            for sizes in zip(
                in_shape[1:],
                (self.rows, self.columns),
                self.padding,
                self.strides,
                self.dilation,
                strict=True,
            )
        ]
        self.out_shape = (self.maps, *sides)
        return self.out_shape

    def draw(self, rng):
        packed = self.init.draw(rng, (self.in_shape[0] * self.rows * self.columns, self.maps))
        weight = parameter(packed.T.reshape(self.maps, -1, self.rows, self.columns))
        if (
            self.rows * self.columns > 1
        ):  # else both formats are one, and copies would mix up the strides
            weight = torch.nn.Parameter(
                weight.detach().contiguous(memory_format=torch.channels_last)
            )
        self.weight = weight
        if self.init_bias is not None:
            self.bias = parameter(self.init_bias.draw(rng, (self.maps, 1))[:, 0])

    def weights(self):
        shape = self.weight.shape
        yield Weight(
            'W',
            (self.weight,),
            lambda tensors: tensors[0].reshape(shape[0], -1).t(),
            lambda packed: [packed.t().reshape(shape)],
        )
        if self.bias is not None:
            yield column('weight_bias', self.bias)

    def forward(self, x):
        return functional.conv2d(
            x, self.weight, self.bias, self.strides, self.padding, self.dilation
        )


class Linear(Layer):
    """y = W x on the flattened features, ordered (C, H, W)."""

    def __init__(self, nout: int, init=None, name=None) -> None:
        super().__init__(name)
        self.nout, self.init = nout, init

    def configure(self, in_shape):
        super().configure(in_shape)
        self.out_shape = (self.nout,)
        return self.out_shape

    def draw(self, rng):
        self.weight = parameter(self.init.draw(rng, (self.nout, features(self.in_shape))))

    def weights(self):
        yield Weight('W', (self.weight,), lambda tensors: tensors[0], lambda packed: [packed])

    def forward(self, x):
        return linear(x.flatten(1), self.weight)


class Bias(Layer):
    """Adds one learned number a feature map."""

    owns_output = False

    def __init__(self, init=None, name=None) -> None:
        super().__init__(name)
        self.init = init

    def draw(self, rng):
        self.bias = parameter(self.init.draw(rng, (self.in_shape[0], 1))[:, 0])

    def weights(self):
        yield column('W', self.bias)

    def forward(self, x):
        return x + self.bias.reshape((1, -1) + (1,) * (x.dim() - 2))


class Activation(Layer):
    """Applies a transform."""

    owns_output = False

    def __init__(self, transform, name=None) -> None:
        super().__init__(name)
        self.transform = transform

    def forward(self, x):
        return self.transform(x)


class DataTransform(Activation):
    """Applies a transform to the input pixels; no gradient goes through (neon's returns none)."""

    def forward(self, x):
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

    def __init__(self, fshape, op='max', strides=None, padding=0, name=None) -> None:
        super().__init__(name)
        if op not in ('max', 'avg'):
            raise UsageError("pooling is 'max' or 'avg', not {!r}.".format(op))
        self.fshape, self.op, self.given_strides = fshape, op, strides
        self.padding = _pair(padding, ('pad_h', 'pad_w'), 0)

    def configure(self, in_shape):
        super().configure(in_shape)
        sides = tuple(in_shape[1:])
        self.window = sides if self.fshape == 'all' else _pair(self.fshape, ('R', 'S'), 1)
        self.strides = (
            _pair(self.given_strides, ('str_h', 'str_w'), 1) if self.given_strides else self.window
        )
        self.out_shape = (in_shape[0],) + tuple(
            output_size(*sizes)
            for sizes in zip(sides, self.window, self.padding, self.strides, strict=True)
        )
        return self.out_shape

    def forward(self, x):
        if self.op == 'max':
            return functional.max_pool2d(x, self.window, self.strides, self.padding)
        return functional.avg_pool2d(
            x, self.window, self.strides, self.padding, count_include_pad=False
        )


class BatchNorm(Layer):
    """Batch norm a feature map (a feature for flat input), with neon's running statistics.

    Biased batch variance; running mean and variance start at 0 and move by 1 - rho; inference uses the running values
    alone. Parameters in neon's order: beta, gamma.
    """

    gmean: torch.Tensor
    gvar: torch.Tensor

    def __init__(self, rho: float = 0.9, eps: float = 1e-3, name=None) -> None:
        super().__init__(name)
        self.rho, self.eps = rho, eps

    def draw(self, rng):
        size = self.in_shape[0]
        self.beta = parameter(numpy.zeros(size))
        self.gamma = parameter(numpy.ones(size))
        self.register_buffer('gmean', statistic(size))
        self.register_buffer('gvar', statistic(size))

    def weights(self):
        for name in ('beta', 'gamma', 'gmean', 'gvar'):
            yield column(name, getattr(self, name))

    def update(self, mean: torch.Tensor, variance: torch.Tensor) -> None:
        """Move the running statistics towards those of a minibatch (the biased variance)."""
        update_running(self.gmean, mean, self.rho)
        update_running(self.gvar, variance, self.rho)

    @staticmethod
    def count(values: int) -> int:
        """The values a feature map in a minibatch, on all ranks, from those here."""
        count = values * distributed.ranks()
        if count == 1:
            raise UsageError(
                'batch norm in training needs more than one value a feature map: use a larger batch.'
            )
        return count

    def forward(self, x):
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
        # cuDNN's running variance is the unbiased one, neon's the biased: fold the ratio into what PyTorch sees.
        biased = (count - 1) / count
        running_variance = self.gvar / biased
        y = functional.batch_norm(
            x, self.gmean, running_variance, self.gamma, self.beta, True, 1 - self.rho, self.eps
        )
        torch.mul(running_variance, biased, out=self.gvar)
        return y


class Dropout(Layer):
    """Keeps each value with probability `keep` in training, scales by `keep` in inference.

    The mask is drawn as neon's cpu backend draws it: ``rng.uniform(size=(features, batch)) < keep``, on every rank for
    the whole minibatch.
    """

    owns_output = False

    def __init__(self, keep: float = 0.5, name=None) -> None:
        super().__init__(name)
        self.keep = keep

    def forward(self, x):
        if not self.training:
            return x * self.keep
        batch = x.shape[0] * distributed.ranks()
        mask = backend.active().rng.uniform(size=(features(self.in_shape), batch)) < self.keep
        mask = mask[:, distributed.share(batch)]
        return x * torch.from_numpy(mask.T.reshape(x.shape)).to(x.device, x.dtype)
