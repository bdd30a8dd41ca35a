"""The backend in use: device, precision, batch size, random numbers.

neon's ``gen_backend`` and ``NervanaObject.be``.
"""

from __future__ import annotations

import dataclasses
import os
import platform
from typing import Any

import numpy
import torch

from neon_rnn.engines.torch import allocator, distributed, other_programs, waiting
from neon_rnn.engines.torch.ops import matmul
from neon_rnn.support import machine
from neon_rnn.support.errors import UsageError

#: Value of `-b` -> device. mkl is neon's word for the fast CPU path; oneDNN follows MKL-DNN.
DEVICES = {'gpu': 'cuda', 'mps': 'mps', 'cpu': 'cpu', 'mkl': 'cpu'}
#: Value of `--precision` -> type of the parameters.
PRECISIONS = {
    'float32': torch.float32,
    'float64': torch.float64,
    'bf16': torch.float32,
    'tf32': torch.float32,
}


@dataclasses.dataclass
class Backend:
    """The settings that `start` made.

    Attributes
    ----------
    name : str
        ``'gpu'``, ``'mps'`` or ``'cpu'``.
    device : torch.device
    dtype : torch.dtype
        Of the parameters: float32, or float64 for gradient checks.
    autocast : bool
        Matrix products run in bfloat16; the weights stay float32.
    batch_size : int
    rng : numpy.random.RandomState
        Source of the initial weights and the dropout masks, as ``be.rng`` is in neon.
    """

    name: str
    device: torch.device
    dtype: torch.dtype
    autocast: bool
    batch_size: int
    rng: numpy.random.RandomState


_active: Backend | None = None


def active() -> Backend:
    """Return the backend that the last `start` made.

    Raises
    ------
    UsageError
        `start` has not been called.
    """
    if _active is None:
        raise UsageError("no backend yet: call start('cpu', batch_size=..., rng_seed=...) first.")
    return _active


def start(
    backend: str,
    batch_size: int,
    rng_seed: int,
    precision: str = 'float32',
    threads: int | None = None,
    deterministic: bool = False,
) -> dict[str, Any]:
    """Make the backend that all later calls use.

    Parameters
    ----------
    backend : str
        ``'gpu'`` (CUDA), ``'mps'`` (an Apple GPU; we had none to run it on), ``'cpu'``, or
        ``'mkl'``, its synonym here.
    batch_size : int
    rng_seed : int
        Seeds ``numpy.random.RandomState``, like neon's ``gen_backend(rng_seed=...)``.
    precision : str
        ``'float32'``, ``'float64'`` (gradient checks), ``'tf32'`` (float32 with TensorFloat-32
        products, on a GPU) or ``'bf16'``.
    threads : int, optional
        CPU threads, of all ranks on this machine together. Default: ``OMP_NUM_THREADS``, else one
        for each core that this process may use and that other programs leave free.
    deterministic : bool
        Use only kernels whose result does not change from run to run.

    Returns
    -------
    dict
        For the run record: backend, device, threads, versions of PyTorch and CUDA;
        ``cores_left_to_others``, if there are any; ``bf16``, if the processor has no bfloat16.

    Raises
    ------
    UsageError
        The backend or the precision is unknown or not for this device, or there is no usable GPU.
    """
    global _active
    if backend not in DEVICES:
        raise UsageError(
            'the torch engine has no backend {!r}; it has gpu, cpu and mkl (the same as '
            'cpu), and mps on Apple machines.'.format(backend)
        )
    if precision not in PRECISIONS:
        raise UsageError(
            'there is no precision {!r}; choose {}.'.format(precision, ', '.join(PRECISIONS))
        )
    device = torch.device(DEVICES[backend])
    if precision == 'tf32' and device.type != 'cuda':
        raise UsageError('precision tf32 is for -b gpu; a processor has float32 and bf16.')
    if device.type == 'cuda' and not torch.cuda.is_available():
        build = (
            'a CPU build' if torch.version.cuda is None else 'built for CUDA ' + torch.version.cuda
        )
        raise UsageError(
            '-b gpu: PyTorch {} finds no usable CUDA GPU ({}). Use -b cpu, or install a CUDA build '
            'of PyTorch and a driver.'.format(torch.__version__, build)
        )
    if device.type == 'mps':
        _check_mps(precision)
    device = distributed.join(device.type, batch_size)
    total, left = default_threads() if threads is None else (threads, 0)
    torch.set_num_threads(distributed.own_threads(total))
    if deterministic:
        # cuBLAS requires it, before its first call.
        os.environ.setdefault('CUBLAS_WORKSPACE_CONFIG', ':4096:8')
    # `use_deterministic_algorithms` would import PyTorch's compiler, which takes a second.
    torch.set_deterministic_debug_mode('error' if deterministic else 'default')
    torch.backends.cudnn.benchmark = not deterministic
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = precision == 'tf32'
    _active = Backend(
        'gpu' if device.type == 'cuda' else device.type,
        device,
        PRECISIONS[precision],
        precision == 'bf16',
        batch_size,
        numpy.random.RandomState(rng_seed),
    )
    description: dict[str, Any] = {
        'backend': _active.name,
        'precision': precision,
        'threads': total,
        'ranks': distributed.ranks(),
        'deterministic': deterministic,
        'torch': torch.__version__,
    }
    if left:
        description['cores_left_to_others'] = left
    if device.type == 'cuda':
        description.update(
            device=torch.cuda.get_device_name(device),
            cuda=torch.version.cuda,
            cudnn=torch.backends.cudnn.version(),
        )
    elif device.type == 'mps':
        description.update(device='Apple GPU, ' + platform.machine())
    else:
        description.update(
            device=platform.machine(),
            capability=torch.backends.cpu.get_cpu_capability(),
            allocator=allocator.keep_memory(),
            waiting=waiting.DESCRIPTION,
        )
        if not matmul.multiplies_bfloat16(device):
            description['bf16'] = 'by products of float32'
    return description


