"""What the stand-in for a GPU refuses: what it does not know, and what CUDA leaves undefined."""

import shutil

import numpy as np
import pytest
from cuda_on_cpu import NotSupported, compiler, memory
from pycuda.compiler import SourceModule
from scikits.cuda import cublas

pytestmark = pytest.mark.skipif(
    shutil.which('g++') is None,
    reason='kernels are compiled by g++, which is not here: install g++',
)


def run(source, block=(32,), grid=(1,), size=1024, types='P'):
    """Run the kernel ``k`` of a source on one array of zeros."""
    function = compiler.Module(source).get_function('k')
    function.prepare(types)
    allocation = memory.DeviceAllocation(size)
    memory.view(allocation, size)[:] = 0
    try:
        function.prepared_call(grid, block, allocation)
        memory.check()
    finally:
        if not _overwritten(allocation):
            allocation.free()


def _overwritten(allocation):
    """Give memory with a spoilt guard back without the check, for the sake of other tests."""
    try:
        memory.check()
    except NotSupported:
        allocation.__del__()
        return True
    return False


@pytest.mark.parametrize(
    ('body', 'block', 'words'),
    [
        ('if (i < 16) __syncthreads(); else __syncthreads();', (32,), 'different barriers'),
        (
            'for (int j = 0; j <= i % 2; j++) __syncthreads(); __syncthreads();',
            (32,),
            'different barriers',
        ),
        ('out[i] = i < 16 ? __ballot(1) : __ballot(0);', (32,), 'different warp operations'),
        ('if (i < 16) out[i] = __shfl(i, 20);', (32,), 'takes no part'),
        ('out[i] = __shfl_down(i, 8);', (20,), 'takes no part'),
        ('out[i] = __shfl(i, 0, 5);', (32,), 'power of two'),
    ],
)
def test_what_is_undefined_in_cuda(body, block, words):
    with pytest.raises(NotSupported, match=words):
        run('__global__ void k(int *out) { int i = threadIdx.x; %s }' % body, block)


def test_a_message_says_where():
    source = (
        '__global__ void k(int *o) '
        '{ if (threadIdx.x == 3) { if (blockIdx.y) o[0] = __shfl(1, 2); } }'
    )
    with pytest.raises(NotSupported, match=r'kernel k: block \(0, 1, 0\), thread \(3, 0, 0\)'):
        run(source, grid=(1, 2))


@pytest.mark.parametrize(
    ('source', 'words'),
    [
        ('__constant__ int c; __global__ void k(int *o) { }', 'constant'),
        (
            '__global__ void k(int *o) { asm("bfind.u32 %0, %1;" : "=r"(o[0]) : "r"(o[1])); }',
            'bfind',
        ),
        ('__global__ void k(int *o) { asm("mov.b32 %0, %1, %2;" : "=q"(o[0])); }', '"q"'),
        ('__global__ void k(int *o) { o[0] = __dp4a(1, 2, 3); }', '__dp4a'),
        ('__global__ void k(int *o) { again: if (__ballot(o[0])) goto again; }', 'goto'),
        (
            '__device__ int f() { return __ballot(1); } __global__ void k(int *o) { o[0] = f(); }',
            'that kernels call',
        ),
        ('__global__ void k(double *o) { o[0] = __shfl(1.0, 3); }', 'four bytes'),
    ],
)
def test_what_is_not_known(source, words):
    with pytest.raises(NotSupported, match=words):
        run(source)


@pytest.mark.parametrize(
    ('settings', 'words'),
    [
        ({'block': (2048,)}, '2048'),
        ({'grid': (1, 70000)}, '70000'),
        ({'types': 'Pi'}, 'is prepared for'),
        ({'types': 'i'}, 'is prepared for'),
    ],
)
def test_launches_that_cannot_be(settings, words):
    with pytest.raises(NotSupported, match=words):
        run('__global__ void k(int *o) { }', **settings)


def test_writing_beyond_an_allocation():
    with pytest.raises(NotSupported, match='wrote after the 1024 bytes'):
        run('__global__ void k(int *o) { o[256] = 1; }', (1,))
    with pytest.raises(NotSupported, match='wrote before the 1024 bytes'):
        run('__global__ void k(int *o) { o[-1] = 1; }', (1,))


def test_memory_that_is_not_the_devices():
    allocation = memory.DeviceAllocation(100)
    for address, size in ((int(allocation), 101), (int(allocation) - 1, 1), (16, 4)):
        with pytest.raises(NotSupported, match='not in device memory'):
            memory.view(address, size)
    allocation.free()
    with pytest.raises(NotSupported, match='not in device memory'):
        memory.view(allocation, 1)


def test_options_that_change_what_is_compiled():
    with pytest.raises(NotSupported, match='-DN=3'):
        SourceModule('__global__ void k(int *o) { }', options=['--use_fast_math', '-DN=3'])
    with pytest.raises(NotSupported, match='arch'):
        SourceModule('__global__ void k(int *o) { }', arch='sm_70')


def test_a_race_shows_in_another_order(monkeypatch):
    """A warp writes what another one still reads: each order is allowed, and they differ."""
    source = """__global__ void k(int *out) {
        __shared__ int last;
        last = threadIdx.x / 32;
        __syncthreads();
        out[threadIdx.x] = last;
    }"""
    found = set()
    for order in compiler.ORDERS:
        monkeypatch.setenv(compiler.ORDER, order)
        function = compiler.Module(source).get_function('k').prepare('P')
        allocation = memory.DeviceAllocation(256)
        function.prepared_call((1,), (64,), allocation)
        found.add(int(memory.view(allocation, 4).view(np.int32)[0]))
        allocation.free()
    assert found == {0, 1}


def test_products_of_matrices_as_cublas_has_them():
    """Column by column; transposed or not; parts of matrices; beta 0 does not read the target."""
    rng = np.random.RandomState(1)
    for transa in 'nt':
        for transb in 'nt':
            a, b, c = (rng.rand(9, 8).astype(np.float32) for _ in range(3))
            places = [memory.DeviceAllocation(288) for _ in range(3)]
            for place, values in zip(places, (a, b, c), strict=True):
                memory.view(place, 288)[:] = np.frombuffer(
                    np.asfortranarray(values).T.data, np.uint8
                )
            m, n, k = 4, 3, 5
            cublas.cublasSgemm(
                1, transa, transb, m, n, k, 2.0, places[0], 9, places[1], 9, 0.5, places[2], 9
            )
            left = a[:m, :k] if transa == 'n' else a[:k, :m].T
            right = b[:k, :n] if transb == 'n' else b[:n, :k].T
            expected = c.copy()
            expected[:m, :n] = 2 * left.dot(right) + 0.5 * c[:m, :n]
            found = memory.view(places[2], 288).view(np.float32).reshape(8, 9).T
            np.testing.assert_allclose(found, expected, rtol=1e-6)
            for place in places:
                place.free()


def test_cublas_refuses_what_cublas_refuses():
    place = memory.DeviceAllocation(400)
    with pytest.raises(NotSupported, match='leading dimension'):
        cublas.cublasSgemm(1, 'n', 'n', 4, 4, 4, 1.0, place, 3, place, 4, 0.0, place, 4)
    place.free()


@pytest.mark.parametrize('types', ['PI', 'P', 'PII', 'Pd'])
def test_arguments_of_another_size(types):
    """A bool has one byte: the driver of an H100 ended such a launch."""
    with pytest.raises(NotSupported, match='takes arguments of'):
        run('__global__ void k(int *out, bool b) { out[0] = b; }', types=types)
