"""Other work on the machine: made on purpose, and noticed when it is not wanted."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

#: Runnable threads a core before the benchmark, and the share of time that a hypervisor took, above
#: which figures are called disturbed.
MOST_LOAD, MOST_STOLEN = 0.25, 0.01

_LOOP = 'import os\nparent = os.getppid()\nwhile os.getppid() == parent:\n    sum(range(10**6))\n'


@contextlib.contextmanager
def busy(count: int) -> Iterator[None]:
    """Keep so many processes computing, each in a session of its own, like another user's program.

    They are pinned to no core. They end with the context, and when this process is gone.
    """
    started = []
    try:
        for _ in range(count):
            started.append(subprocess.Popen([sys.executable, '-c', _LOOP], start_new_session=True))
        yield
    finally:
        for process in started:
            process.kill()
            process.wait()


class Watch:
    """Notes how much the machine was used by others, from its construction to `figures`.

    The counts are those of Linux (``/proc/stat``); elsewhere only the load before is known.
    """

    def __init__(self) -> None:
        self._load = os.getloadavg()[0] if hasattr(os, 'getloadavg') else 0.0
        self._before = _ticks()

    def figures(self, busy_processes: int) -> dict[str, Any]:
        """Return ``load_before``, ``stolen`` and ``disturbed``.

        ``load_before`` is the number of runnable threads in the minute before. ``stolen`` is the
        share of the cores' time that the hypervisor gave to others since the construction.
        ``disturbed`` is True if either is too much to trust the speeds; processes that `busy` made
        do not count.
        """
        before, after = self._before, _ticks()
        stolen = 0.0
        if before and after and after[0] > before[0]:
            stolen = (after[1] - before[1]) / (after[0] - before[0])
        cores = os.cpu_count() or 1
        disturbed = self._load / cores > MOST_LOAD or stolen > MOST_STOLEN
        return {
            'busy_processes': busy_processes,
            'load_before': round(self._load, 2),
            'stolen': round(stolen, 4),
            'disturbed': disturbed,
        }


def _ticks() -> tuple[int, int] | None:
    """Return all ticks of all cores and those that were stolen, or None."""
    try:
        with open('/proc/stat', encoding='ascii') as file:
            numbers = [int(word) for word in file.readline().split()[1:9]]
    except (OSError, ValueError):
        return None
    return (sum(numbers), numbers[7]) if len(numbers) == 8 else None
