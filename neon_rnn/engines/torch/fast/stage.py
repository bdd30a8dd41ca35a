"""A stage: a convolution and what follows it, computed in one piece on the CPU.

What follows is a batch norm, a rectifier before or behind it, max pooling, and the sum with the
shortcut of a residual block. What a stage saves, compared with its layers one by one:

- A minibatch goes through in pieces that stay in the cache from one operation to the next. One
  thread computes a piece (`ops.threads`).
- Bias and rectifier are part of oneDNN's convolution.
- The pooling comes before the scale and shift of batch norm, which then works on a quarter of the
  numbers. For a positive gamma the two commute exactly. Where gamma is negative, the pooling takes
  the smallest value. A rectifier commutes with the pooling too.
- In the backward pass, the sums of batch norm run over the pooled map only. No normalised map is
  stored, unless it is the output.
- The batch norm of the input pixels moves into the first convolution (`pixels.NormalisedPixels`),
  so no gradient is propagated back to pixels.

Tensors are (batch, C, H, W) in the channels-last memory format.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from neon_rnn.engines.torch.fast import stage_training
from neon_rnn.engines.torch.fast.filters import filters_of
from neon_rnn.engines.torch.fast.pixels import NormalisedPixels
from neon_rnn.engines.torch.layers.base import features
from neon_rnn.engines.torch.layers.containers import Step
from neon_rnn.engines.torch.layers.convolution import Convolution, Pooling
from neon_rnn.engines.torch.layers.feedforward import BatchNorm, DataTransform
from neon_rnn.engines.torch.ops import pooling, threads
from neon_rnn.engines.torch.ops.matmul import matrix_dtype
from neon_rnn.engines.torch.ops.normalisation import NormGradient, join, scale_and_join

#: Bytes of a convolution's output that are computed at a time. A piece and its gradient then fit
#: into the cache.
PIECE = 4 * 2**20


class Stage:
    """A convolution and what follows it.

    Parameters
    ----------
    layers : sequence of Layer
        Perhaps the division and the batch norm of the pixels; a convolution; then, each at most
        once, a rectifier and a batch norm in either order, and max pooling. All are optional.

    Attributes
    ----------
    norm : BatchNorm or None
    rectified_first : bool
        A rectifier follows the convolution directly.
    rectified_last : bool
        A rectifier follows the batch norm, or the sum with the shortcut.
    pooling : Pooling or None
    """

    def __init__(self, layers: Sequence[Any]) -> None:
        self.layers = list(layers)
        self.pixels: NormalisedPixels | None = None
        if isinstance(layers[0], DataTransform):
            self.pixels, layers = NormalisedPixels(*layers[:2]), layers[2:]
        self.convolution: Convolution = layers[0]
        self.filters = filters_of(self.convolution)
        self.norm: BatchNorm | None = None
        self.pooling: Pooling | None = None
        self.rectified_first = self.rectified_last = False
        for layer in layers[1:]:
            if isinstance(layer, BatchNorm):
                self.norm = layer
            elif isinstance(layer, Pooling):
                self.pooling = layer
            elif self.norm:
                self.rectified_last = True
            else:
                self.rectified_first = True

    def __call__(self, x: torch.Tensor, shortcut: torch.Tensor | None = None) -> torch.Tensor:
        """Compute the stage; `shortcut`, shaped as the output, is added to it.

        On other devices than the CPU the layers run one by one; there is no shortcut then.
        """
        if x.device.type != 'cpu' or (self.pixels and x.requires_grad):
            for layer in self.layers:
                x = layer(x)
            return x
        weight: torch.Tensor = self.convolution.weight
        if self.pixels:
            x, weight = self.pixels(x, weight)
        dtype = matrix_dtype(x)
        x = x.to(dtype, memory_format=torch.channels_last)
        if shortcut is not None:
            shortcut = shortcut.to(dtype, memory_format=torch.channels_last)
        bias, norm = self.convolution.bias, self.norm
        if self.convolution.training:
            gamma, beta = (norm.gamma, norm.beta) if norm else (None, None)
            return stage_training.Training.apply(x, weight, bias, gamma, beta, shortcut, self)
        return self._infer(x, self.filters.operand(weight, dtype), bias, shortcut)

    def convolve(
        self, images: torch.Tensor, operand: torch.Tensor, bias: torch.Tensor | None
    ) -> torch.Tensor:
        """Convolve images; the result is rectified if a rectifier follows the convolution.

        `operand` is the weight as `filters` takes it.
        """
        return self.filters.convolve(images, operand, bias, self.rectified_first)

    def pieces(self, images: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Split images so that the convolution of a piece takes at most `PIECE` bytes.

        All threads get equally many pieces, as far as there are images. A minibatch that takes no
        more bytes than that stays one piece. So does one without pooling, whose input is four times
        its output.
        """
        largest = max(1, PIECE // (images.element_size() * features(self.convolution.out_shape)))
        if self.pooling is None or len(images) <= largest:
            return (images,)
        at_a_time = torch.get_num_threads()
        rounds = -(-len(images) // (largest * at_a_time))
        return images.split(-(-len(images) // (rounds * at_a_time)))

    def pool(
        self, convolved: torch.Tensor, signs: torch.Tensor | None
    ) -> tuple[torch.Tensor, torch.Tensor | None]:
        """Return the largest value of each window, and its place within the window.

        Where `signs` is -1, it is the smallest value. Without pooling: the map itself and None.
        """
        if self.pooling is None:
            return convolved, None
        assert signs is not None
        return pooling.largest(convolved, self.windows(), self.pooling.out_shape, signs)

    def unpool(
        self,
        error: torch.Tensor,
        places: torch.Tensor,
        convolved: torch.Tensor | None = None,
        of_norm: NormGradient | None = None,
    ) -> torch.Tensor:
        """Return the gradient of the convolution's output from that of what follows the pooling.

        Optional arguments as those of `ops.pooling.gradient`.
        """
        shape, rectified = self.convolution.out_shape, self.rectified_first
        return pooling.gradient(error, places, self.windows(), shape, convolved, of_norm, rectified)

    def windows(self) -> pooling.Windows:
        """Return the windows of the pooling."""
        assert self.pooling is not None
        return pooling.Windows(self.pooling.window, self.pooling.strides, self.pooling.padding)

    def _infer(
        self,
        x: torch.Tensor,
        operand: torch.Tensor,
        bias: torch.Tensor | None,
        shortcut: torch.Tensor | None,
    ) -> torch.Tensor:
        signs = stage_training.signs(self) if self.pooling else None

        def pooled(images: torch.Tensor) -> torch.Tensor:
            return self.pool(self.convolve(images, operand, bias), signs)[0]

        parts = threads.each(pooled, self.pieces(x))
        if self.norm is None:
            return join(parts)
        scale, shift = self.norm.in_inference()
        return scale_and_join(parts, scale, shift, shortcut, self.rectified_last)


class Residual:
    """A residual block: a pathway whose last stage takes the shortcut and the rectifier.

    Parameters
    ----------
    layers : sequence of Layer
        The `MergeSum` of two pathways, and the rectifier.
    pathway : sequence of callable
        The steps of one of them; the last one is a stage that ends with a batch norm.
    shortcut : sequence of callable
        The steps of the other one.
    """

    def __init__(
        self, layers: Sequence[Any], pathway: Sequence[Step], shortcut: Sequence[Step]
    ) -> None:
        self.layers = list(layers)
        *self.pathway, last = pathway
        assert isinstance(last, Stage)
        self.last, self.shortcut = last, list(shortcut)
        self.last.rectified_last = True

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        if x.device.type != 'cpu':
            for layer in self.layers:
                x = layer(x)
            return x
        y = shortcut = x
        for step in self.pathway:
            y = step(y)
        for step in self.shortcut:
            shortcut = step(shortcut)
        return self.last(y, shortcut)
