"""Other work on the machine: made on purpose, and noticed when it is not wanted."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator
from typing import Any, NamedTuple

from neon_rnn.support.wording import counted

#: Runnable threads a core before the benchmark, and the shares of time that a hypervisor and other
#: programs took during it, above which figures are called disturbed.
MOST_LOAD, MOST_STOLEN, MOST_BY_OTHERS = 0.25, 0.01, 0.03

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


class Ticks(NamedTuple):
    """Time of all cores together, in the kernel's ticks, since the machine started.

    Attributes
    ----------
    total, stolen, busy : int
        All; what the hypervisor gave to others; what programs computed.
    """

    total: int
    stolen: int
    busy: int


class Watch:
    """Notes how much the machine was used by others, from its construction to `figures`.

    The counts are those of Linux (``/proc/stat``); elsewhere only the load before is known.
    """

    def __init__(self) -> None:
        self._load = os.getloadavg()[0] if hasattr(os, 'getloadavg') else 0.0
        self._before, self._own = _ticks(), sum(processor_seconds())

    def figures(self, busy_processes: int) -> dict[str, Any]:
        """Return ``load_before``, ``stolen``, ``others`` and ``disturbed``.

        ``load_before`` is the number of runnable threads in the minute before. ``stolen`` and
        ``others`` are shares of the cores' time since the construction: what the hypervisor gave to
        others, and what other programs here computed. Our own child processes have to have ended by
        now; those that `busy` made are among them. ``disturbed`` is True if one of the shares is
        too much to trust the speeds. Where they are not known the load before decides; after a
        benchmark it is that benchmark's own.
        """
        before, after = self._before, _ticks()
        stolen = others = 0.0
        cores = os.cpu_count() or 1
        disturbed = self._load / cores > MOST_LOAD
        if before and after and after.total > before.total:
            total = after.total - before.total
            stolen = (after.stolen - before.stolen) / total
            own = (sum(processor_seconds()) - self._own) * os.sysconf('SC_CLK_TCK')
            others = max(0.0, (after.busy - before.busy - own) / total)
            disturbed = stolen > MOST_STOLEN or others > MOST_BY_OTHERS
        return {
            'busy_processes': busy_processes,
            'load_before': round(self._load, 2),
            'stolen': round(stolen, 4),
            'others': round(others, 4),
            'disturbed': disturbed,
        }


def describe(figures: dict[str, Any]) -> str:
    """Say in a line of Markdown what else the machine did, from `Watch.figures`."""
    text = (
        'Load before: {load_before}. Of the time, the hypervisor gave {stolen:.1%} to others, and '
        'other programs here took {others:.1%}.'
    )
    if figures['busy_processes']:
        beside = counted(figures['busy_processes'], 'other program')
        text = f'Beside {beside} that this benchmark kept busy. ' + text
    if figures['disturbed']:
        text += ' **Other work disturbed this run: compare its ratios, not its speeds.**'
    return text.format(**figures) + '\n'


def processor_seconds() -> tuple[float, float]:
    """Return the processor time of this process and that of its children that have ended."""
    times = os.times()
    return times.user + times.system, times.children_user + times.children_system


def _ticks() -> Ticks | None:
    """Return the ticks so far, or None."""
    try:
        with open('/proc/stat', encoding='ascii') as file:
            numbers = [int(word) for word in file.readline().split()[1:9]]
    except (OSError, ValueError):
        return None
    if len(numbers) != 8:
        return None
    user, nice, system, *_, stolen = numbers
    return Ticks(sum(numbers), stolen, user + nice + system)
