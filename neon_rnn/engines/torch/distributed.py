"""Training on several processes that share every minibatch, started by torchrun (docs/scaling.md).

Each rank takes its part of every minibatch, batch norm looks at all of it, PyTorch's DistributedDataParallel averages
the gradients, and dropout draws the masks of the whole minibatch: so several ranks compute what one computes.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator

import torch
import torch.distributed

from neon_rnn.support.errors import NeonRnnError, UsageError


def join(backend: str, batch_size: int) -> torch.device:
    """Meet the other ranks, if torchrun started some; returns this rank's device.

    Parameters
    ----------
    backend : str
        ``'cuda'`` or ``'cpu'``.
    batch_size : int
        Of the whole minibatch.

    Raises
    ------
    UsageError
        The minibatch does not divide by the number of ranks.
    """
    world = int(os.environ.get('WORLD_SIZE', '1'))
    if world == 1:
        return torch.device(backend)
    if batch_size % world:
        raise UsageError(
            'a minibatch of {} does not divide by {} ranks; choose another -z or --nproc-per-node.'.format(
                batch_size, world
            )
        )
    device = (
        torch.device(backend, int(os.environ['LOCAL_RANK']))
        if backend == 'cuda'
        else torch.device(backend)
    )
    if device.type == 'cuda':
        torch.cuda.set_device(device)
    if not _running():
        torch.distributed.init_process_group('nccl' if backend == 'cuda' else 'gloo')
    return device


def threads(total: int) -> int:
    """The processor threads of this rank, where all ranks of this machine together have `total`."""
    return max(1, total // int(os.environ.get('LOCAL_WORLD_SIZE', '1')))


def ranks() -> int:
    """The number of processes that share a minibatch."""
    return torch.distributed.get_world_size() if _running() else 1


def rank() -> int:
    """Which of them this is, from 0."""
    return torch.distributed.get_rank() if _running() else 0


def share(size: int) -> slice:
    """This rank's part of `size` items; `size` divides by the number of ranks."""
    each = size // ranks()
    return slice(rank() * each, (rank() + 1) * each)


def total(values: torch.Tensor) -> torch.Tensor:
    """The sum over all ranks, in place; no gradient goes through."""
    if _running():
        torch.distributed.all_reduce(values)
    return values


def gather(values: torch.Tensor) -> torch.Tensor:
    """The rows of all ranks, in order; every rank has equally many."""
    if not _running():
        return values
    parts = [torch.empty_like(values) for _ in range(ranks())]
    torch.distributed.all_gather(parts, values.contiguous())
    return torch.cat(parts)


def parallel(layers: torch.nn.Module) -> torch.nn.Module:
    """The layers with their gradients averaged over the ranks; themselves if there is one rank."""
    if not _running():
        return layers
    # static_graph: parameters that never get a gradient (BiBNRNN's) are found once, in the first step
    return torch.nn.parallel.DistributedDataParallel(
        layers, forward_sync_buffers=False, static_graph=True
    )


@contextlib.contextmanager
def together() -> Iterator[None]:
    """What the ranks do together; the end of another rank becomes an error that says so.

    Raises
    ------
    NeonRnnError
        Another rank does not answer any more.
    """
    try:
        yield
    except RuntimeError as error:
        signs = ('Connection closed by peer', 'Connection reset by peer', 'Timed out waiting')
        lost = isinstance(error, torch.distributed.DistError) or any(
            sign in str(error) for sign in signs
        )
        if not (_running() and lost):
            raise
        raise NeonRnnError(
            'rank {} of {}: another rank has ended or does not answer ({}). Every run keeps its last '
            "checkpoint; 'neon_rnn train --resume RUN' goes on, with any number of ranks.".format(
                rank(), ranks(), str(error).splitlines()[0]
            )
        ) from error


def _running() -> bool:
    return torch.distributed.is_available() and torch.distributed.is_initialized()
