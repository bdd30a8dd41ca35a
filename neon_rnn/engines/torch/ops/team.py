"""Compiled loops that PyTorch's own threads run together, and that call its MKL.

Handing a loop to a thread of ours takes a hundred microseconds. The threads of libgomp, PyTorch's
OpenMP, wait between two operations of PyTorch and begin at once, and there are no others that want
their cores. In such a loop, each thread's calls of MKL use that thread alone.

Both libraries come with PyTorch. Where one of the functions is missing, `LIBRARIES` is None and
nothing here can be called. Where MKL is the slower library (`matmul.MKL_IS_FAST`), nothing should
be: `AVAILABLE` is false.
"""

from __future__ import annotations

import ctypes
import functools
import pathlib
from collections.abc import Callable, Sequence
from typing import Any

import llvmlite.binding
import numba
import torch
from numba import types

from neon_rnn.engines.torch.ops import matmul
from neon_rnn.support import compiling

#: Name here -> function of a library that PyTorch has loaded.
_FUNCTIONS = {
    'sgemm': 'sgemm_',
    'bgemm': 'gemm_bf16bf16f32_',
    'tanh': 'vmsTanh',
    'use_threads': 'MKL_Set_Num_Threads_Local',
    'thread': 'omp_get_thread_num',
    'threads': 'omp_get_num_threads',
    'barrier': 'GOMP_barrier',
}


def _libraries() -> ctypes.CDLL | None:
    """Return PyTorch's library, through which those that it needs are found too."""
    path = pathlib.Path(torch.__file__).parent / 'lib/libtorch_cpu.so'
    try:
        found = ctypes.CDLL(str(path))
        for name, function in _FUNCTIONS.items():
            address = ctypes.cast(getattr(found, function), ctypes.c_void_p).value
            llvmlite.binding.add_symbol(f'neon_rnn_{name}', address)
        found.GOMP_parallel.argtypes = [ctypes.c_void_p, ctypes.c_void_p, *[ctypes.c_uint] * 2]
        found.GOMP_parallel.restype = None
    except (OSError, AttributeError):
        return None
    # The first call of a process chooses the code for its processor: in one thread, as in
    # `ops.tanh`.
    torch.mm(torch.ones(2, 2), torch.ones(2, 2))
    return found


LIBRARIES = _libraries()
AVAILABLE = LIBRARIES is not None and matmul.MKL_IS_FAST


def _function(name: str, result: Any, *arguments: Any) -> Any:
    """Return a function for compiled loops. (Numba's type hints do not know that it is called.)"""
    return types.ExternalFunction(f'neon_rnn_{name}', result(*arguments))


def _product(name: str, number: Any) -> Any:
    """Return BLAS's C = alpha op(A) op(B) + beta C for matrices by columns.

    It takes, each by address: two letters, the rows and columns of C and the columns of op(A),
    alpha, A and the distance of its columns, B likewise, beta, and C likewise. Sizes are read as 32
    or 64 bits, as the library was built; those that occur are the same either way.
    """
    text, size, real = (types.CPointer(each) for each in (types.uint8, types.int64, types.float32))
    matrix = (types.CPointer(number), size)
    sizes = (size, size, size)
    return _function(name, types.void, text, text, *sizes, real, *matrix, *matrix, real, real, size)


sgemm = _product('sgemm', types.float32)
#: A and B are bits of bfloat16, C is float32.
bgemm = _product('bgemm', types.uint16)
_reals = types.CPointer(types.float32)
#: (count, numbers, results, mode)
tanh = _function('tanh', types.void, types.int32, _reals, _reals, types.int64)
#: The mode of `tanh` that PyTorch asks for: accurate, small numbers kept, no reports of errors.
MODE = 0x2 | 0x140000 | 0x100
#: Sets how many threads MKL takes when this thread calls it; returns the number before.
use_threads = _function('use_threads', types.int32, types.int32)
#: The number of this thread in the team, and how many there are.
thread, threads = _function('thread', types.int32), _function('threads', types.int32)
#: Waits until all threads of the team are here.
barrier = _function('barrier', types.void)


@functools.cache  # the machine code lives as long as the result
def _compiled(loop: Callable) -> Any:
    kind = types.void(types.CPointer(types.voidptr))
    return compiling.kept(functools.partial(numba.cfunc, kind), loop)


def run(loop: Callable, most: int, sizes: Sequence[int], *tensors: torch.Tensor) -> None:
    """Let at most `most` of PyTorch's threads call a loop, and wait for all.

    Parameters
    ----------
    loop : function
        Compiled at its first call. It gets the addresses of the sizes, int64, and the tensors.
    most : int
    sizes : sequence of int
    *tensors : torch.Tensor

    Raises
    ------
    ValueError
        The numbers of a tensor do not lie together.
    """
    assert LIBRARIES is not None
    if not all(each.is_contiguous() for each in tensors):
        raise ValueError('a tensor of a compiled loop is not contiguous')
    numbers = (ctypes.c_int64 * len(sizes))(*sizes)
    addresses = (ctypes.c_void_p * (1 + len(tensors)))(
        ctypes.addressof(numbers), *[each.data_ptr() for each in tensors]
    )
    LIBRARIES.GOMP_parallel(
        _compiled(loop).address, addresses, min(most, torch.get_num_threads()), 0
    )
