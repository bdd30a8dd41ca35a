"""Measure the limits of the machine: matrix products and memory."""

from __future__ import annotations

import time
from collections.abc import Callable

import torch

from neon_rnn.engines.torch.ops.matmul import multiplies_bfloat16, product

SIDE = 2048
COPIED = 2**28


class Peaks:
    """The rates of large products and of copying.

    A product is measured with `torch.mm` and with the engine's own; the faster one counts. On a
    processor without bfloat16, `torch.mm` would take a minute for one in it; the engine's counts.

    Parameters
    ----------
    backend : str
    threads : int, optional
    """

    def __init__(self, backend: str, threads: int | None = None) -> None:
        if threads is not None:
            torch.set_num_threads(threads)
        self.device = torch.device('cuda' if backend == 'gpu' else 'cpu')
        single = torch.randn(2, SIDE, SIDE, device=self.device)
        self.operands = {'float32': single, 'bf16': single.bfloat16()}
        self.source = torch.ones(COPIED // 4, device=self.device)
        self.target = torch.empty_like(self.source)

    def measure(self) -> dict[str, float]:
        """Return ``float32`` and ``bf16`` in FLOP/s, ``memory`` in bytes/s, read and written."""
        rates = {}
        for name, (a, b) in self.operands.items():
            ways: tuple[Callable[..., object], ...] = (torch.mm, product)
            if name == 'bf16' and not multiplies_bfloat16(self.device):
                ways = (product,)
            rates[name] = 2 * SIDE**3 / min(self._seconds(way, a, b) for way in ways)
        rates['memory'] = 2 * COPIED / self._seconds(self.target.copy_, self.source)
        return rates

    def _seconds(self, call: Callable[..., object], *arguments: torch.Tensor) -> float:
        """Return the time of the fastest of a few calls: a limit is the best case."""
        best = float('inf')
        for _ in range(4):
            started = time.perf_counter()
            call(*arguments)
            if self.device.type == 'cuda':
                torch.cuda.synchronize()
            best = min(best, time.perf_counter() - started)
        return best
