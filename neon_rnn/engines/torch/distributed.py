"""Training on several processes that share every minibatch, started by torchrun (docs/scaling.md).

Several ranks compute what one rank computes. Each rank takes its part of every minibatch. Batch
norm uses the statistics of the whole minibatch. PyTorch's DistributedDataParallel averages the
gradients. Dropout makes the masks of the whole minibatch on every rank.
"""

from __future__ import annotations

import atexit
import contextlib
import os
from collections.abc import Iterator

import torch
import torch.distributed

from neon_rnn.support.errors import NeonRnnError, UsageError


def join(backend: str, batch_size: int) -> torch.device:
    """Connect to the other ranks, if torchrun started some; return this rank's device.

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
            'a minibatch of {} does not divide by {} ranks; choose another -z or '
            '--nproc-per-node.'.format(batch_size, world)
        )
    device = (
        torch.device(backend, int(os.environ['LOCAL_RANK']))
        if backend == 'cuda'
        else torch.device(backend)
    )
    if device.type == 'cuda':
        torch.cuda.set_device(device)
    if not running():
        torch.distributed.init_process_group('nccl' if backend == 'cuda' else 'gloo')
        # A rank that ends while gloo's threads still hold tensors is aborted: 'terminate called
        # without an active exception'.
        atexit.register(torch.distributed.destroy_process_group)
    return device


def own_threads(total: int) -> int:
    """Return the processor threads of this rank, its share of the `total` of this machine."""
    return max(1, total // int(os.environ.get('LOCAL_WORLD_SIZE', '1')))


def running() -> bool:
    """Tell whether this process is one of several ranks."""
    return torch.distributed.is_available() and torch.distributed.is_initialized()


def ranks() -> int:
    """Return the number of processes that share a minibatch."""
    return torch.distributed.get_world_size() if running() else 1


def rank() -> int:
    """Return the number of this process among them, from 0."""
    return torch.distributed.get_rank() if running() else 0


def own_part(size: int) -> slice:
    """Return this rank's part of `size` items; `size` divides by the number of ranks."""
    each = size // ranks()
    return slice(rank() * each, (rank() + 1) * each)


def sum_over_ranks(values: torch.Tensor) -> torch.Tensor:
    """Add up a tensor over all ranks, in place; no gradient goes through."""
    if running():
        torch.distributed.all_reduce(values)
    return values


def gather_rows(values: torch.Tensor) -> torch.Tensor:
    """Join the rows of all ranks, in order; every rank has equally many."""
    if not running():
        return values
    parts = [torch.empty_like(values) for _ in range(ranks())]
    torch.distributed.all_gather(parts, values.contiguous())
    return torch.cat(parts)


def data_parallel(layers: torch.nn.Module) -> torch.nn.Module:
    """Return the layers with their gradients averaged over the ranks; of one rank, the layers."""
    if not running():
        return layers
    # static_graph: parameters that never get a gradient (those of BiBNRNN) are found once, in the
    # first step.
    return torch.nn.parallel.DistributedDataParallel(
        layers, forward_sync_buffers=False, static_graph=True
    )


@contextlib.contextmanager
def lost_rank_reported() -> Iterator[None]:
    """Turn the failure of an exchange between ranks into an error that says what to do.

    Raises
    ------
    NeonRnnError
        Another rank has ended or does not answer.
    """
    try:
        yield
    except RuntimeError as error:
        signs = ('Connection closed by peer', 'Connection reset by peer', 'Timed out waiting')
        lost = isinstance(error, torch.distributed.DistError) or any(
            sign in str(error) for sign in signs
        )
        if not (running() and lost):
            raise
        raise NeonRnnError(
            'rank {} of {}: another rank has ended or does not answer ({}). Every run keeps its '
            "last checkpoint; 'neon_rnn resume RUN' goes on, with any number "
            'of ranks.'.format(rank(), ranks(), str(error).splitlines()[0])
        ) from error
