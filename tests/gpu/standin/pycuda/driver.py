"""CUDA's driver as neon uses it, with one device: a Kepler GPU whose memory is the host's."""

import time

import numpy as np
from cuda_on_cpu import compiler, memory

from pycuda._driver import Error, MemoryError, RuntimeError, device_attribute  # noqa: F401

mem_alloc = memory.DeviceAllocation

#: A Tesla K40's, which takes kernels in CUDA C, unless compiler.CAPABILITY names another.
CAPABILITY = compiler.capability()
MEMORY = 12 * 2**30  # bytes, the figure that is reported; nothing is reserved
MULTIPROCESSORS = 15


def init(flags=0):
    """Do nothing: there is nothing to start."""


def get_version():
    """Return the version of CUDA that is stood in for; the first one does not know Volta."""
    return (8, 0, 0) if CAPABILITY < (7, 0) else (11, 3, 0)


def get_driver_version():
    """Return the version of CUDA that the driver supports, as CUDA counts."""
    major, minor, _ = get_version()
    return 1000 * major + 10 * minor


def mem_get_info():
    """Return (free, all) bytes."""
    return MEMORY, MEMORY


class Device(object):
    """The one device."""

    def __init__(self, number):
        if number not in (0, None):
            raise Error('the stand-in has one device, 0, and no device {}'.format(number))

    @staticmethod
    def count():
        """Return the number of devices."""
        return 1

    def name(self):
        """Return what the device calls itself."""
        return 'a CPU that stands in for a GPU'

    def compute_capability(self):
        """Return (major, minor)."""
        return CAPABILITY

    def total_memory(self):
        """Return bytes."""
        return MEMORY

    def get_attributes(self):
        """Return every property."""
        return {
            device_attribute.COMPUTE_CAPABILITY_MAJOR: CAPABILITY[0],
            device_attribute.COMPUTE_CAPABILITY_MINOR: CAPABILITY[1],
            device_attribute.MULTIPROCESSOR_COUNT: MULTIPROCESSORS,
        }

    def get_attribute(self, attribute):
        """Return one property."""
        return self.get_attributes()[attribute]

    def make_context(self, flags=0):
        """Make a context and make it the current one."""
        context = Context()
        context.push()
        return context


class Context(object):
    """A context; the current one is on top of a stack."""

    _stack = []

    @classmethod
    def get_current(cls):
        """Return the context on top, or None."""
        return cls._stack[-1] if cls._stack else None

    @classmethod
    def pop(cls):
        """Take away the context on top; the guards of all memory are checked as well."""
        if not cls._stack:
            raise Error('there is no context')
        memory.check()
        cls._stack.pop()

    def push(self):
        """Make this the current context."""
        self._stack.append(self)

    def detach(self):
        """Forget the context."""

    @staticmethod
    def get_device():
        """Return the device of the current context."""
        return Device(0)

    @staticmethod
    def synchronize():
        """Do nothing: a kernel has ended when its launch returns."""


class Stream(object):
    """A stream; all of them are the same one."""

    def synchronize(self):
        """Do nothing."""


class Event(object):
    """A point in time."""

    def __init__(self, flags=0):
        self._time = None

    def record(self, stream=None):
        """Remember the present time."""
        self._time = time.time()
        return self

    def synchronize(self):
        """Do nothing."""
        return self

    def time_since(self, event):
        """Return milliseconds."""
        return (self._time - event._time) * 1000

    def time_till(self, event):
        """Return milliseconds."""
        return event.time_since(self)


def _bytes_of(array):
    """Return a contiguous host array as uint8, without a copy."""
    if not (array.flags.c_contiguous or array.flags.f_contiguous):
        raise Error('a host array has to be contiguous to be copied')
    return np.frombuffer(array.data if array.flags.c_contiguous else array.T.data, np.uint8)


def memcpy_htod(address, array):
    """Copy a host array to the device."""
    memory.view(address, array.nbytes)[:] = _bytes_of(array)


def memcpy_dtoh(array, address):
    """Copy from the device to a host array."""
    _bytes_of(array)[:] = memory.view(address, array.nbytes)


def memcpy_dtod(target, source, size):
    """Copy from the device to the device."""
    memory.view(target, size)[:] = memory.view(source, size)


def memcpy_htod_async(address, array, stream=None):
    """Copy as `memcpy_htod`."""
    memcpy_htod(address, array)


def memcpy_dtoh_async(array, address, stream=None):
    """Copy as `memcpy_dtoh`."""
    memcpy_dtoh(array, address)


def memcpy_dtod_async(target, source, size, stream=None):
    """Copy as `memcpy_dtod`."""
    memcpy_dtod(target, source, size)


def _set(address, value, count, kind):
    memory.view(address, count * np.dtype(kind).itemsize).view(kind)[:] = value


def memset_d8(address, value, count):
    """Set `count` bytes."""
    _set(address, value, count, np.uint8)


def memset_d16(address, value, count):
    """Set `count` values of two bytes."""
    _set(address, value, count, np.uint16)


def memset_d32(address, value, count):
    """Set `count` values of four bytes."""
    _set(address, value, count, np.uint32)


def memset_d8_async(address, value, count, stream=None):
    """Set as `memset_d8`."""
    memset_d8(address, value, count)


def memset_d16_async(address, value, count, stream=None):
    """Set as `memset_d16`."""
    memset_d16(address, value, count)


def memset_d32_async(address, value, count, stream=None):
    """Set as `memset_d32`."""
    memset_d32(address, value, count)
