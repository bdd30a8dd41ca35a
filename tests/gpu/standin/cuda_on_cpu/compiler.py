"""Kernels of CUDA C: translated, compiled by g++ and launched."""

import ctypes
import hashlib
import mmap
import os
import re
import struct
import subprocess
import tempfile

from cuda_on_cpu import NotSupported, divergence, ptx, recording

FOLDER = os.path.dirname(os.path.abspath(__file__))
HEADER = os.path.join(FOLDER, 'cuda_on_cpu.h')
HEADERS = sorted(os.path.join(FOLDER, name) for name in os.listdir(FOLDER) if name.endswith('.h'))
#: -fwrapv: CUDA's integers wrap around. -ffp-contract=fast: nvcc as well fuses a multiplication and
#: an addition.
FLAGS = (
    '-std=c++14 -O2 -march=native -ffp-contract=fast -fwrapv -fno-strict-aliasing '
    '-fno-exceptions -fPIC -shared -w -fvisibility=hidden -fno-gnu-unique'
).split()
#: What nvcc may be told; fast mathematics is less exact, never required.
OPTIONS = ('--use_fast_math', '-use_fast_math')
MAX_THREADS, STACK, MAX_SHARED, MESSAGE = 1024, 65536, 49152, 256
#: In what order threads run, one of `ORDERS`; a result that depends on it is a race.
ORDER = 'CUDA_ON_CPU_ORDER'
ORDERS = ('in turn', 'backwards', 'greedy')

#: The compute capability, such as 7.0. From 7.0 on, lanes are not in lockstep and name each other.
CAPABILITY = 'CUDA_ON_CPU_CAPABILITY'

_KERNEL = re.compile(r'__global__\s+void\s+(\w+)\s*\(')
_DYNAMIC = re.compile(r'extern\s+__shared__\s+([\w ]+?)\s+(\w+)\s*\[\s*\]\s*;')
_SHARED = re.compile(r'__shared__\s+[\w ]+?\s+(\w+)\s*\[')
#: A statement that writes into a shared array; an expression with a comma stays one statement.
_WRITE = r'([;{{}})]\s*)({}\s*(?:\[[^][]*\]|\.\w+)+\s*(?:[-+*/|&^]|<<|>>)?=(?!=))'
#: A cast binds more tightly than any operator with two sides, so that no operand has to be found.
_SHIFT = re.compile(r'((?:<<|>>)=?)')
_stacks = []


def capability():
    """Return (major, minor) of the GPU that is stood in for."""
    return tuple(int(part) for part in os.environ.get(CAPABILITY, '3.5').split('.'))


class Launch(ctypes.Structure):
    """How a kernel is launched; the same layout in fibers.h."""

    _fields_ = [
        ('grid', ctypes.c_uint * 3),
        ('block', ctypes.c_uint * 3),
        ('shared_bytes', ctypes.c_uint),
        ('order', ctypes.c_int),
        ('stacks', ctypes.c_void_p),
        ('message', ctypes.c_char * MESSAGE),
    ]


def translate(source):
    """Make C++ of CUDA C: assembly, shifts, shared memory, and an entry for each kernel."""
    if re.search(r'\b(__constant__|__managed__|texture|surface|cudaLaunchDevice|<<<)\b', source):
        raise NotSupported('constant or managed memory, textures and launches inside kernels')
    text = _SHIFT.sub(r'\1 (cuda_on_cpu::Amount)', divergence.join(source))
    for name in set(_SHARED.findall(source)):
        text = re.sub(_WRITE.format(name), r'\1CUDA_ON_CPU_TURN, \2', text)
    text = _DYNAMIC.sub(r'\1 *\2 = (\1 *)cuda_on_cpu::dynamic_shared;', ptx.translate(text))
    entries = ''.join('CUDA_ON_CPU_KERNEL({})\n'.format(name) for name in _KERNEL.findall(source))
    head = '#define CUDA_ON_CPU_MAJOR {}\n#include "{}"\n'.format(capability()[0], HEADER)
    return head + 'extern "C" {{\n{}\n}}\n{}CUDA_ON_CPU_END\n'.format(text, entries)


def build(source, folder=None):
    """Compile a module, or take it from the cache; return the path of the library.

    Parameters
    ----------
    source : str
        CUDA C.
    folder : str, optional
        The cache; default: one in the folder of temporary files.

    Raises
    ------
    NotSupported
        g++ does not compile it; its first error is in the message.
    """
    text = translate(source)
    folder = folder or os.path.join(tempfile.gettempdir(), 'cuda_on_cpu-{}'.format(os.getuid()))
    key = hashlib.sha256('\0'.join([text] + FLAGS).encode())
    for header in HEADERS:
        with open(header, 'rb') as file:
            key.update(file.read())
    key = key.hexdigest()[:32]
    library = os.path.join(folder, key + '.so')
    if not os.path.exists(library):
        os.makedirs(folder, exist_ok=True)
        name = os.path.join(folder, '{}.{}'.format(key, os.getpid()))
        with open(name + '.cpp', 'w') as file:
            file.write(text)
        done = subprocess.run(
            ['g++'] + FLAGS + ['-o', name + '.so', name + '.cpp'],
            stderr=subprocess.PIPE,
            universal_newlines=True,
        )
        if done.returncode:
            errors = [line for line in done.stderr.splitlines() if ' error: ' in line] or [
                done.stderr
            ]
            raise NotSupported('a kernel does not compile here: {}'.format(errors[0]))
        os.remove(name + '.cpp')
        os.rename(name + '.so', library)
    return library


