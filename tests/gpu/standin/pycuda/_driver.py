"""Where neon's check for a GPU looks for the driver's error and attributes."""

from pycuda.driver import RuntimeError, device_attribute  # noqa: F401
