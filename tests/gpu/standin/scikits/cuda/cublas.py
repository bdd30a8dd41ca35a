"""The calls of cuBLAS that neon makes, by NumPy; matrices lie column by column, as in Fortran."""

import numpy as np
from cuda_on_cpu import NotSupported, memory, recording

TRANSPOSED = {'n': False, 'N': False, 't': True, 'T': True}


def cublasCreate():
    """Return a handle; it means nothing here."""
    return 1


def cublasDestroy(handle):
    """Do nothing."""


def _matrix(address, rows, columns, leading):
    """Return a (rows, columns) matrix whose columns begin `leading` numbers apart."""
    if leading < max(1, rows):
        raise NotSupported('cuBLAS: a leading dimension of {} for {} rows'.format(leading, rows))
    numbers = leading * (columns - 1) + rows
    values = memory.view(address, numbers * 4).view(np.float32)
    return np.lib.stride_tricks.as_strided(values, (rows, columns), (4, leading * 4))


def _vector(address, length, step):
    if step < 1:
        raise NotSupported('cuBLAS: a vector with a step of {}'.format(step))
    return memory.view(address, ((length - 1) * step + 1) * 4).view(np.float32)[::step]


def _accumulate(target, product, alpha, beta):
    # with beta 0, what the target held is not read: it may be NaN
    target[...] = np.float32(alpha) * product + (np.float32(beta) * target if beta else 0)


def cublasSgemm(handle, transa, transb, m, n, k, alpha, A, lda, B, ldb, beta, C, ldc):
    """Compute C = alpha * op(A) op(B) + beta * C; op(A) is (m, k), op(B) (k, n), C (m, n)."""
    if not recording.launches():
        return
    a = _matrix(A, k, m, lda).T if TRANSPOSED[transa] else _matrix(A, m, k, lda)
    b = _matrix(B, n, k, ldb).T if TRANSPOSED[transb] else _matrix(B, k, n, ldb)
    _accumulate(_matrix(C, m, n, ldc), np.dot(a, b), alpha, beta)


def cublasSgemv(handle, trans, m, n, alpha, A, lda, x, incx, beta, y, incy):
    """Compute y = alpha * op(A) x + beta * y; A is (m, n)."""
    if not recording.launches():
        return
    a = _matrix(A, m, n, lda)
    a = a.T if TRANSPOSED[trans] else a
    product = np.dot(a, _vector(x, a.shape[1], incx))
    _accumulate(_vector(y, a.shape[0], incy), product, alpha, beta)
