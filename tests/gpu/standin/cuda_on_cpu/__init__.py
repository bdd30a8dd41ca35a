"""CUDA C on a CPU: device memory, kernels and their launch (docs/gpu-on-cpu.md)."""


class NotSupported(RuntimeError):
    """The stand-in cannot do what is asked; the message names it."""
