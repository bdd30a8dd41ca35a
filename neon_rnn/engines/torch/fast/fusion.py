"""Choose which layers run together, as one stage, on the CPU.

The layers stay as they are: their shapes, parameters and names do not change. Only the steps that
a `Sequential` runs do. The results are the same up to rounding.
"""

from __future__ import annotations

from collections.abc import Sequence

from neon_rnn.engines.torch.fast.pixels import PixelLinear
from neon_rnn.engines.torch.fast.stage import Residual, Stage
from neon_rnn.engines.torch.layers.base import Layer
from neon_rnn.engines.torch.layers.containers import MergeSum, Sequential, Step
from neon_rnn.engines.torch.layers.convolution import Convolution, Pooling
from neon_rnn.engines.torch.layers.feedforward import (
    Activation,
    BatchNorm,
    DataTransform,
    Linear,
    is_rectifier,
)
from neon_rnn.engines.torch.layers.transforms import Normalizer


def fuse(layers: Layer) -> None:
    """Let every `Sequential` in a container, itself included, run its groups of layers as stages.

    Parameters
    ----------
    layers : Layer
        Configured. Pathways of a `MergeSum` and nested containers are included.
    """
    for module in layers.modules():
        if isinstance(module, Sequential):
            module.steps = plan(list(module))


def plan(layers: Sequence[Layer]) -> list[Step]:
    """Return what to run, one after another, in place of `layers`."""
    steps: list[Step] = []
    position = 0
    while position < len(layers):
        step, length = _first_step(layers[position:])
        steps.append(step)
        position += length
    return steps


def _first_step(layers: Sequence[Layer]) -> tuple[Step, int]:
    """Return the step that `layers` begin with, and how many of them it computes."""
    length = _stage_length(layers)
    if length:
        return Stage(layers[:length]), length
    if _are_normalised_pixels(layers[:2]) and _have_types(layers[2:3], Linear):
        return PixelLinear(layers[:3]), 3
    residual = _residual(layers[:2])
    return (residual, 2) if residual else (layers[0], 1)


def _stage_length(layers: Sequence[Layer]) -> int:
    """Count the layers of the stage that `layers` begin with; 0 if they begin with none."""
    pixels = 2 if _are_normalised_pixels(layers[:2]) else 0
    if not _have_types(layers[pixels : pixels + 1], Convolution):
        return 0
    length = pixels + 1
    following: tuple[type[Layer], ...]
    for following in (
        (Activation, BatchNorm),
        (BatchNorm, Activation),
        (BatchNorm,),
        (Activation,),
    ):
        group = layers[length : length + len(following)]
        if _have_types(group, *following) and all(map(_may_follow, group)):
            length += len(following)
            break
    else:
        return 0
    if length < len(layers):
        pooling = layers[length]
        if isinstance(pooling, Pooling) and pooling.op == 'max':
            length += 1
    return length


def _residual(layers: Sequence[Layer]) -> Residual | None:
    """Return the residual block that these two layers are, if they are one.

    One of two pathways ends with a convolution and a batch norm; a rectifier follows the sum.
    """
    if not _have_types(layers, MergeSum, Activation) or not is_rectifier(layers[1]):
        return None
    assert isinstance(layers[0], MergeSum)
    pathways = [plan(list(pathway)) for pathway in layers[0] if isinstance(pathway, Sequential)]
    if len(pathways) != 2:
        return None
    for pathway, shortcut in (pathways, pathways[::-1]):
        last = pathway[-1]
        if isinstance(last, Stage) and isinstance(last.layers[-1], BatchNorm):
            return Residual(layers, pathway, shortcut)
    return None


def _are_normalised_pixels(layers: Sequence[Layer]) -> bool:
    """Tell whether these are the division of the pixels and a batch norm."""
    if not _have_types(layers, DataTransform, BatchNorm):
        return False
    assert isinstance(layers[0], DataTransform)
    return isinstance(layers[0].transform, Normalizer)


def _may_follow(layer: Layer) -> bool:
    """Tell whether a layer is a batch norm or a rectifier without a slope."""
    return isinstance(layer, BatchNorm) or is_rectifier(layer)


def _have_types(layers: Sequence[Layer], *types: type[Layer]) -> bool:
    """Tell whether the layers have exactly these types, subclasses excluded."""
    return [type(layer) for layer in layers] == list(types)
