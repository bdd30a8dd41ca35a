"""Fold the layers of a model into the fewer steps that prediction runs."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch

from neon_rnn.engines.torch.layers.base import Layer
from neon_rnn.engines.torch.layers.containers import MergeSum, Sequential, SkipNode
from neon_rnn.engines.torch.layers.convolution import Convolution, Pooling
from neon_rnn.engines.torch.layers.feedforward import (
    Activation,
    BatchNorm,
    Bias,
    DataTransform,
    Linear,
    is_rectifier,
)
from neon_rnn.engines.torch.layers.transforms import Normalizer, Softmax
from neon_rnn.engines.torch.predicting.pooling import PooledStage
from neon_rnn.engines.torch.predicting.steps import (
    CENTRE,
    Affine,
    ConvolutionStep,
    LinearStep,
    MeanOfProducts,
    MeanPooling,
    PixelPlanes,
    Pixels,
    Probabilities,
    Step,
    SumStep,
    widened,
)
from neon_rnn.engines.torch.predicting.sweeps import can_sweep, sweep_step
from neon_rnn.engines.torch.spatial_rnn import SpatialRNN

#: A last convolution to at most so many maps is a loop: a library takes longer to begin.
FEW_MAPS = 16
#: A scale below this cannot be divided by.
SMALLEST = 1e-20


class Folding:
    """A walk through layers that collects the steps.

    A scale and shift (`Affine`) that has been met but not computed yet waits for a layer that can
    take it into its weights; before any other layer it becomes a step of its own.

    Parameters
    ----------
    layers : sequence of Layer
    dtype : torch.dtype
        To compute in: float32 or bfloat16.
    images : int
        Images at a time.
    pixels : bool
        The input is uint8.

    Attributes
    ----------
    steps : list of callable
        What computes the same as the layers in inference.
    """

    def __init__(
        self, layers: Sequence[Layer], dtype: torch.dtype, images: int, pixels: bool = False
    ) -> None:
        self.dtype, self.images, self.pixels = dtype, images, pixels
        self.steps: list[Any] = []
        self.affine: Affine | None = None
        self.layers: list[Any] = [layer for layer in layers if not isinstance(layer, SkipNode)]
        while self.layers:
            self._take(self.layers.pop(0))
        self._settle()

    def _take(self, layer: Layer) -> None:
        """Add the steps of a layer, and of those behind it that go with it."""
        if isinstance(layer, DataTransform) and isinstance(layer.transform, Normalizer):
            divisor = layer.transform.divisor
            scale = torch.full((layer.in_shape[0],), 1 / divisor, dtype=torch.float64)
            self._meet(Affine(scale, torch.zeros_like(scale)))
        elif isinstance(layer, BatchNorm):
            self._meet(Affine.of(layer))
        elif isinstance(layer, Convolution):
            self._convolution(layer)
        elif isinstance(layer, Linear):
            self._linear(layer)
        elif isinstance(layer, SpatialRNN) and can_sweep(layer):
            self._float()
            step = sweep_step(layer, self._taken(), self.dtype, self.images)
            self.steps.append(step)
            self.affine = step.behind
        elif _is_mean(layer):
            self._float()
            self.steps.append(MeanPooling())  # the mean of a scaled map is the scaled mean
        else:
            self._settle()
            self.steps.append(self._other(layer))

    def _other(self, layer: Layer) -> Step:
        if isinstance(layer, MergeSum):
            pathways = [
                Folding(list(pathway), self.dtype, self.images).steps
                for pathway in layer.layers
                if isinstance(pathway, Sequential)
            ]
            return SumStep(pathways, self._took_next(is_rectifier))
        if isinstance(layer, Activation) and isinstance(layer.transform, Softmax):
            return Probabilities()
        return layer

    def _convolution(self, layer: Convolution) -> None:
        if not self.pixels and _reads_single_pixels(layer):
            if self._took_next(_is_mean):
                self._mean_of_convolution(layer)
                return
            few = len(layer.weight) <= FEW_MAPS
            if few and len(self.layers) > 1:
                behind, last = self.layers[:2]
                if is_rectifier(behind) and _is_mean(last):
                    self._rectified_mean(layer)
                    return
        weight: torch.Tensor = layer.weight
        bias: torch.Tensor | None = layer.bias
        if self.pixels:
            weight = widened(weight, self._taken())
            self.steps.append(PixelPlanes(self.dtype))
            self.pixels = False
        elif self.affine is not None and (not any(layer.padding) or self.affine.keeps_zero()):
            scale, shift = (each[:, None, None] for each in self.affine)
            bias = _sum(bias, (weight * shift).sum((1, 2, 3)))
            weight, self.affine = weight * scale, None
        self._settle()
        if self._next_is(BatchNorm):
            norm = Affine.of(self.layers.pop(0))
            weight = weight * norm.scale[:, None, None, None]
            bias = norm.shift if bias is None else norm.scale * bias + norm.shift
        rectified = self._took_next(is_rectifier)
        pooling = self._pooled() if rectified else None
        self.steps.append(
            ConvolutionStep(layer, weight, bias, self.dtype, self.images, rectified, pooling)
        )

    def _mean_of_convolution(self, layer: Convolution) -> None:
        """Add a convolution of single pixels and the mean of its maps: a product with the mean of
        the maps before it. The zeros of a padding make all means smaller.
        """
        self.steps.append(MeanPooling())
        weight = layer.weight.flatten(1).double() * _share_of_pixels(layer)
        self._product(weight, layer.bias, torch.float32)

    def _rectified_mean(self, layer: Convolution) -> None:
        """Take a convolution of single pixels to few maps, the rectifier and the mean behind it."""
        del self.layers[:2]
        weight, affine = layer.weight.flatten(1).double(), self._taken()
        bias = torch.zeros(len(weight)) if layer.bias is None else layer.bias
        of_pixels = bias
        if affine is not None:
            weight, of_pixels = weight * affine.scale, bias + weight @ affine.shift
        # Of the zeros of a padding, a convolution makes its bias.
        self.steps.append(
            MeanOfProducts(weight, of_pixels, _share_of_pixels(layer), torch.relu(bias))
        )

    def _pooled(self) -> PooledStage | None:
        """Take batch norm and max pooling, or only the latter, behind a rectifier."""
        affine = None
        if len(self.layers) > 1 and self._next_is(BatchNorm) and _is_max_pooling(self.layers[1]):
            affine = Affine.of(self.layers[0])
            if bool((affine.scale.abs() < SMALLEST).any()):
                return None
            self.layers.pop(0)
        if not self.layers or not _is_max_pooling(self.layers[0]):
            return None
        scale, shift = affine or (None, None)
        stage = PooledStage(self.layers.pop(0), scale, shift, self.dtype)
        if stage.factor is not None:
            self._meet(Affine(stage.factor, torch.zeros_like(stage.factor)))
        return stage

    def _linear(self, layer: Linear) -> None:
        self._float()
        self._product(layer.weight, None, self.dtype)

    def _product(self, weight: torch.Tensor, bias: torch.Tensor | None, dtype: torch.dtype) -> None:
        """Add a product with a weight (m, k), with what waits before it and what follows."""
        affine = self._taken()
        if affine is not None:
            places = weight.shape[1] // len(affine.scale)
            scale, shift = (each.repeat_interleave(places) for each in affine)
            weight, bias = weight * scale, _sum(bias, weight.double() @ shift)
        if self._next_is(Bias):
            bias = _sum(bias, self.layers.pop(0).bias)
        if self._next_is(BatchNorm):
            norm = Affine.of(self.layers.pop(0))
            weight = weight * norm.scale[:, None]
            bias = norm.shift if bias is None else norm.scale * bias + norm.shift
        rectified = self._took_next(is_rectifier)
        self.steps.append(LinearStep(weight, bias, dtype, self.images, rectified))

    def _meet(self, affine: Affine) -> None:
        """Let a scale and shift wait."""
        self.affine = affine if self.affine is None else affine.after(self.affine)

    def _taken(self) -> Affine | None:
        """Return what waits; it waits no longer."""
        affine, self.affine = self.affine, None
        return affine

    def _float(self) -> None:
        """Add the step that turns pixels into floats, if the maps are still pixels."""
        if self.pixels:
            self.pixels = False
            self.steps.append(Pixels(self.dtype, 0 if self.affine is None else CENTRE))
            self.affine = self.affine and self.affine.centred()

    def _settle(self) -> None:
        """Add what waits as a step of its own."""
        self._float()
        affine = self._taken()
        if affine is not None:
            self.steps.append(affine.single())

    def _next_is(self, kind: type[Layer]) -> bool:
        return bool(self.layers) and type(self.layers[0]) is kind

    def _took_next(self, is_wanted: Callable[[Layer], bool]) -> bool:
        """Take the layer that comes next if it is wanted; tell whether it was."""
        if not self.layers or not is_wanted(self.layers[0]):
            return False
        self.layers.pop(0)
        return True


def _sum(bias: torch.Tensor | None, more: torch.Tensor) -> torch.Tensor:
    return more if bias is None else bias + more


def _is_max_pooling(layer: Layer) -> bool:
    return type(layer) is Pooling and layer.op == 'max'


def _is_mean(layer: Layer) -> bool:
    """Tell whether a layer computes the mean of each whole map."""
    return isinstance(layer, Pooling) and layer.fshape == 'all' and layer.op == 'avg'


def _share_of_pixels(layer: Convolution) -> float:
    """Return how many of the outputs are not those of padding, for filters of one pixel."""
    return math.prod(layer.in_shape[1:]) / math.prod(layer.out_shape[1:])


def _reads_single_pixels(layer: Convolution) -> bool:
    """Tell whether each output is that of one pixel, and each pixel has one."""
    return layer.rows == layer.columns == 1 and tuple(layer.strides) == (1, 1)
