"""Recording of kernels: their sources are kept, and need not be run."""

import hashlib
import os

#: A folder that every source is written into, for the test with NVIDIA's compilers.
FOLDER = 'CUDA_ON_CPU_RECORD'
#: ``no``: nothing is compiled, launched or multiplied, and every number is 0. It takes seconds, not
#: hours, to see each kernel of a deep network.
LAUNCH = 'CUDA_ON_CPU_LAUNCH'


def launches():
    """Return False where kernels are only recorded."""
    return os.environ.get(LAUNCH) != 'no'


def record(source):
    """Write a source into the folder, if one is named."""
    if os.environ.get(FOLDER):
        name = hashlib.sha256(source.encode()).hexdigest()[:16] + '.cu'
        with open(os.path.join(os.environ[FOLDER], name), 'w') as file:
            file.write(source)


class Kernel(object):
    """A kernel of which only the source is wanted."""

    def prepare(self, types):
        """Return the kernel; the types are not checked."""
        return self

    def prepared_call(self, grid, block, *args, **more):
        """Do nothing."""

    prepared_async_call = prepared_call
