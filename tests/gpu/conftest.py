"""The folders of the stand-in and of the programs that find neon; a launch on the stand-in."""

import sys
from pathlib import Path

import numpy as np
import pytest

HERE = Path(__file__).resolve().parent
for folder in (HERE / 'standin', HERE.parent / 'parity'):
    if str(folder) not in sys.path:
        sys.path.append(str(folder))


@pytest.fixture
def launch(tmp_path_factory, monkeypatch):
    """Return a function that compiles a kernel ``k`` and runs it on arrays, which it changes."""
    from cuda_on_cpu import compiler, memory

    folder = tmp_path_factory.getbasetemp() / 'kernels'

    def run(source, arrays, grid=(1,), block=(32,), shared=0, more=(), order=None):
        if order is not None:
            monkeypatch.setenv(compiler.ORDER, order)
        function = compiler.Module(source, folder=str(folder)).get_function('k')
        function.prepare('P' * len(arrays) + 'i' * len(more))
        allocations = []
        for array in arrays:
            allocation = memory.DeviceAllocation(array.nbytes)
            memory.view(allocation, array.nbytes)[:] = np.frombuffer(array.data, np.uint8)
            allocations.append(allocation)
        function.prepared_call(grid, block, *allocations, *more, shared_size=shared)
        for array, allocation in zip(arrays, allocations, strict=True):
            array[...] = (
                memory.view(allocation, array.nbytes).view(array.dtype).reshape(array.shape)
            )
            allocation.free()

    return run
