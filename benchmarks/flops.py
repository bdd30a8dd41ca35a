"""Count the arithmetic and the memory traffic of a network from its layers."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, NamedTuple

from neon_rnn.engines.torch.layers.containers import MergeSum, Sequential
from neon_rnn.engines.torch.layers.convolution import Convolution
from neon_rnn.engines.torch.layers.depthwise import DepthwiseConvolution
from neon_rnn.engines.torch.layers.feedforward import Linear
from neon_rnn.engines.torch.recurrent.base import RecurrentLayer
from neon_rnn.engines.torch.recurrent.lecture_cells import LayeredStep, StackedRNN
from neon_rnn.engines.torch.spatial_rnn import SpatialRNN


class Work(NamedTuple):
    """The work of one layer for one image.

    Attributes
    ----------
    forward : float
        Floating point operations of its products, a multiplication and an addition counted as two.
    read, written : int
        Numbers in its input and its output.
    """

    forward: float
    read: int
    written: int


def layer_work(layer: Any) -> Iterator[Work]:
    """Iterate over the work of a layer and of the layers inside it.

    Layers without products are left out: they can be computed with their neighbours.
    """
    if isinstance(layer, (Sequential, MergeSum)):
        for inner in layer.layers:
            yield from layer_work(inner)
    elif isinstance(layer, Convolution):
        window = layer.rows * layer.columns * layer.in_shape[0]
        yield _work(layer, 2.0 * window * math.prod(layer.out_shape))
    elif isinstance(layer, DepthwiseConvolution):
        yield _work(layer, 2.0 * layer.rows * layer.columns * math.prod(layer.out_shape))
    elif isinstance(layer, Linear):
        yield _work(layer, 2.0 * math.prod(layer.in_shape) * layer.nout)
    elif isinstance(layer, SpatialRNN):
        _, down, across = layer.out_shape
        for sweep, lines in ((layer.vertical, across), (layer.horizontal, down)):
            yield from _recurrent(sweep, lines)
    elif isinstance(layer, RecurrentLayer):
        yield from _recurrent(layer, 1)


def _work(layer: Any, forward: float) -> Work:
    return Work(forward, math.prod(layer.in_shape), math.prod(layer.out_shape))


def _recurrent(layer: RecurrentLayer, lines: int) -> Iterator[Work]:
    """Iterate over the work of `lines` sequences in an image.

    The first step of a sequence has no state to multiply.
    """
    if isinstance(layer, StackedRNN):
        for _, network in layer.parts():
            yield from _recurrent(network, lines)
        return
    steps = layer.out_shape[-1]
    outputs = layer.directions * layer.gates * layer.units
    forward = 2.0 * lines * outputs * (steps * layer.features + (steps - 1) * layer.units)
    if isinstance(layer, LayeredStep):  # further products of every step's state
        forward += (layer.depth - 1) * 2.0 * lines * outputs * steps * layer.units
    yield Work(forward, lines * steps * layer.features, lines * math.prod(layer.out_shape))


def training_flops(model: Any) -> float:
    """Return the operations of one training image.

    Forward pass, gradients of weights and, except in the first layer, gradients of inputs.
    """
    work = list(layer_work(model.layers))
    return 3 * sum(each.forward for each in work) - work[0].forward


def inference_flops(model: Any) -> float:
    """Return the operations of one image in inference."""
    return sum(each.forward for each in layer_work(model.layers))
