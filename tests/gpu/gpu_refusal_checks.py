"""What keeps neon's gpu backend from starting or going on: each ends in a sentence that helps.

PYTHONPATH=tests/gpu/standin:tests/parity:. /path/to/neon/python tests/gpu/gpu_refusal_checks.py
"""

import contextlib
import io
import os
import stat
import tempfile

from gpu_models import IMAGES, SEED, nn, run_checks, start
from pycuda import _driver, compiler, driver

from neon_rnn.engines.neon import library, present_cuda
from neon_rnn.support.errors import NeonRnnError


@contextlib.contextmanager
def replaced(owner, **values):
    """Replace attributes for a while."""
    before = {name: getattr(owner, name) for name in values}
    for name, value in values.items():
        setattr(owner, name, value)
    try:
        yield
    finally:
        for name, value in before.items():
            setattr(owner, name, value)


def refusal(function, *arguments):
    """Call and return what the error says, in one line."""
    try:
        function(*arguments)
    except NeonRnnError as error:
        assert '\n' not in str(error), error
        return str(error)
    raise AssertionError('not refused')


def refused_start():
    return refusal(nn.start, 'gpu', IMAGES, SEED)


def test_a_gpu_that_does_not_fit():
    """Too old; newer than CUDA; dropped by CUDA; a driver that is older than CUDA."""
    for capability, cuda, words in (
        ((2, 1), (8, 0, 0), 'is too old: neon needs 3.0'),
        (
            (9, 0),
            (8, 0, 0),
            'CUDA 8.0 cannot compile for this GPU (a CPU that stands in for a GPU, ',
        ),
        ((3, 0), (11, 3, 0), 'CUDA 11.3 no longer compiles for this GPU'),
    ):
        with replaced(driver, CAPABILITY=capability, get_version=lambda cuda=cuda: cuda):
            found = refused_start()
        assert words in found, found
    old = {'get_version': lambda: (8, 0, 0), 'get_driver_version': lambda: 7050}
    with replaced(driver, CAPABILITY=(3, 5), **old):
        found = refused_start()
    assert 'the driver is too old: it supports CUDA 7.5, and this is CUDA 8.0' in found, found


def test_no_gpu_and_no_driver():
    def fails(flags=0):
        raise _driver.RuntimeError('cuInit failed: no CUDA-capable device is detected')

    with replaced(driver, init=fails):
        assert 'CUDA does not start (cuInit failed' in refused_start()
    with replaced(driver.Device, count=staticmethod(lambda: 0)):
        assert 'CUDA finds no GPU' in refused_start()


def test_cublas_that_does_not_start():
    from scikits.cuda import cublas

    def fails():
        raise Exception('cublasNotInitialized')

    with replaced(cublas, cublasCreate=fails):
        found = refused_start()
    assert 'neon cannot make its gpu backend (cublasNotInitialized)' in found, found


def test_a_lack_of_memory():
    be = start('gpu')

    def fails(size):
        raise driver.MemoryError('cuMemAlloc failed: out of memory')

    with replaced(driver, mem_alloc_of_pycuda=fails):
        found = refusal(be.empty, (1024, 1024))
    assert found.startswith(
        'not enough GPU memory: 4 MiB more are not there. Choose a smaller -z'
    ), found


def test_the_device_says_which_kernels_it_takes():
    device = nn.start('gpu', IMAGES, SEED)
    modern = driver.CAPABILITY >= (7, 0)
    assert ('adapted' in device['kernels']) is modern, device
    assert library.why_no_gpu() is None


def test_a_first_start_that_takes_minutes_is_announced():
    for capability, cuda, minutes in (
        ((3, 5), (8, 0, 0), False),
        ((8, 6), (11, 3, 1), False),
        ((8, 9), (11, 3, 1), True),
        ((9, 0), (11, 2, 0), True),
        ((9, 0), (11, 8, 0), False),
        ((12, 0), (11, 8, 0), True),
    ):
        with replaced(driver, CAPABILITY=capability, get_version=lambda cuda=cuda: cuda):
            found = present_cuda.long_start(driver)
            assert (found is not None) is minutes, (capability, cuda, found)
            if minutes:
                said = io.StringIO()
                with contextlib.redirect_stderr(said):
                    start('gpu')
                assert said.getvalue() == found + '\n', said.getvalue()


def test_a_gpu_that_the_compiler_does_not_know_gets_ptx():
    """Through pycuda's own interface: what nvcc is asked for."""
    asked = []

    def note(source, nvcc, options, keep, no_extern_c, arch, code, cache_dir, include, target):
        asked.append((arch, target))

    start('gpu')
    with tempfile.TemporaryDirectory() as folder:
        nvcc = os.path.join(folder, 'nvcc')
        with open(nvcc, 'w') as file:
            file.write('#!/bin/sh\nprintf "compute_%s\\n" 35 50 70 75 80 86\n')
        os.chmod(nvcc, os.stat(nvcc).st_mode | stat.S_IXUSR)
        with replaced(compiler, compile_of_pycuda=note):
            for capability in ((3, 5), (6, 1), (8, 0), (8, 9), (9, 0), (12, 0)):
                with replaced(driver, CAPABILITY=capability):
                    compiler.compile('', nvcc)
            compiler.compile('', nvcc, arch='sm_70')
            missing = refusal(present_cuda.known_to, nvcc + ' that is not there')
    native, newest = (None, 'cubin'), ('compute_86', 'ptx')
    assert asked == [native, native, native, newest, newest, newest, ('sm_70', 'cubin')], asked
    assert 'put the bin folder of CUDA on PATH' in missing
    assert present_cuda.listed('compute_70\ncompute_120\n') == [(7, 0), (12, 0)]
    assert 'no longer compiles' in refusal(present_cuda.ptx_architecture, (7, 0), [(7, 5), (9, 0)])


if __name__ == '__main__':
    run_checks(globals())
