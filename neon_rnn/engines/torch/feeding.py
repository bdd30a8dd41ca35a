"""Brings minibatches to where they are computed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy
import torch

from neon_rnn.data.minibatches import Minibatch, filled
from neon_rnn.engines.torch import backend, distributed
from neon_rnn.engines.torch.prefetch import prefetch

#: The share of the free GPU memory that a data set may take.
RESIDENT_SHARE = 0.5

# The one data set that is on the device: itself, its images and labels there.
_resident: tuple[Any, torch.Tensor, torch.Tensor] | None = None


def feed(minibatches) -> Iterator[tuple]:
    """Iterate ``(inputs, labels, count)`` over `data.minibatches.Minibatches`; of several ranks, each gets its part.

    On a GPU the whole data set is put into its memory if it fits, and a minibatch is then gathered there; where it
    does not fit, and on the CPU, a thread reads ahead, and a rank reads only its own images.

    Yields
    ------
    inputs : numpy.ndarray or torch.Tensor
        uint8 (batch / ranks, C*H*W).
    labels : numpy.ndarray or torch.Tensor
        int64 (batch / ranks,).
    count : int
        Images of the whole minibatch that are not filling.
    """
    device = backend.active().device
    if device.type == 'cpu':
        yield from prefetch(_read(minibatches))
    elif _fits(minibatches.part, device):
        yield from _gathered(minibatches, device)
    else:
        yield from _copied(minibatches, device)


def _indices(minibatches) -> Iterator[tuple[numpy.ndarray, int]]:
    """This rank's part of each minibatch, as indices into the data set, and how many are not filling in all of it."""
    size = minibatches.batch_size
    for indices, count in filled(minibatches.order, size):
        yield indices[distributed.share(size)], count


def _read(minibatches) -> Iterator[Minibatch]:
    if distributed.ranks() == 1:
        yield from minibatches
        return
    part = minibatches.part
    for indices, count in _indices(minibatches):
        yield Minibatch(part.read(indices), part.labels[indices], count)


def _fits(part, device: torch.device) -> bool:
    """Whether the data set is on the device, or there is room for it."""
    if _resident is not None and _resident[0] is part:
        return True
    free, _ = torch.cuda.mem_get_info(device)
    return part.count * int(numpy.prod(part.shape)) < RESIDENT_SHARE * free


def _gathered(
    minibatches, device: torch.device
) -> Iterator[tuple[torch.Tensor, torch.Tensor, int]]:
    """Minibatches out of the data set on the device; nothing but the order of the epoch is copied there."""
    images, labels = _on_device(minibatches.part, device)
    batches = list(_indices(minibatches))
    order = torch.from_numpy(numpy.stack([indices for indices, _ in batches])).to(device)
    for indices, (_, count) in zip(order, batches, strict=True):
        yield images[indices], labels[indices], count


def _on_device(part, device: torch.device, piece: int = 1024) -> tuple[torch.Tensor, torch.Tensor]:
    """All images and labels of a data set on the device; one data set at a time is kept there."""
    global _resident
    if _resident is None or _resident[0] is not part:
        _resident = None
        images = torch.empty(
            (part.count, int(numpy.prod(part.shape))), dtype=torch.uint8, device=device
        )
        for start in range(0, part.count, piece):
            indices = numpy.arange(start, min(start + piece, part.count))
            images[start : start + len(indices)] = torch.from_numpy(part.read(indices))
        _resident = part, images, torch.from_numpy(part.labels).to(device)
    return _resident[1:]


def _copied(minibatches, device: torch.device) -> Iterator[tuple[torch.Tensor, torch.Tensor, int]]:
    """Minibatches read and pinned ahead by a thread, and copied while the device computes."""

    def pinned():
        for inputs, labels, count in _read(minibatches):
            yield (
                torch.from_numpy(inputs).pin_memory(),
                torch.from_numpy(labels).pin_memory(),
                count,
            )

    for inputs, labels, count in prefetch(pinned()):
        yield inputs.to(device, non_blocking=True), labels.to(device, non_blocking=True), count
