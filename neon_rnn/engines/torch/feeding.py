"""Bring minibatches to the device that computes them."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import NamedTuple

import numpy
import torch

from neon_rnn.data.hdf5 import Part
from neon_rnn.data.minibatches import Minibatch, Minibatches, filled
from neon_rnn.engines.torch import backend, distributed
from neon_rnn.support.prefetch import prefetch

#: The share of the free GPU memory that a data set may take.
RESIDENT_SHARE = 0.5
#: Images that are read at a time, on their way to the device.
PIECE = 1024

Batch = tuple[numpy.ndarray | torch.Tensor, numpy.ndarray | torch.Tensor, int]


class _Resident(NamedTuple):
    """A data set with its copy in the memory of the device."""

    part: Part
    images: torch.Tensor
    labels: torch.Tensor


#: The device holds one data set at a time.
_resident: _Resident | None = None


def feed(minibatches: Minibatches) -> Iterator[Batch]:
    """Iterate over minibatches in the form that `train_step` takes.

    On an NVIDIA GPU the whole data set is copied to its memory if it fits, and a minibatch is then
    gathered there. On the CPU or an Apple GPU, and where the data set does not fit, a thread reads
    ahead. Each rank gets its part of every minibatch and, in the latter cases, reads only that.

    Yields
    ------
    inputs : numpy.ndarray or torch.Tensor
        uint8 (batch / ranks, C*H*W).
    labels : numpy.ndarray or torch.Tensor
        int64 (batch / ranks,).
    count : int
        Images of the whole minibatch, filling excluded.
    """
    device = backend.active().device
    if device.type != 'cuda':
        yield from prefetch(_read(minibatches))
    elif fits(minibatches.part, device):
        yield from gather(minibatches, device)
    else:
        yield from _copy(minibatches, device)


def fits(part: Part, device: torch.device) -> bool:
    """Tell whether the data set is on the GPU, or there is room for it."""
    if _resident is not None and _resident.part is part:
        return True
    free, _ = torch.cuda.mem_get_info(device)
    return part.count * math.prod(part.shape) < RESIDENT_SHARE * free


def gather(minibatches: Minibatches, device: torch.device) -> Iterator[Batch]:
    """Iterate over minibatches, gathered on the device from a copy of the data set there.

    The first call makes the copy; a later call copies the order of the epoch only.
    """
    resident = _on_device(minibatches.part, device)
    batches = list(_own_indices(minibatches))
    order = torch.from_numpy(numpy.stack([indices for indices, _ in batches])).to(device)
    for indices, (_, count) in zip(order, batches, strict=True):
        yield resident.images[indices], resident.labels[indices], count


def _on_device(part: Part, device: torch.device) -> _Resident:
    """Return the copy of a data set; one of another data set is freed first."""
    global _resident
    if _resident is None or _resident.part is not part:
        _resident = None
        size = (part.count, math.prod(part.shape))
        images = torch.empty(size, dtype=torch.uint8, device=device)
        for start in range(0, part.count, PIECE):
            indices = numpy.arange(start, min(start + PIECE, part.count))
            images[start : start + len(indices)] = torch.from_numpy(part.read(indices))
        _resident = _Resident(part, images, torch.from_numpy(part.labels).to(device))
    return _resident


def _own_indices(minibatches: Minibatches) -> Iterator[tuple[numpy.ndarray, int]]:
    """Iterate over this rank's part of each minibatch: indices, and the count of the whole one."""
    for indices, count in filled(minibatches.order, minibatches.batch_size):
        yield indices[distributed.own_part(len(indices))], count


def _read(minibatches: Minibatches) -> Iterator[Minibatch]:
    """Read this rank's part of each minibatch."""
    part = minibatches.part
    for indices, count in _own_indices(minibatches):
        yield Minibatch(part.read(indices), part.labels[indices], count)


def _copy(minibatches: Minibatches, device: torch.device) -> Iterator[Batch]:
    """Iterate over minibatches that a thread reads and pins, copied while the device computes."""

    def pinned() -> Iterator[tuple[torch.Tensor, torch.Tensor, int]]:
        for inputs, labels, count in _read(minibatches):
            yield (
                torch.from_numpy(inputs).pin_memory(),
                torch.from_numpy(labels).pin_memory(),
                count,
            )

    for inputs, labels, count in prefetch(pinned()):
        yield inputs.to(device, non_blocking=True), labels.to(device, non_blocking=True), count
