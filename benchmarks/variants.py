"""A variant is a way to compute the same network on the same images; a worker runs it."""

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

from neon_rnn.support import processes
from neon_rnn.support.errors import NeonRnnError


class Variant(NamedTuple):
    """One way to train, or only to predict.

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
    requests : tuple of str
        What its worker can be asked for.
    """

    key: str
    label: str
    spec: dict[str, Any]
    python: str = sys.executable
    environment: Mapping[str, str] = MappingProxyType({})
    alone: bool = False
    requests: tuple[str, ...] = ('train', 'predict', 'layers')


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
        if status == -signal.SIGKILL:  # it could not say why
            reason = 'killed, probably for want of memory'
        else:
            reason = errors[-1] if errors else f'ended with status {status}'
        raise NeonRnnError(f'{self.variant.label}: {reason}')

    def _end(self) -> list[str]:
        """Wait for the end; return the lines of its standard error, in the first call only."""
        if self.errors.closed:
            return []
        with contextlib.suppress(BrokenPipeError):
            self.process.communicate()
        self.errors.seek(0)
        with self.errors:
            return self.errors.read().decode('utf-8', 'replace').strip().splitlines()