def _check_mps(precision: str) -> None:
    """Refuse a machine without Apple's GPU, and what that does not have.

    Raises
    ------
    UsageError
        It cannot be used, or not in this precision or in several processes.
    """
    if not torch.backends.mps.is_available():
        build = 'has it, this machine does not' if torch.backends.mps.is_built() else 'lacks it'
        raise UsageError(
            '-b mps: PyTorch {} finds no usable Apple GPU (this build {}). Use -b cpu, or -b gpu '
            'with an NVIDIA GPU.'.format(torch.__version__, build)
        )
    if precision == 'float64':
        raise UsageError('precision float64 is for -b cpu and gpu; an Apple GPU has no float64.')
    if distributed.ranks() > 1 or int(os.environ.get('WORLD_SIZE', '1')) > 1:
        raise UsageError('-b mps: one process trains on an Apple GPU; several need -b cpu or gpu.')


def default_threads() -> tuple[int, int]:
    """Return the number of threads where none is given, and that of cores left to other programs.

    The threads are ``OMP_NUM_THREADS``, else the free cores. Several ranks take all cores: each
    would take the others for other programs.
    """
    first = os.environ.get('OMP_NUM_THREADS', '').split(',')[0].strip()
    if first.isdigit() and int(first):
        return int(first), 0
    cores = machine.cores()
    free = other_programs.free_cores(cores) if distributed.ranks() == 1 else cores
    return free, cores - free


def get_random_state() -> dict[str, Any]:
    """Return the state of the random numbers: an array of 624 keys and three numbers."""
    _, keys, position, has_gauss, cached = active().rng.get_state(legacy=True)
    return {'keys': keys, 'position': position, 'has_gauss': has_gauss, 'cached_gaussian': cached}


def set_random_state(state: dict[str, Any]) -> None:
    """Restore a state that `get_random_state` of either engine returned.

    The additional state of neon's gpu backend is ignored.
    """
    active().rng.set_state(
        (
            'MT19937',
            state['keys'],
            int(state['position']),
            int(state['has_gauss']),
            float(state['cached_gaussian']),
        )
    )
