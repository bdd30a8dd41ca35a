"""neon's kernels, compiled by NVIDIA's own compilers for every generation of GPU.

The sources are recorded anew while the layer checks run, and while each of the eleven networks
is trained on a minibatch of its published size. Needs what `test_live_gpu` needs, and the
package index for the compilers; no GPU.
"""

import os
import subprocess
import sys

import pytest
from live_neon import printed
from nvidia_compilers import WHEELS, Compiler
from side_by_side import each
from test_live_gpu import HERE, environment, python  # noqa: F401

from neon_rnn import published

#: Compute capability that neon is told -> the targets of its kernels, the same for all of them.
TARGETS = {'3.5': ('sm_35', 'sm_60'), '7.0': ('sm_70', 'sm_80', 'sm_90', 'sm_100', 'sm_120')}

pytestmark = pytest.mark.slow


@pytest.fixture(scope='module')
def wheels(tmp_path_factory):
    folder = tmp_path_factory.mktemp('wheels')
    command = [sys.executable, '-m', 'pip', 'download', '--quiet', '--no-deps', '--require-hashes']
    command += ['--timeout=20', '--retries=1', '--dest', folder]
    done = subprocess.run(
        [*command, '-r', HERE / 'requirements-nvrtc.txt'],
        check=False,
        capture_output=True,
        text=True,
    )
    if done.returncode:
        pytest.skip(f"NVIDIA's compilers cannot be fetched: {done.stderr.strip().splitlines()[-1]}")
    return {
        requirement: next(folder.glob(requirement.replace('-', '_').replace('==', '-') + '-*'))
        for requirement in WHEELS
    }


@pytest.fixture(scope='module')
def sources(python, tmp_path_factory):  # noqa: F811
    """Compute capability -> the texts of the kernels of the layer checks and of all networks."""
    found = {}
    for capability in TARGETS:  # one at a time: the largest network takes 10 GiB
        folder = tmp_path_factory.mktemp('kernels')
        recorded = dict(CUDA_ON_CPU_RECORD=str(folder), CUDA_ON_CPU_CAPABILITY=capability)
        for program, more in (
            ('gpu_layer_checks.py', {}),
            ('gpu_kernels.py', {'CUDA_ON_CPU_LAUNCH': 'no'}),
        ):
            variables = {**environment(), **recorded, **more}
            last = printed(python, HERE / program, timeout=1800, **variables)
        assert last.split() == list(published.rows())
        found[capability] = {path.name: path.read_text() for path in folder.glob('*.cu')}
    return found


@pytest.mark.parametrize(
    ('capability', 'target'),
    [(capability, target) for capability, targets in TARGETS.items() for target in targets],
)
def test_every_kernel_compiles(sources, wheels, tmp_path, capability, target):
    assert len(sources[capability]) >= 50
    requirement = next(name for name, targets in WHEELS.items() if target in targets)
    compiler = Compiler(wheels[requirement], tmp_path)
    logs = each(lambda source: compiler.log_of(source, target), sources[capability].values())
    wrong = {name: log[:500] for name, log in zip(sources[capability], logs, strict=True) if log}
    assert not wrong


def test_neons_own_kernels_do_not_compile_for_volta(sources, wheels, tmp_path):
    """What the engine changes is needed: warps without masks are gone there."""
    compiler = Compiler(wheels['nvidia-cuda-nvrtc-cu12==12.9.86'], tmp_path)
    assert any(
        '__shfl(' in source and compiler.log_of(source, 'sm_70')
        for source in sources['3.5'].values()
    )


def test_the_environment_is_not_recorded_into():
    assert 'CUDA_ON_CPU_RECORD' not in os.environ
