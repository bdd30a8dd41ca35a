"""What prediction runs in place of layers: convolutions and products with everything folded in.

Batch norm in inference is a scale and a shift for each feature map. It goes into the weights before
it; where a rectifier or the zeros of a padding stand between, it stays a pass over the (pooled)
map. Weights are stored once in the order that oneDNN computes with. Maps are (n, C, H, W), channels
last.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy
import torch

from neon_rnn.engines.torch.layers.convolution import Convolution
from neon_rnn.engines.torch.layers.feedforward import BatchNorm
from neon_rnn.engines.torch.ops import loops
from neon_rnn.engines.torch.ops.arrays import array, new_maps
from neon_rnn.engines.torch.ops.normalisation import scale_and_shift
from neon_rnn.engines.torch.predicting.pooling import PooledStage

Step = Callable[..., torch.Tensor]

#: Subtracted from pixels before the first product: bfloat16 holds the differences exactly, and the
#: products do not cancel.
CENTRE = 128
#: Bytes of the largest map that is computed at a time: more do not stay in the cache.
CACHED = 4 * 2**20


class Affine(NamedTuple):
    """y = scale * x + shift for each feature map; both (C,).

    In float64 while layers are folded, so that weights are rounded once; in float32 as a step.
    """

    scale: torch.Tensor
    shift: torch.Tensor

    @classmethod
    def of(cls, norm: BatchNorm) -> Affine:
        """Return what a batch norm does in inference."""
        return cls(*norm.in_inference(torch.float64))

    def after(self, before: Affine) -> Affine:
        """Return both as one: first `before`, then this."""
        return Affine(self.scale * before.scale, self.scale * before.shift + self.shift)

    def single(self) -> Affine:
        """Return it in float32."""
        return Affine(self.scale.float(), self.shift.float())

    def keeps_zero(self) -> bool:
        """Tell whether zero stays zero, so that it may come behind a padding."""
        return not bool(self.shift.any())

    def centred(self) -> Affine:
        """Return what gives the same for x - `CENTRE` as this gives for x."""
        return Affine(self.scale, self.shift + CENTRE * self.scale)

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        return scale_and_shift(x, *self)


class Pixels(NamedTuple):
    """Turns pixels, uint8, into floats minus `centre`."""

    dtype: torch.dtype
    centre: int

    def __call__(self, pixels: torch.Tensor) -> torch.Tensor:
        x = pixels.to(self.dtype)
        return x.sub_(self.centre) if self.centre else x


class PixelPlanes(NamedTuple):
    """Turns pixels, uint8 (n, C, H, W), into floats minus `CENTRE`, and a channel of ones.

    A convolution behind it can then add a shift inside the image and nothing in its padding.
    """

    dtype: torch.dtype

    def __call__(self, pixels: torch.Tensor) -> torch.Tensor:
        batch, channels, height, width = pixels.shape
        planes = new_maps(batch, (channels + 1, height, width), self.dtype)
        scale = (numpy.float32(1),) * channels
        shift = (numpy.float32(-CENTRE),) * channels
        loops.pixels(pixels.numpy(), array(planes), scale, shift)
        return planes


def widened(weight: torch.Tensor, affine: Affine | None) -> torch.Tensor:
    """Return the weight (K, C + 1, R, S) for `PixelPlanes` that applies `affine` to the pixels."""
    if affine is None:
        ones = torch.ones(weight.shape[1], dtype=torch.float64)
        affine = Affine(ones, torch.zeros_like(ones))
    scale, shift = (each[:, None, None] for each in affine.centred())
    return torch.cat([weight * scale, (weight * shift).sum(1, keepdim=True)], dim=1)


class ConvolutionStep:
    """A convolution, then what is folded into it or follows it piece by piece.

    Parameters
    ----------
    layer : Convolution
        For its strides, padding and dilation.
    weight : torch.Tensor
        (K, C, R, S).
    bias : torch.Tensor or None
        (K,).
    dtype : torch.dtype
        To compute in.
    images : int
        Images at a time, for which the weight is put in order; and once more for a single one.
    rectified : bool
    pooling : PooledStage, optional
        What follows.
    """

    def __init__(
        self,
        layer: Convolution,
        weight: torch.Tensor,
        bias: torch.Tensor | None,
        dtype: torch.dtype,
        images: int,
        rectified: bool = False,
        pooling: PooledStage | None = None,
    ) -> None:
        self.padding, self.strides = list(layer.padding), list(layer.strides)
        self.dilation = list(layer.dilation)
        self.unary = 'relu' if rectified else 'none'
        self.bias = None if bias is None else bias.to(dtype)
        self.pooling = pooling
        maps, height, width = layer.out_shape
        self.together = max(1, CACHED // (dtype.itemsize * maps * height * width))
        weight = weight.to(dtype).contiguous(memory_format=torch.channels_last).to_mkldnn()
        self.weight, self.weight_for_one = (
            torch.ops.aten.mkldnn_reorder_conv2d_weight(
                weight,
                self.padding,
                self.strides,
                self.dilation,
                1,
                [count, weight.shape[1], *layer.in_shape[1:]],
            )
            for count in (min(images, self.together), 1)
        )

    def __call__(self, x: torch.Tensor, add: torch.Tensor | None = None) -> torch.Tensor:
        """Compute the step; `add`, a map like its output, is added before the rectifier."""
        if add is not None:
            return torch.ops.mkldnn._convolution_pointwise.binary(
                x,
                add,
                self._weight(x),
                self.bias,
                self.padding,
                self.strides,
                self.dilation,
                1,
                'add',
                None,
                None if self.unary == 'none' else self.unary,
                [],
                '',
            )
        if self.pooling is None:
            return self._convolved(x)
        whole = new_maps(len(x), self.pooling.shape, x.dtype)
        for part, place in zip(x.split(self.together), whole.split(self.together), strict=True):
            self.pooling(self._convolved(part), place)
        return whole

    def _weight(self, x: torch.Tensor) -> torch.Tensor:
        """Return the weight in the order for so many images."""
        return self.weight_for_one if len(x) == 1 else self.weight

    def _convolved(self, x: torch.Tensor) -> torch.Tensor:
        return torch.ops.mkldnn._convolution_pointwise(
            x,
            self._weight(x),
            self.bias,
            self.padding,
            self.strides,
            self.dilation,
            1,
            self.unary,
            [],
            '',
        )


class LinearStep:
    """A product with its bias and, if `rectified`, the rectifier.

    Parameters
    ----------
    weight : torch.Tensor
        (m, k).
    bias : torch.Tensor or None
        (m,).
    dtype : torch.dtype
    images : int
        Rows at a time, for which the weight is put in order.
    rectified : bool
    """

    def __init__(
        self,
        weight: torch.Tensor,
        bias: torch.Tensor | None,
        dtype: torch.dtype,
        images: int,
        rectified: bool = False,
    ) -> None:
        self.weight = torch.ops.mkldnn._reorder_linear_weight(weight.to(dtype), images)
        self.bias = None if bias is None else bias.to(dtype)
        self.unary = 'relu' if rectified else 'none'
        self.dtype = dtype

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        x = x.to(self.dtype).flatten(1)  # in the order (C, H, W)
        return torch.ops.mkldnn._linear_pointwise(x, self.weight, self.bias, self.unary, [], '')


class SumStep:
    """The sum of pathways, each a list of steps, and the rectifier behind it.

    Where the first pathway ends in a convolution, that adds the others.
    """

    def __init__(self, pathways: Sequence[Sequence[Step]], rectified: bool) -> None:
        (*self.first, last), *self.others = pathways
        self.last, self.rectified = last, rectified
        self.joined = isinstance(last, ConvolutionStep) and len(self.others) == 1
        if isinstance(last, ConvolutionStep) and self.joined:
            last.unary = 'relu' if rectified else 'none'

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        added = [run(steps, x) for steps in self.others]
        x = run(self.first, x)
        if self.joined:
            return self.last(x, add=added[0])
        x = self.last(x)
        for each in added:
            x = x + each
        return torch.relu(x) if self.rectified else x


class Probabilities:
    """The softmax of what comes, in float32: (n, classes, ...) -> (n, classes)."""

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        return torch.softmax(x.flatten(1).float(), dim=1)


def every_step(steps: Sequence[Step]) -> Iterator[Step]:
    """Iterate over steps and those of the pathways inside them."""
    for step in steps:
        yield step
        if isinstance(step, SumStep):
            for pathway in ([*step.first, step.last], *step.others):
                yield from every_step(pathway)


class MeanPooling:
    """The mean of each map, in float32: (n, C, H, W) -> (n, C, 1, 1)."""

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        return x.mean((2, 3), keepdim=True, dtype=torch.float32)


class MeanOfProducts:
    """The mean of the rectified products of each pixel: (n, C, H, W) -> (n, K), in float32.

    That is a convolution with filters of one pixel, the rectifier, and the mean of its maps.

    Parameters
    ----------
    weight : torch.Tensor
        (K, C).
    bias : torch.Tensor
        (K,).
    share : float
        Of the pixels behind the convolution, how many are not padding.
    padding : torch.Tensor
        (K,): what the others are, after the rectifier.
    """

    def __init__(
        self, weight: torch.Tensor, bias: torch.Tensor, share: float, padding: torch.Tensor
    ) -> None:
        # What is not negative may be scaled before the rectifier.
        self.weight, self.bias = (share * weight).float().numpy(), (share * bias).float().numpy()
        self.added = ((1 - share) * padding).float()

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        means = self.added.new_empty(len(x), len(self.added))
        loops.mean_of_products(array(x), self.weight, self.bias, means.numpy())
        return means.add_(self.added)


def run(steps: Sequence[Step], x: torch.Tensor) -> torch.Tensor:
    """Run steps one after another."""
    for step in steps:
        x = step(x)
    return x
