"""``SourceModule``, with g++ in nvcc's place."""

from cuda_on_cpu import NotSupported
from cuda_on_cpu.compiler import Module


def compile(source, *arguments, **options):
    """Refuse what nvcc would make: `SourceModule` compiles by g++ itself."""
    raise NotSupported('pycuda.compiler.compile')


class SourceModule(Module):
    """A module of kernels in CUDA C; arguments as in pycuda."""

    def __init__(
        self,
        source,
        nvcc='nvcc',
        options=None,
        keep=False,
        no_extern_c=False,
        arch=None,
        code=None,
        cache_dir=None,
        include_dirs=(),
    ):
        for name, value in (
            ('keep', keep),
            ('no_extern_c', no_extern_c),
            ('arch', arch),
            ('code', code),
            ('include_dirs', include_dirs),
        ):
            if value:
                raise NotSupported('SourceModule({}={!r})'.format(name, value))
        super(SourceModule, self).__init__(source, options, cache_dir)
