"""Count the cores that other programs leave free (Linux).

A thread that shares its core with another program makes all threads wait at the next barrier. One
thread less is then faster (docs/performance.md). Niced programs do not count: they step back.

The time that counts is that since this module was imported, which the engine does before PyTorch.
"""

from __future__ import annotations

import os
import time
from typing import NamedTuple

#: Shortest time to look at other programs, in seconds.
LEAST = 0.25


class Reading(NamedTuple):
    """What the cores of this process have done so far, in seconds."""

    time: float
    used: float  # by all programs that are not niced, and what a hypervisor took
    own: float  # by this process
    cores: int  # that these clocks are of


def read(path: str = '/proc/stat') -> Reading | None:
    """Read the clocks; None where there are none like those of Linux."""
    try:
        allowed = {f'cpu{core}' for core in os.sched_getaffinity(0)}
        tick = os.sysconf('SC_CLK_TCK')
        with open(path, encoding='ascii') as file:
            lines = [line.split() for line in file]
        # user nice system idle iowait irq softirq steal
        ticks = [
            sum(int(line[column]) for column in (1, 3, 6, 7, 8))
            for line in lines
            if line and line[0] in allowed
        ]
    except (AttributeError, OSError, ValueError, IndexError):
        return None
    return Reading(time.monotonic(), sum(ticks) / tick, time.process_time(), len(ticks))


_FIRST = read()


def free_cores(cores: int) -> int:
    """Return how many cores are free: at least one, at most `cores`, which this process may use.

    That is `cores` where it cannot be told.
    """
    if cores == 1 or _FIRST is None:
        return cores
    time.sleep(max(0.0, _FIRST.time + LEAST - time.monotonic()))
    now = read()
    if now is None:
        return cores
    seconds = now.time - _FIRST.time
    others = (now.used - _FIRST.used - (now.own - _FIRST.own)) / seconds
    # The nearest whole number: the clocks are some percent off.
    return min(cores, max(1, int(now.cores - others + 0.5)))
