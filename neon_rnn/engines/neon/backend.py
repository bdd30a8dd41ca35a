"""The backend in use, made by `start` with neon's ``gen_backend``, and its random numbers."""

import ctypes
import os
import sys

import numpy as np

from neon_rnn.engines.neon import gpu_convolution, library, modern_gpu, present_cuda
from neon_rnn.engines.neon.merge_sum import refuse_undone_sums
from neon_rnn.engines.neon.selftest import check_convolution
from neon_rnn.support import machine
from neon_rnn.support.errors import NeonRnnError, UsageError
from neon_rnn.support.nvidia_gpu import neon_path

#: What ``-b`` accepts -> neon's own name. cpu is the fast CPU path, as neon itself chooses it
#: without a GPU.
BACKENDS = {'gpu': 'gpu', 'mkl': 'mkl', 'cpu': 'mkl', 'numpy': 'cpu'}
AMD_VARIABLE = 'MKL_DEBUG_CPU_TYPE'
AMD_VALUE = '5'


def active():
    """Return the backend made by the last `start`.

    Raises
    ------
    UsageError
        There is none yet.
    """
    be = library.neon.NervanaObject.be
    if be is None:
        raise UsageError("no backend yet: call start('cpu', batch_size=..., rng_seed=...) first.")
    return be


def start(backend, batch_size, rng_seed, precision='float32', threads=None, deterministic=False):
    """Make the backend that everything after it uses.

    Parameters
    ----------
    backend : str
        ``'gpu'`` (CUDA), ``'mkl'``, ``'cpu'`` (the same as mkl) or ``'numpy'`` (neon's plain cpu
        backend).
    batch_size : int
        Fixed for every model made afterwards.
    rng_seed : int
        Seeds the ``numpy.random.RandomState`` that draws the weights and the dropout masks.
    precision : str
        ``'float32'``; ``'float64'`` with numpy only.
    threads : int, optional
        Of the mkl backend; default: what MKL chooses, all cores unless ``OMP_NUM_THREADS`` says
        otherwise.
    deterministic : bool
        Asked of the gpu backend by seeding it, which neon takes for "deterministic"; the CPU
        backends always are.

    Returns
    -------
    dict
        For the run record: backend, device, threads, versions of what computes.

    Raises
    ------
    UsageError
        The backend or precision is unknown or missing here; says why and what to do.
    NeonRnnError
        This MKL computes convolutions wrongly.
    """
    if backend not in BACKENDS:
        raise UsageError(
            'the neon engine has no backend {!r}; it has gpu, mkl, cpu (the same as mkl) and '
            'numpy.'.format(backend)
        )
    name = BACKENDS[backend]
    if precision not in ('float32', 'float64') or (precision == 'float64' and name != 'cpu'):
        raise UsageError(
            'the neon engine has no precision {!r} on backend {}: float32, and float64 on '
            'numpy.'.format(precision, backend)
        )
    if threads is not None and name != 'mkl':
        raise UsageError(
            'the number of threads can be set for the mkl backend only; for numpy set '
            'OPENBLAS_NUM_THREADS before starting Python.'
        )
    why_not = {'mkl': library.why_no_mkl, 'gpu': library.why_no_gpu, 'cpu': lambda: None}[name]()
    if why_not:
        raise UsageError('-b {}: {}'.format(backend, why_not))
    if name == 'mkl':
        _avoid_slow_path_on_amd()
    if name == 'gpu':
        _prepare_gpu()
    be = _generate(backend, name, batch_size, rng_seed, np.dtype(precision).type)
    if name == 'mkl':
        if threads is not None:
            _set_threads(be, threads)
        check_convolution(be, mkl_version(be))
        refuse_undone_sums(be)
    if name == 'gpu':
        modern_gpu.complete(be)
        gpu_convolution.complete(be)
    return _describe(be, name, precision, deterministic)


def _prepare_gpu():
    import pycuda.driver as driver

    present_cuda.prepare()
    wait = present_cuda.long_start(driver)
    if wait:
        print(wait, file=sys.stderr, flush=True)


def _generate(backend, name, batch_size, rng_seed, dtype):
    try:
        return library.neon.backends.gen_backend(
            backend=name, batch_size=batch_size, rng_seed=rng_seed, datatype=dtype
        )
    except NeonRnnError:
        raise
    except (Exception, SystemExit) as error:  # the errors of CUDA have types of their own
        hint = (
            "Is MKL's folder where the engine was linked to find it (its RUNPATH), or in "
            'LD_LIBRARY_PATH?'
            if name == 'mkl'
            else 'neon_rnn doctor says what is missing.'
        )
        raise UsageError(
            '-b {}: neon cannot make its {} backend ({}). {}'.format(backend, name, error, hint)
        )


def _avoid_slow_path_on_amd():
    """Have MKL use its AVX2 kernels on AMD processors too; it must be said before MKL is loaded.

    MKL up to 2020.0 recognises only Intel's processors and takes SSE2 kernels on others, about four
    times slower here. A value that the user has set stays.
    """
    if 'AMD' in machine.cpu_model():
        os.environ.setdefault(AMD_VARIABLE, AMD_VALUE)


def _set_threads(be, threads):
    for function in ('MKL_Set_Num_Threads', 'omp_set_num_threads'):
        getattr(be.mklEngine, function)(ctypes.c_int(threads))


def mkl_version(be):
    """Return MKL's description of its build, such as 'Intel(R) Math Kernel Library Version ...'."""
    text = ctypes.create_string_buffer(256)
    be.mklEngine.MKL_Get_Version_String(text, ctypes.c_int(len(text)))
    return text.value.decode('ascii', 'replace').strip()


def _describe(be, name, precision, deterministic):
    description = {
        'backend': {'cpu': 'numpy'}.get(name, name),
        'precision': precision,
        'threads': None,
        'deterministic': deterministic or name != 'gpu',
        'neon': library.neon.__version__,
        'numpy': np.__version__,
        'device': machine.cpu_model(),
    }
    if name == 'mkl':
        description.update(
            mkl=mkl_version(be),
            threads=int(be.mklEngine.MKL_Get_Max_Threads()),
            mkl_debug_cpu_type=os.environ.get(AMD_VARIABLE),
        )
    if name == 'gpu':
        import pycuda.driver as driver

        device = driver.Context.get_device()
        description.update(
            device=device.name(),
            cuda='.'.join(str(part) for part in driver.get_version()),
            driver=driver.get_driver_version(),
            compute_capability='{}.{}'.format(*device.compute_capability()),
            kernels=neon_path(device.compute_capability()),
        )
    return description


def get_random_state():
    """Return the state of the backend's random numbers, as arrays for a checkpoint.

    Dropout on the gpu backend draws on the device; its state is there as ``device``.
    """
    be = active()
    _, keys, position, has_gauss, cached = be.rng.get_state()
    state = {
        'keys': keys,
        'position': np.int64(position),
        'has_gauss': np.int64(has_gauss),
        'cached_gaussian': np.float64(cached),
    }
    if be.backend_name == 'gpu':
        state['device'] = be.rng_get_state()[1]
    return state


def set_random_state(state):
    """Put back what `get_random_state` returned (in either engine)."""
    be = active()
    host = (
        'MT19937',
        state['keys'],
        int(state['position']),
        int(state['has_gauss']),
        float(state['cached_gaussian']),
    )
    if 'device' in state and be.backend_name == 'gpu':
        be.rng_set_state((host, np.asarray(state['device'], dtype=np.uint32)))
    else:
        be.rng.set_state(host)
