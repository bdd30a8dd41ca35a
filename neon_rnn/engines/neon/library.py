"""Intel neon itself: imported here first, so that a sentence says what keeps it from working."""

import os
import sys

from neon_rnn.engines.neon import present_cuda
from neon_rnn.support.errors import UsageError

#: The version that was published with, and its commit in github.com/NervanaSystems/neon.
VERSION = '2.6.0'
COMMIT = 'f9d771bbb5f5fa3ae129748596d0ced5389c7f88'
ENGINE_FILES = ('mklEngine.so', 'cmath.so', os.path.join('src', 'math_cpu.header'))


def import_neon():
    """Import neon and its backends.

    Returns
    -------
    module

    Raises
    ------
    UsageError
        neon is not there, is another version, or its import fails on a library.
    """
    present_cuda.before_neon()
    try:
        import neon
    except ImportError as error:
        raise UsageError(
            'Intel neon cannot be imported ({}). It needs version {} and Python 3.5 or 3.6: '
            'docs/container.md has the container that holds both.'.format(error, VERSION)
        )
    found = getattr(neon, '__version__', 'unknown')
    if found.split('+')[0] != VERSION:
        raise UsageError(
            'this is Intel neon {}; the experiment was published with {} (commit {}), and other '
            'versions compute other numbers. Install that one, or use the container '
            '(docs/container.md).'.format(found, VERSION, COMMIT)
        )
    try:
        if 'neon.backends' not in sys.modules:
            _share_cache()
        import neon.backends
    except Exception as error:
        # scikit-cuda without CUDA's libraries ends in OSError here (neon issue 304), or in an error
        # of its own
        raise UsageError(
            'neon {} is installed but its backends do not load ({}). On a machine with a GPU, put '
            'the folders of libcublas.so, libcudart.so and the libcuda.so of the driver (those '
            'names, without a version) into LD_LIBRARY_PATH. Without one, uninstall pycuda and '
            'scikit-cuda: the mkl and cpu backends do not need them.'.format(found, error)
        )
    return neon


def _share_cache():
    """Have neon's backends, which come after this, take folders that another process makes.

    neon makes each folder of its cache of kernels after a look whether it is there. Of two
    processes that start at once on a new machine, one would fail, because the other one made it in
    between.
    """
    from neon.util import persist

    find = persist.get_cache_dir

    def get_cache_dir(subdir=None):
        try:
            return find(subdir)
        except FileExistsError:
            return find(subdir)

    persist.get_cache_dir = get_cache_dir


def registered_backends():
    """Return the names of the backends that neon could import: ``cpu``, ``mkl``, ``gpu``."""
    import_neon()
    from neon.backends.backend import Backend

    return sorted(Backend.backend_choices())


def missing_engine_files():
    """Return the paths of the mkl backend's compiled parts that are not there."""
    folder = os.path.join(os.path.dirname(import_neon().backends.__file__), 'mklEngine')
    return [
        os.path.join(folder, name)
        for name in ENGINE_FILES
        if not os.path.isfile(os.path.join(folder, name))
    ]


def why_no_mkl():
    """Return a sentence on what keeps the mkl backend from being made, or None."""
    missing = missing_engine_files()
    if missing:
        return (
            "neon's mkl engine is not built: {} is missing. Build it before neon is installed "
            '(make in neon/backends/mklEngine, as the Dockerfile does).'.format(missing[0])
        )
    if 'mkl' not in registered_backends():
        return "neon's mkl backend cannot be imported ({}).".format(_import_error('nervanamkl'))
    return None


def why_no_gpu():
    """Return a sentence on what keeps the gpu backend from being made, or None."""
    try:
        import pycuda.driver as driver
    except (ImportError, OSError) as error:
        return (
            'no CUDA for Python here: pycuda cannot be imported ({}). The GPU image of the '
            'container has it (docs/container.md says for which GPU which CUDA).'.format(error)
        )
    try:
        driver.init()
        count = driver.Device.count()
    except Exception as error:  # pycuda's own error types exist only where it could be imported
        return (
            'CUDA does not start ({}). Is the driver there, and was the container started with '
            'the GPU?'.format(error)
        )
    if not count:
        return 'CUDA finds no GPU.'
    misfit = present_cuda.why_not(driver)
    if misfit:
        return misfit
    if 'gpu' not in registered_backends():
        return "neon's gpu backend cannot be imported ({}).".format(_import_error('nervanagpu'))
    return None


def _import_error(module):
    """Return the message of the error that importing one of neon's backends ends in."""
    try:
        __import__('neon.backends.' + module)
    except Exception as error:  # whatever it is, it is what has to be shown
        return '{}: {}'.format(type(error).__name__, error)
    return 'unknown'


neon = import_neon()
