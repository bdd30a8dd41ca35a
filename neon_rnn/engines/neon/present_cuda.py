"""What neon 2.6.0, pycuda 2017.1.1 and scikit-cuda 0.5.1 need beside a present CUDA.

None of their files is changed.

- scikit-cuda reads the version of cuBLAS from its file name and expects two numbers. From CUDA 10.1
  on there is one. Then it makes a CUDA context while it is imported, and the import fails where
  there is no GPU.
- pycuda compiles for the GPU at hand. The compiler of CUDA 11.3 knows compute capabilities up to
  8.6. For later GPUs the kernels are compiled to PTX, which the driver translates.
- For GPUs that cuBLAS has no machine code for, the driver translates all of cuBLAS at the first
  start. That takes minutes, so it is said before.
- A lack of GPU memory ends in a sentence.
"""

import ctypes
import re
import subprocess

from neon_rnn.support.errors import NeonRnnError, UsageError
from neon_rnn.support.nvidia_gpu import OLDEST, VOLTA

#: The first CUDA whose compiler knows Volta, and the first that does not know compute capability
#: 3.0.
KNOWS_VOLTA, WITHOUT_OLDEST = (9, 0), (11, 0)
#: The newest GPU that a CUDA has machine code for: that of 11.8, and that of 11.1 to 11.7.
OF_CUDA_11_8, OF_CUDA_11 = (9, 0), (8, 6)
#: What the compiler knows of Volta and later where it cannot list it, before CUDA 11.
ALWAYS_KNOWN = [VOLTA]
CHOOSE = 'CUDA={} ./run.sh ... takes that one; without CUDA=, ./run.sh chooses (docs/container.md)'


def before_neon():
    """Do what has to be done before neon is imported, where pycuda and scikit-cuda are there."""
    name_cublas()
    try:
        from pycuda import driver
    except Exception:
        return
    if not hasattr(driver, 'mem_alloc_of_pycuda'):
        # neon keeps this function as a default argument
        driver.mem_alloc_of_pycuda = driver.mem_alloc
        driver.mem_alloc = _mem_alloc


def name_cublas():
    """Let scikit-cuda read the version of a cuBLAS whose file name has one number.

    cuBLAS itself is asked, which needs no GPU: ``libcublas.so.11`` is read as
    ``libcublas.so.11.000``, version 11000.
    """
    try:
        from scikits.cuda import utils
    except Exception:  # neon's own import meets it again, and `library.import_neon` says it
        return
    if hasattr(utils, 'soname_of_skcuda'):
        return
    utils.soname_of_skcuda = utils.get_soname
    utils.get_soname = _soname_with_two_numbers


def _soname_with_two_numbers(filename):
    from scikits.cuda import utils

    try:
        name = utils.soname_of_skcuda(filename)
    except RuntimeError:  # not among the libraries that ldconfig lists
        name = ''
    if re.search(r'\.so\.\d+\.\d', name):
        return name
    major = ctypes.c_int()
    ctypes.CDLL('libcublas.so').cublasGetProperty(0, ctypes.byref(major))
    return 'libcublas.so.{}.000'.format(major.value)


def why_not(driver):
    """Return why the first GPU, the driver and CUDA do not fit together: a sentence, or None.

    Parameters
    ----------
    driver : module
        ``pycuda.driver``, after ``init``.
    """
    device = driver.Device(0)
    capability = device.compute_capability()
    gpu = '{}, compute capability {}.{}'.format(device.name(), *capability)
    cuda = tuple(driver.get_version()[:2])
    supported = divmod(driver.get_driver_version(), 1000)
    supported = supported[0], supported[1] // 10
    if capability < OLDEST:
        return (
            "this GPU ({}) is too old: neon needs 3.0, a Kepler. '-b cpu' computes on the "
            'processor.'.format(gpu)
        )
    if capability >= VOLTA and cuda < KNOWS_VOLTA:
        return 'CUDA {}.{} cannot compile for this GPU ({}). It needs CUDA 11.3: {}.'.format(
            cuda[0], cuda[1], gpu, CHOOSE.format('11.3')
        )
    if capability < (3, 5) and cuda >= WITHOUT_OLDEST:
        return 'CUDA {}.{} no longer compiles for this GPU ({}). It needs CUDA 8.0: {}.'.format(
            cuda[0], cuda[1], gpu, CHOOSE.format('8.0')
        )
    if supported < cuda:
        return (
            'the driver is too old: it supports CUDA {}.{}, and this is CUDA {}.{}. Install a '
            'newer driver (docs/container.md has the versions).'.format(*(supported + cuda))
        )
    return None


