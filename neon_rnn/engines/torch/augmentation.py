"""Random changes of the training images, on the device that trains. Off unless asked for."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import numpy
import torch

from neon_rnn.engines.torch import backend, distributed
from neon_rnn.engines.torch.feeding import Batch

#: A random crop moves an image by up to this share of its sides.
SHIFT = 1 / 16


def augmented(
    batches: Iterable[Batch],
    kinds: Sequence[str],
    shape: tuple[int, int, int],
    seed: int,
    epoch: int,
) -> Iterator[Batch]:
    """Change the images of minibatches at random.

    The changes depend on the seed, the epoch and the place in the epoch alone. So a resumed
    training sees the same images, and so do several ranks.

    Parameters
    ----------
    batches : iterable
        As `feed` yields them.
    kinds : sequence of str
        ``'flip'``: half of the images are mirrored left to right. ``'crop'``: each image is moved
        by up to a sixteenth of its sides, and its edge is repeated where it has moved away.
    shape : tuple of int
        (C, H, W).
    seed, epoch : int

    Yields
    ------
    inputs, labels, count
        As `feed` yields them; inputs uint8 (batch / ranks, C*H*W).
    """
    random = numpy.random.RandomState([seed, epoch, 4])
    _, height, width = shape
    rows, columns = (max(1, round(side * SHIFT)) for side in (height, width))
    size = backend.active().batch_size
    own = distributed.own_part(size)
    for inputs, labels, count in batches:
        # Both are drawn whatever the kinds are: adding one does not change the other.
        flips = random.randint(0, 2, size).astype(bool)[own]
        down = random.randint(-rows, rows + 1, size)[own]
        right = random.randint(-columns, columns + 1, size)[own]
        images = torch.as_tensor(inputs).reshape(-1, *shape)
        if 'flip' in kinds:
            mirrored = torch.from_numpy(flips).to(images.device)
            images = torch.where(mirrored[:, None, None, None], images.flip(3), images)
        if 'crop' in kinds:
            images = _shifted(images, down, right)
        yield images.reshape(len(images), -1), labels, count


def _shifted(images: torch.Tensor, down: numpy.ndarray, right: numpy.ndarray) -> torch.Tensor:
    """Move each image (n, C, H, W) by its numbers of pixels; its edge is repeated."""
    height, width = images.shape[2:]
    rows = (numpy.arange(height) - down[:, None]).clip(0, height - 1)
    columns = (numpy.arange(width) - right[:, None]).clip(0, width - 1)
    by_row = torch.from_numpy(rows).to(images.device)[:, None, :, None].expand(images.shape)
    by_column = torch.from_numpy(columns).to(images.device)[:, None, None, :].expand(images.shape)
    return images.gather(2, by_row).gather(3, by_column)