class Module(object):
    """A compiled source.

    Parameters
    ----------
    source : str
        CUDA C.
    options : list of str
        For nvcc; any but `OPTIONS` is refused.
    folder : str, optional
        The cache of `build`.
    """

    def __init__(self, source, options=(), folder=None):
        unknown = [option for option in options or () if option not in OPTIONS]
        if unknown:
            raise NotSupported("nvcc's options {}".format(' '.join(unknown)))
        recording.record(source)
        self._names = _KERNEL.findall(source)
        self._library = ctypes.CDLL(build(source, folder)) if recording.launches() else None

    def get_function(self, name):
        """Return the kernel of that name."""
        if name not in self._names:
            raise NotSupported('a kernel {} of a module that has {}'.format(name, self._names))
        return recording.Kernel() if self._library is None else Function(self._library, name)


class Function(object):
    """A kernel; `prepare` has to be called before it is launched."""

    def __init__(self, library, name):
        self._launch = getattr(library, 'launch_' + name)
        sizes = getattr(library, 'sizes_' + name)
        sizes.restype = ctypes.POINTER(ctypes.c_int)
        self.name, self._sizes, found = name, [], sizes()
        while found[len(self._sizes)]:
            self._sizes.append(found[len(self._sizes)])
        self._types = None

    def prepare(self, types):
        """Take the types of the arguments, letters as the module `struct` has them.

        Raises
        ------
        NotSupported
            They do not fit the kernel's own arguments.
        """
        letters = ''.join(
            letter * int(count or 1) for count, letter in re.findall(r'(\d*)([a-zA-Z])', types)
        )
        sizes = [struct.calcsize(letter) for letter in letters]
        # The driver 580 of an H100 also refuses four bytes for a bool, which has one.
        if sizes != self._sizes:
            raise NotSupported(
                'kernel {} takes arguments of {} bytes, and is prepared for {!r}'.format(
                    self.name, self._sizes, types
                )
            )
        self._types = letters
        return self

    def prepared_call(self, grid, block, *args, **more):
        """Launch the kernel and wait."""
        return self.prepared_async_call(grid, block, None, *args, **more)

    def prepared_async_call(self, grid, block, stream, *args, **more):
        """Launch the kernel. It has ended when this returns: every stream is the same one.

        Raises
        ------
        NotSupported
            The kernel does what CUDA leaves undefined, or the launch is too large for such a GPU.
        """
        shared = more.pop('shared_size', 0)
        if more:
            raise NotSupported('launching with {}'.format(', '.join(sorted(more))))
        if self._types is None or len(args) != len(self._types):
            raise NotSupported(
                'kernel {} is launched with {} arguments'.format(self.name, len(args))
            )
        grid, block = (
            tuple(int(n) for n in sizes) + (1,) * (3 - len(sizes)) for sizes in (grid, block)
        )
        threads = block[0] * block[1] * block[2]
        if (
            not 0 < threads <= MAX_THREADS
            or min(grid) < 1
            or max(grid[1:]) > 65535
            or shared > MAX_SHARED
        ):
            raise NotSupported(
                'kernel {} on a grid of {}, blocks of {} and {} bytes of shared memory'.format(
                    self.name, grid, block, shared
                )
            )
        values = [_pack(letter, value) for letter, value in zip(self._types, args)]
        pointers = (ctypes.c_void_p * len(values))(*[ctypes.addressof(value) for value in values])
        order = ORDERS.index(os.environ.get(ORDER, ORDERS[0]))
        how = Launch(shared_bytes=shared, order=order, stacks=_stack())
        how.grid[:], how.block[:] = grid, block
        if self._launch(pointers, ctypes.byref(how)):
            raise NotSupported('kernel {}: {}'.format(self.name, how.message.decode()))


def _pack(letter, value):
    """Return the bytes of an argument, as many as `struct` says for its letter."""
    if letter in 'fd':
        packed = struct.pack(letter, float(value))
    else:
        bits = 8 * struct.calcsize(letter)
        value = int(value)
        if not -(1 << bits - 1) <= value < 1 << bits:
            raise NotSupported('the value {} for an argument of {} bits'.format(value, bits))
        packed = (value & (1 << bits) - 1).to_bytes(bits // 8, 'little')
    return (ctypes.c_char * len(packed)).from_buffer_copy(packed)


def _stack():
    """Return the address of the fibers' stacks; pages that are not touched cost nothing."""
    if not _stacks:
        _stacks.append(mmap.mmap(-1, MAX_THREADS * STACK))
        _stacks.append(ctypes.addressof(ctypes.c_char.from_buffer(_stacks[0])))
    return _stacks[1]
