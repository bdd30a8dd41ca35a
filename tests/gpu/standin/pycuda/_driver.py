"""The errors of CUDA's driver and the names of a device's properties."""


class Error(Exception):
    """Any error of CUDA."""


class RuntimeError(Error):
    """CUDA does not start."""


class MemoryError(Error):
    """The memory of the device is used up."""


class device_attribute(object):
    """Names of a device's properties."""

    COMPUTE_CAPABILITY_MAJOR = 'COMPUTE_CAPABILITY_MAJOR'
    COMPUTE_CAPABILITY_MINOR = 'COMPUTE_CAPABILITY_MINOR'
    MULTIPROCESSOR_COUNT = 'MULTIPROCESSOR_COUNT'
