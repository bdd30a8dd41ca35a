"""Describe the circumstances of a figure: code (git), installed packages, machine."""

import os
import platform
import subprocess
import sys

from neon_rnn import __version__
from neon_rnn.support.paths import PACKAGE

#: Packages whose versions a run record names: name in the record, name of the distribution.
PACKAGES = (
    ('neon', 'nervananeon'),
    ('torch', 'torch'),
    ('numpy', 'numpy'),
    ('h5py', 'h5py'),
    ('pillow', 'pillow'),
    ('tqdm', 'tqdm'),
)


def versions():
    """Return the versions of neon_rnn, Python and the installed ones of `PACKAGES`; import none.

    Returns
    -------
    dict
        Name -> version.
    """
    found = {'neon_rnn': __version__, 'python': platform.python_version()}
    for key, distribution in PACKAGES:
        version = installed_version(distribution)
        if version is not None:
            found[key] = version
    return found


def installed_version(distribution):
    """Return the version of an installed distribution, or None."""
    try:
        from importlib import metadata  # novermin
    except ImportError:  # before Python 3.8, so in the container
        import pkg_resources

        try:
            return pkg_resources.get_distribution(distribution).version
        except pkg_resources.DistributionNotFound:
            return None
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return None


def git_state():
    """Return the commit of the code that runs, and whether the code differs from it.

    Only the package's own folder counts as code: records of earlier runs do not make a run dirty.

    Returns
    -------
    dict
        `commit` (hexadecimal, or None where this is no git checkout or git is missing) and `dirty`
        (or None).
    """
    # A copy of the package inside somebody's repository is not under that repository's control.
    if _git(PACKAGE, 'ls-files', '--error-unmatch', '__init__.py') is None:
        return {'commit': None, 'dirty': None}
    changed = _git(PACKAGE, 'status', '--porcelain', '--', '.')
    return {
        'commit': _git(PACKAGE, 'rev-parse', 'HEAD'),
        'dirty': None if changed is None else bool(changed),
    }


def _git(folder, *arguments):
    """Return the output of a git command, or None if it fails or there is no git."""
    try:
        # The container runs as another user than the one who owns the mounted checkout.
        done = subprocess.Popen(
            ['git', '-c', 'safe.directory=*', '-C', folder] + list(arguments),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        output = done.communicate()[0]
    except OSError:
        return None
    return output.decode('utf-8', 'replace').strip() if done.returncode == 0 else None


def describe():
    """Return the machine as a run record describes it.

    Returns
    -------
    dict
        `cpu` (model), `cores` (those this process may use), `memory_gib` (what it may use; None if
        unknown) and `system`.
    """
    return {'cpu': cpu_model(), 'cores': cores(), 'memory_gib': memory_gib(), 'system': system()}


def cpu_model(path='/proc/cpuinfo'):
    """Return the processor's model as Linux names it, else as Python does."""
    for line in _lines(path):
        key, _, value = line.partition(':')
        if key.strip() in ('model name', 'Model') and value.strip():
            return ' '.join(value.split())
    return platform.processor() or platform.machine() or 'unknown'


def made_by_intel(path='/proc/cpuinfo'):
    """Tell whether Intel made the processor; False where the system does not name the maker."""
    for line in _lines(path):
        key, _, value = line.partition(':')
        if key.strip() == 'vendor_id':
            return value.strip() == 'GenuineIntel'
    return 'GenuineIntel' in platform.processor()


def cores(limit='/sys/fs/cgroup/cpu.max'):
    """Return how many cores this process may use.

    Its affinity counts, and the quota of its control group, rounded down.
    """
    affinity = (
        len(os.sched_getaffinity(0)) if hasattr(os, 'sched_getaffinity') else os.cpu_count() or 1
    )
    quota = ' '.join(_lines(limit)).split()
    if len(quota) == 2 and quota[0].isdigit():
        return max(1, min(affinity, int(quota[0]) // int(quota[1])))
    return affinity


def memory_gib(path='/proc/meminfo', limit='/sys/fs/cgroup/memory.max'):
    """Return the memory this process may use, in GiB with one decimal, or None."""
    total = None
    for line in _lines(path):
        if line.startswith('MemTotal:'):
            total = int(line.split()[1]) * 1024
    granted = ''.join(_lines(limit)).strip()
    if granted.isdigit():
        total = int(granted) if total is None else min(total, int(granted))
    return None if total is None else round(total / 2.0**30, 1)


def system():
    """Return the distribution and the kernel, such as ``'Ubuntu 16.04.4 LTS, Linux 4.4.0'``."""
    kernel = ' '.join((platform.system(), platform.release())).strip() or sys.platform
    for line in _lines('/etc/os-release'):
        if line.startswith('PRETTY_NAME='):
            return '{}, {}'.format(line.split('=', 1)[1].strip().strip('"'), kernel)
    return kernel


def _lines(path):
    """Return the lines of a text file of the system; none if there is no such file."""
    try:
        with open(path, encoding='utf-8', errors='replace') as file:
            return file.read().splitlines()
    except OSError:
        return []
