"""Choose which layers run together, as one `stage.Stage`, on the CPU.

The layers stay as they are: their shapes, parameters and names do not change. Only the steps that
a `Sequential` runs do. The results are the same up to rounding.
"""

from __future__ import annotations

from collections.abc import Sequence

from neon_rnn.engines.torch.fast.stage import Stage
from neon_rnn.engines.torch.layers.base import Layer
from neon_rnn.engines.torch.layers.containers import Sequential, Step
from neon_rnn.engines.torch.layers.convolution import Convolution, Pooling
from neon_rnn.engines.torch.layers.feedforward import Activation, BatchNorm, DataTransform
from neon_rnn.engines.torch.layers.transforms import Normalizer, Rectlin


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
        length = _stage_length(layers[position:])
        if length:
            steps.append(Stage(layers[position : position + length]))
        else:
            steps.append(layers[position])
        position += length or 1
    return steps


def _stage_length(layers: Sequence[Layer]) -> int:
    """Count the layers of the stage that `layers` begin with; 0 if they begin with none."""
    length = 2 if _are_normalised_pixels(layers[:2]) else 0
    if not _is_rectified_convolution(layers[length : length + 3]):
        return 0
    length += 3
    if length < len(layers):
        following = layers[length]
        if isinstance(following, Pooling) and following.op == 'max':
            length += 1
    return length


def _are_normalised_pixels(layers: Sequence[Layer]) -> bool:
    """Tell whether these are the division of the pixels and a batch norm."""
    if not _have_types(layers, DataTransform, BatchNorm):
        return False
    assert isinstance(layers[0], DataTransform)
    return isinstance(layers[0].transform, Normalizer)


def _is_rectified_convolution(layers: Sequence[Layer]) -> bool:
    """Tell whether these are a convolution, a rectifier without a slope and a batch norm."""
    if not _have_types(layers, Convolution, Activation, BatchNorm):
        return False
    assert isinstance(layers[1], Activation)
    transform = layers[1].transform
    return isinstance(transform, Rectlin) and not transform.slope


def _have_types(layers: Sequence[Layer], *types: type[Layer]) -> bool:
    """Tell whether the layers have exactly these types, subclasses excluded."""
    return [type(layer) for layer in layers] == list(types)
