"""A setting of glibc's allocator: keep freed memory, do not return it to the system.

By default glibc maps each block above some 32 MiB anew and returns it when it is freed. Every
minibatch then pays for the same pages again, which took a quarter of the time of plain PyTorch here
(docs/fast.md).
"""

from __future__ import annotations

import ctypes

# <malloc.h>
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD, M_ARENA_MAX = -1, -3, -8
_LIMIT = 2**31 - 1


def keep_memory() -> str:
    """Let freed memory stay with the process, whatever its size.

    Returns
    -------
    str
        For the run record: what was set, or that this C library has no such settings.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):
        return 'as the system has it'
    mallopt.argtypes, mallopt.restype = (ctypes.c_int, ctypes.c_int), ctypes.c_int
    # Some versions of glibc refuse a mapping threshold above half of an arena's heap. All of them
    # take 32 MiB.
    done = [
        mallopt(M_TRIM_THRESHOLD, _LIMIT),
        mallopt(M_MMAP_THRESHOLD, 2**30) or mallopt(M_MMAP_THRESHOLD, 2**25),
        # Threads that compute pieces would get heaps of their own, which glibc returns to the
        # system whenever they are empty.
        mallopt(M_ARENA_MAX, 1),
    ]
    return 'keeps freed memory' if all(done) else 'as the system has it'
