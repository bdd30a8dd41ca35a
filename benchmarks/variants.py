"""What is compared: a variant is a way to train the same network on the same images."""

from __future__ import annotations

import contextlib
import json
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

from neon_rnn.support import machine, processes
from neon_rnn.support.errors import NeonRnnError


class Variant(NamedTuple):
    """One way.

    Attributes
    ----------
    key, label : str
        For the JSON file, for people.
    spec : dict
        What `bench.worker` is told.
    python : str
        The interpreter that runs it.
    environment : dict
        Environment variables that it is given besides the caller's.
    alone : bool
        Measured after the others, not in turn with them: it needs too much memory to stand beside them.
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
    """The variants that exist for a network; the eager port is of the network rnn alone."""
    common = {'model': model, 'batch': batch, 'side': side, 'threads': threads, 'backend': backend}
    engine = dict(common, kind='engine', engine='torch')
    found = [
        Variant('torch-float32', 'torch engine, float32', dict(engine, precision='float32')),
        Variant('torch-bf16', 'torch engine, bf16', dict(engine, precision='bf16')),
    ]
    if model == 'rnn':
        eager = dict(common, kind='eager', keep_memory=False)
        found += [
            Variant(
                'eager-float32', 'PyTorch eager port, float32', dict(eager, precision='float32')
            ),
            Variant(
                'eager-bf16', 'PyTorch eager port, bf16 autocast', dict(eager, precision='bf16')
            ),
        ]
        if backend != 'gpu':
            eager = dict(eager, keep_memory=True)
            found += [
                Variant(
                    'eager-float32-memory',
                    'the same, float32, allocator as ours',
                    dict(eager, precision='float32'),
                ),
                Variant(
                    'eager-bf16-memory',
                    'the same, bf16, allocator as ours',
                    dict(eager, precision='bf16'),
                ),
            ]
    if neon_python:
        neon = dict(common, kind='engine', engine='neon', precision='float32')
        names = ('gpu',) if backend == 'gpu' else ('mkl', 'numpy')
        found += [
            Variant(
                'neon-' + name,
                'Intel neon, ' + ('cpu (NumPy)' if name == 'numpy' else name),
                dict(neon, backend=name),
                neon_python,
            )
            for name in names
        ]
        if backend != 'gpu' and 'AMD' in machine.cpu_model():
            # an empty value keeps the engine from choosing MKL's AVX2 kernels
            found.append(
                Variant(
                    'neon-mkl-default',
                    "Intel neon, mkl, MKL's default kernels, measured alone",
                    dict(neon, backend='mkl'),
                    neon_python,
                    {'MKL_DEBUG_CPU_TYPE': ''},
                    alone=True,
                )
            )
    return found


class Worker:
    """A running `bench.worker`.

    Parameters
    ----------
    variant : Variant

    Raises
    ------
    NeonRnnError
        It ended, with the last line it wrote.
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
        """Send a request, wait for its answer."""
        assert self.process.stdin is not None
        with contextlib.suppress(BrokenPipeError):  # the answer says why
            self.process.stdin.write(request + '\n')
            self.process.stdin.flush()
        return self._answer()

    def close(self) -> float:
        """End it; returns the most memory it held, in GiB."""
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
        """Wait for the end; returns the lines it wrote to its standard error, once."""
        if self.errors.closed:
            return []
        with contextlib.suppress(BrokenPipeError):
            self.process.communicate()
        self.errors.seek(0)
        with self.errors:
            return self.errors.read().decode('utf-8', 'replace').strip().splitlines()