def long_start(driver):
    """Return a sentence on a first start that takes minutes, or None.

    Parameters
    ----------
    driver : module
        ``pycuda.driver``, after ``init``.
    """
    device, cuda = driver.Device(0), tuple(driver.get_version()[:2])
    capability = device.compute_capability()
    known = OF_CUDA_11_8 if cuda >= (11, 8) else OF_CUDA_11
    if capability <= known or capability < VOLTA:
        return None
    return (
        'CUDA {}.{} is older than this GPU ({}): before the first start the driver translates '
        'cuBLAS for it, which took 5 minutes beside an H100. Later starts find the translation in '
        'the cache of the driver (CUDA_CACHE_PATH, else ~/.nv/ComputeCache).'.format(
            cuda[0], cuda[1], device.name()
        )
    )


def prepare():
    """Have pycuda compile for GPUs that its CUDA does not know."""
    from pycuda import compiler

    if not hasattr(compiler, 'compile_of_pycuda'):
        compiler.compile_of_pycuda = compiler.compile
        compiler.compile = _compile


def _mem_alloc(size):
    from pycuda import driver

    try:
        return driver.mem_alloc_of_pycuda(size)
    except driver.MemoryError as error:
        raise NeonRnnError(
            'not enough GPU memory: {} MiB more are not there. Choose a smaller -z, or end what '
            'else uses the GPU (nvidia-smi lists it) ({}).'.format(int(size) >> 20, error)
        )


def _compile(
    source,
    nvcc='nvcc',
    options=None,
    keep=False,
    no_extern_c=False,
    arch=None,
    code=None,
    cache_dir=None,
    include_dirs=(),
    target='cubin',
):
    """Compile as pycuda does; to PTX for a GPU that nvcc does not know."""
    from pycuda import compiler, driver

    if arch is None and code is None and target == 'cubin':
        capability = driver.Context.get_device().compute_capability()
        arch = ptx_architecture(capability, known_to(nvcc)) if capability >= VOLTA else None
        target = 'cubin' if arch is None else 'ptx'
    return compiler.compile_of_pycuda(
        source,
        nvcc,
        options,
        keep,
        no_extern_c,
        arch,
        code,
        cache_dir,
        list(include_dirs),
        target,
    )


def known_to(nvcc, _found={}):  # noqa: B006 (asked once a compiler)
    """Return the compute capabilities that a compiler knows, a list of (major, minor)."""
    if nvcc not in _found:
        try:
            text = subprocess.check_output([nvcc, '--list-gpu-arch'], stderr=subprocess.STDOUT)
        except OSError as error:
            raise UsageError(
                '-b gpu: {} cannot be run ({}). neon compiles its kernels while it runs: put the '
                'bin folder of CUDA on PATH.'.format(nvcc, error)
            )
        except subprocess.CalledProcessError:
            _found[nvcc] = ALWAYS_KNOWN
        else:
            _found[nvcc] = listed(text.decode('utf-8', 'replace'))
    return _found[nvcc]


def listed(text):
    """Return the compute capabilities in the answer of ``nvcc --list-gpu-arch``."""
    found = re.findall(r'compute_(\d+)(\d)\b', text)
    return sorted((int(major), int(minor)) for major, minor in found) or ALWAYS_KNOWN


def ptx_architecture(capability, known):
    """Return the newest architecture in `known` for a GPU, such as ``compute_86``.

    None if the GPU itself is known.

    Raises
    ------
    UsageError
        All are newer than the GPU.
    """
    if capability in known:
        return None
    older = [each for each in known if each < capability]
    if not older:
        raise UsageError(
            '-b gpu: this CUDA no longer compiles for compute capability {}.{}. '
            'Use CUDA 11.3.'.format(*capability)
        )
    return 'compute_{}{}'.format(*max(older))
