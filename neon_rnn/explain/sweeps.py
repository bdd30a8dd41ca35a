"""What the sweeps of SpatialRNN carry: the norm of the state at each block, by direction."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch

from neon_rnn.engines.torch.recurrent.base import RecurrentLayer
from neon_rnn.engines.torch.spatial_rnn import SpatialRNN, sweep_columns, sweep_rows

#: The network of a SpatialRNN -> the names of its directions, forward and backward.
DIRECTIONS = {'vertical': ('down', 'up'), 'horizontal': ('right', 'left')}


@dataclasses.dataclass(frozen=True)
class Sweep:
    """One direction of one network of a SpatialRNN, over one photograph.

    Attributes
    ----------
    layer : str
        The place of the SpatialRNN in the network, as the names of its weights begin: ``'14'``.
    network : str
        ``'vertical'`` or ``'horizontal'``.
    direction : str
        ``'down'`` or ``'up'``; ``'right'`` or ``'left'``.
    units : int
        Length of the state.
    norms : numpy.ndarray
        (rows, columns) of blocks: the Euclidean norm of what the network gives at each block. That
        is its state; of the cells ``deep_output`` and ``stacked``, whose states lie below, it is
        the output.
    """

    layer: str
    network: str
    direction: str
    units: int
    norms: np.ndarray


def sweep_norms(nn: Any, model: Any, pixels: np.ndarray) -> list[Sweep]:
    """Predict a photograph and return what the sweeps carry meanwhile.

    Parameters
    ----------
    nn : module
        The torch engine.
    model : Model
        Initialised.
    pixels : numpy.ndarray
        uint8 (C, H, W).

    Returns
    -------
    list of Sweep
        In the order in which they run; empty for a network without SpatialRNN.
    """
    found: list[Sweep] = []
    with _watched(model.layers, found):
        nn.predict(model, pixels.reshape(1, -1))
    return found


@contextlib.contextmanager
def _watched(layers: torch.nn.Module, found: list[Sweep]) -> Iterator[None]:
    """Add the sweeps of every SpatialRNN that runs in the block to `found`."""
    handles = []
    for name, module in layers.named_modules():
        if isinstance(module, SpatialRNN):
            place = '.'.join(part for part in name.split('.') if part != 'layers')

            def look(module: SpatialRNN, inputs: tuple, place: str = place) -> None:
                found.extend(_sweeps(place, module, inputs[0]))

            handles.append(module.register_forward_pre_hook(look))
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _sweeps(place: str, layer: SpatialRNN, x: torch.Tensor) -> Iterator[Sweep]:
    """Sweep the map of one image, (1, C, H, W), as `layer` does; give each direction."""
    swept = sweep_columns(x, layer.block_shape[1:], layer.vertical)
    yield from _directions(place, 'vertical', layer.vertical, swept[:, 0])
    rows = sweep_rows(swept, layer.horizontal)[0]
    yield from _directions(place, 'horizontal', layer.horizontal, rows.permute(1, 2, 0))


def _directions(
    place: str, network: str, layer: RecurrentLayer, states: torch.Tensor
) -> Iterator[Sweep]:
    """Give each direction of states (rows, columns, D * units)."""
    apart = states.unflatten(2, (layer.directions, layer.units)).to('cpu', torch.float64)
    norms = torch.linalg.vector_norm(apart, dim=3).numpy()
    for index in range(layer.directions):
        direction = DIRECTIONS[network][index]
        yield Sweep(place, network, direction, layer.units, norms[:, :, index])
