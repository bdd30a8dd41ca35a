"""A stand-in for pycuda whose device is the CPU; only for the tests (docs/gpu-on-cpu.md)."""
