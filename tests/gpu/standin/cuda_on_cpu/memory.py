"""Device memory that is memory of the host, with guards around every allocation."""

import bisect
import ctypes
import sys

import numpy as np

from cuda_on_cpu import NotSupported, recording

ALIGNMENT = 512  # bytes, what CUDA's allocator gives at least 256 of
GUARD = 1024  # bytes before and after; a kernel may read a little beyond, but not write
GUARD_BYTE = 0xA5
#: NaN as float32 and -1 as int: what is read before it is written shows.
UNSET_BYTE = 0xFF

#: (address, size, guards) of each allocation, sorted. It changes by single calls of C only: between
#: two, Python may collect garbage, and with it other allocations.
_allocations = []


class DeviceAllocation(object):
    """A piece of device memory; an int of it is its address.

    Parameters
    ----------
    size : int
        Bytes.
    """

    def __init__(self, size):
        self.size = int(size)
        if self.size < 1:
            raise NotSupported('an allocation of {} bytes'.format(self.size))
        # pages of zeros that nobody writes cost nothing
        self._buffer = np.zeros(self.size + 2 * GUARD + ALIGNMENT, np.uint8)
        base = self._buffer.ctypes.data
        self._offset = -(base + GUARD) % ALIGNMENT + GUARD
        self._address = base + self._offset
        end = self._offset + self.size
        self._guards = (
            self._buffer[self._offset - GUARD : self._offset],
            self._buffer[end : end + GUARD],
        )
        for guard in self._guards:
            guard[:] = GUARD_BYTE
        if recording.launches():
            self._buffer[self._offset : end] = UNSET_BYTE
        self._record = (self._address, self.size, self._guards)
        bisect.insort(_allocations, self._record)

    def __int__(self):
        return self._address

    __index__ = __int__

    def free(self):
        """Give the memory back; an address in it is refused from then on."""
        if self._forget():
            _check_guards(self._record)

    def __del__(self):
        if sys is None or sys.is_finalizing() or not hasattr(self, '_record'):
            return
        self._forget()

    def _forget(self):
        """Take the allocation out of the list; return False if that was done before."""
        try:
            _allocations.remove(self._record)
        except ValueError:
            return False
        return True

    def as_buffer(self, size, offset=0):
        """Return the memory as a writable buffer of `size` bytes."""
        return memoryview(view(self._address + offset, size))


def view(address, size):
    """Return device memory as an array of uint8.

    Raises
    ------
    NotSupported
        The bytes do not lie in one allocation.
    """
    address, size = int(address), int(size)
    key = (address, float('inf'))
    place = bisect.bisect(_allocations, key) - 1
    if place < 0 or address + size > sum(_allocations[place][:2]):
        raise NotSupported('{} bytes at {:#x} are not in device memory'.format(size, address))
    return np.ctypeslib.as_array((ctypes.c_uint8 * size).from_address(address))


def check():
    """Raise `NotSupported` where something was written outside an allocation that is in use."""
    for allocation in _allocations:
        _check_guards(allocation)


def _check_guards(allocation):
    address, size, guards = allocation
    for guard, where in zip(guards, ('before', 'after')):
        if np.any(guard != GUARD_BYTE):
            raise NotSupported(
                'a kernel wrote {} the {} bytes at {:#x}'.format(where, size, address)
            )
