"""NVIDIA GPUs of this machine, and how neon's gpu backend computes on each generation."""

import subprocess

#: The first compute capability that neon's gpu backend takes.
OLDEST = (3, 0)
#: The first one that takes neon's machine code, and the first one that cannot.
MAXWELL, VOLTA = (5, 0), (7, 0)


def neon_path(capability):
    """Return how neon's gpu backend computes on a compute capability, (major, minor)."""
    if capability < OLDEST:
        return 'none: older than compute capability {}.{}'.format(*OLDEST)
    if capability < MAXWELL:
        return "neon's CUDA C as published"
    if capability < VOLTA:
        return "neon's machine code for Maxwell and Pascal"
    return "neon's CUDA C adapted to Volta and later"


def seen():
    """Ask nvidia-smi for the GPUs.

    Returns
    -------
    list of dict
        ``name``, ``driver`` and ``capability``: (major, minor), or None where the driver is older
        than 510 and does not tell.
    """
    rows = _ask('name,driver_version,compute_cap') or _ask('name,driver_version') or []
    return [_gpu(row) for row in rows]


def _gpu(row):
    name, driver = row[:2]
    capability = None
    if len(row) == 3:
        try:
            major, minor = row[2].split('.')
            capability = int(major), int(minor)
        except ValueError:  # '[N/A]'
            pass
    return {'name': name, 'driver': driver, 'capability': capability}


def _ask(fields):
    """Return the fields of each GPU, or None where nvidia-smi is missing or refuses."""
    command = ['nvidia-smi', '--query-gpu=' + fields, '--format=csv,noheader']
    try:
        text = subprocess.check_output(command, stderr=subprocess.STDOUT)
    except (OSError, subprocess.CalledProcessError):
        return None
    rows = [[word.strip() for word in line.split(',')] for line in text.decode().splitlines()]
    return [row for row in rows if len(row) == fields.count(',') + 1]


def describe(gpu):
    """Return a GPU in words."""
    if gpu['capability'] is None:
        return '{name}, driver {driver}; the driver does not tell its compute capability'.format(
            **gpu
        )
    return '{}, driver {}, compute capability {}.{}; in engine neon: {}'.format(
        gpu['name'], gpu['driver'], *(gpu['capability'] + (neon_path(gpu['capability']),))
    )
