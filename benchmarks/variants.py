"""The variants that are compared: ways to train the same network on the same images."""

from __future__ import annotations

import contextlib
import json
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

from neon_rnn.support import machine, processes
from neon_rnn.support.errors import NeonRnnError


class Variant(NamedTuple):
    """One way to train.

    Attributes
    ----------
    key, label : str
        Its name in the JSON file, and for people.
    spec : dict
        The settings for `benchmarks.worker`.
    python : str
        The interpreter that runs it.
    environment : dict
        Environment variables besides those of the caller.
    alone : bool
        Measured after the others, not in turn with them: it needs too much memory for that.
    """

    key: str
    label: str
    spec: dict[str, Any]
    python: str = sys.executable
    environment: Mapping[str, str] = MappingProxyType({})
    alone: bool = False


def variants(
    model: str, backend: str, batch: int, side: int, threads: int | None, neon_python: str | None
) -> list[Variant]:
    """Return the variants that exist for a network.

    The eager port is of the network rnn only. Intel neon is included if `neon_python` has it.
    """
    common = {'model': model, 'batch': batch, 'side': side, 'threads': threads, 'backend': backend}
    ours = dict(common, kind='engine', engine='torch')
    found = [
        Variant('torch-float32', 'torch engine, float32', dict(ours, precision='float32')),
        Variant('torch-bf16', 'torch engine, bf16', dict(ours, precision='bf16')),
    ]
    if model == 'rnn':
        found += _eager_variants(dict(common, kind='eager'))
    if neon_python:
        found += _neon_variants(dict(common, kind='engine', engine='neon'), neon_python)
    return found


def _eager_variants(spec: dict[str, Any]) -> Iterator[Variant]:
    """Iterate over the eager ports; on the CPU also with the allocator settings of the engine."""
    labels = {
        ('float32', False): 'PyTorch eager port, float32',
        ('bf16', False): 'PyTorch eager port, bf16 autocast',
        ('float32', True): 'the same, float32, allocator as ours',
        ('bf16', True): 'the same, bf16, allocator as ours',
    }
    for (precision, keep_memory), label in labels.items():
        if keep_memory and spec['backend'] == 'gpu':
            continue
        key = 'eager-' + precision + ('-memory' if keep_memory else '')
        yield Variant(key, label, dict(spec, precision=precision, keep_memory=keep_memory))
    for precision in ('float32', 'bf16'):
        yield Variant(
            'compiled-' + precision,
            f'torch.compile of the port, {precision}, allocator as ours',
            dict(spec, precision=precision, keep_memory=spec['backend'] == 'cpu', compiled=True),
        )


def _neon_variants(spec: dict[str, Any], python: str) -> Iterator[Variant]:
    """Iterate over the backends of Intel neon, in its own Python."""
    spec = dict(spec, precision='float32')
    if spec['backend'] == 'gpu':
        yield Variant('neon-gpu', 'Intel neon, gpu', spec, python)
        return
    yield Variant('neon-mkl', 'Intel neon, mkl', dict(spec, backend='mkl'), python)
    yield Variant('neon-numpy', 'Intel neon, cpu (NumPy)', dict(spec, backend='numpy'), python)
    if 'AMD' in machine.cpu_model():
        yield Variant(
            'neon-mkl-default',
            "Intel neon, mkl, MKL's default kernels, measured alone",
            dict(spec, backend='mkl'),
            python,
            # An empty value keeps the engine from choosing MKL's AVX2 kernels.
            {'MKL_DEBUG_CPU_TYPE': ''},
            alone=True,
        )


class Worker:
    """A running `benchmarks.worker`.

    Parameters
    ----------
    variant : Variant

    Raises
    ------
    NeonRnnError
        It has ended; the message is the last line that it wrote.
    """

    def __init__(self, variant: Variant) -> None:
        self.variant = variant
        self.errors = tempfile.TemporaryFile()  # noqa: SIM115
        settings = dict(processes.child_environment(), **variant.environment)
        self.process = subprocess.Popen(
            [variant.python, '-m', 'benchmarks.worker', json.dumps(variant.spec)],
            env=settings,
            text=True,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.errors,
        )
        self.about = self._answer()['about']

    def ask(self, request: str) -> dict[str, Any]:
        """Send a request and wait for its answer."""
        assert self.process.stdin is not None
        with contextlib.suppress(BrokenPipeError):  # the answer says why
            self.process.stdin.write(request + '\n')
            self.process.stdin.flush()
        return self._answer()

    def close(self) -> float:
        """End it; return the most memory that it held, in GiB."""
        peak = self.ask('quit')['peak_memory_gib']
        self._end()
        return peak

    def kill(self) -> None:
        """End it without asking."""
        self.process.kill()
        self._end()

    def _answer(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if line:
            return json.loads(line)
        errors = self._end()
        status = self.process.returncode
        ended = (
            'killed, probably for want of memory'
            if status == -signal.SIGKILL
            else f'ended with status {status}'
        )
        raise NeonRnnError('{}: {}'.format(self.variant.label, errors[-1] if errors else ended))

    def _end(self) -> list[str]:
        """Wait for the end; return the lines of its standard error, in the first call only."""
        if self.errors.closed:
            return []
        with contextlib.suppress(BrokenPipeError):
            self.process.communicate()
        self.errors.seek(0)
        with self.errors:
            return self.errors.read().decode('utf-8', 'replace').strip().splitlines()
