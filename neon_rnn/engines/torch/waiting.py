"""Import PyTorch so that its threads wait for each other busily for microseconds, then asleep.

A training step has hundreds of short parallel regions, with a barrier at the end of each. By
default libgomp's threads spin at a barrier for milliseconds. On a machine that others use too, a
spinning thread keeps the core from the very thread that it waits for, and the speed falls to a
fraction (docs/performance.md).

libgomp reads the environment once, when PyTorch is imported. So this module is the first that the
engine imports. Where PyTorch has been imported before, its setting stays.
"""

from __future__ import annotations

import os
import pathlib
import sys

#: libgomp's turns of busy waiting, some microseconds.
SPINS = '1000'
#: Who sets one of these has decided.
VARIABLES = ('GOMP_SPINCOUNT', 'OMP_WAIT_POLICY')


def _load_torch() -> str:
    """Import PyTorch; return, for the run record, how its threads wait."""
    if 'torch' in sys.modules:
        return 'as PyTorch was imported'
    chosen = [f'{name}={os.environ[name]}' for name in VARIABLES if name in os.environ]
    if not chosen:
        os.environ['GOMP_SPINCOUNT'] = SPINS
    try:
        import torch  # noqa: F401
    finally:
        if not chosen:
            del os.environ['GOMP_SPINCOUNT']  # child processes decide for themselves
    return ', '.join(chosen) or f'GOMP_SPINCOUNT={SPINS}'


def _briefly(how: str) -> bool:
    """Tell whether what `_load_torch` returned makes threads sleep after some microseconds.

    Of other OpenMP libraries than libgomp it is not known.
    """
    try:
        if 'libgomp' not in pathlib.Path('/proc/self/maps').read_text('utf-8', 'replace'):
            return False
    except OSError:
        return False
    settings = dict(setting.split('=', 1) for setting in how.split(', ') if '=' in setting)
    if 'GOMP_SPINCOUNT' in settings:
        turns = settings['GOMP_SPINCOUNT']
        return turns.isdigit() and int(turns) <= int(SPINS)
    return settings.get('OMP_WAIT_POLICY', '').lower() == 'passive'


#: For the run record.
DESCRIPTION = _load_torch()
#: After an operation, PyTorch's threads soon leave their cores to others of this process.
BRIEFLY = _briefly(DESCRIPTION)
