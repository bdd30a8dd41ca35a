"""neon's gpu backend, its own kernels run by the stand-in: the files ``gpu_*_checks.py``.

Needs g++ and a Python with Intel neon, which `live_neon.neon_python` looks for
(``./run.sh neon`` makes one).
"""

import os
import shutil
from pathlib import Path

import pytest
from live_neon import ROOT, needed_neon, printed, results
from side_by_side import for_chosen_tests
from test_live_neon import names

HERE = Path(__file__).resolve().parent
CHECKS = sorted(HERE.glob('gpu_*_checks.py'))
#: What is stood in for -> its environment, and which files are run on it. On Volta each warp runs
#: as far as it can at once, which shows races (docs/gpu-on-cpu.md).
GPUS = {
    'kepler': ({}, [checks.stem for checks in CHECKS]),
    'volta': (
        {'CUDA_ON_CPU_CAPABILITY': '7.0', 'CUDA_ON_CPU_ORDER': 'greedy'},
        ['gpu_layer_checks', 'gpu_refusal_checks', 'gpu_spatial_rnn_checks'],
    ),
}


def environment(gpu='kepler'):
    """The environment variables of a program in which the stand-in is imported."""
    folders = (HERE / 'standin', HERE.parent / 'parity', ROOT)
    return dict(PYTHONPATH=os.pathsep.join(map(str, folders)), **GPUS[gpu][0])


@pytest.fixture(scope='module')
def python():
    found = needed_neon()
    if shutil.which('g++') is None:
        pytest.skip("neon's kernels are compiled by g++, which is not here: install g++")
    return found


@pytest.fixture(scope='module')
def runs(python, request):
    def run(gpu, checks):
        return results(python, checks, **environment(gpu))

    with for_chosen_tests(run, request, 'gpu', 'checks') as started:
        yield started


@pytest.mark.parametrize(
    ('gpu', 'checks', 'name'),
    [
        pytest.param(gpu, checks, name, id=f'{gpu}-{checks.stem}-{name}', marks=pytest.mark.slow)
        for gpu, (_, files) in GPUS.items()
        for checks in CHECKS
        if checks.stem in files
        for name in names(checks)
    ],
)
def test_on_neons_gpu_backend(runs, gpu, checks, name):
    result = runs[gpu, checks].result()[name]
    if result['skipped']:
        pytest.skip(result['skipped'])
    assert result['problem'] is None, result['problem']


#: Imports the engine where another process makes each folder right after neon looked for it.
RACE = """
import os
def looked(path, exists=os.path.exists):
    found = exists(path)
    if not found and str(path).startswith(os.environ['NEON_CACHE_DIR']):
        os.makedirs(path)
    return found
os.path.exists = looked
from neon_rnn.engines.neon import library
print(library.registered_backends())
"""


def test_two_processes_may_make_the_cache_at_once(python, tmp_path):
    cache = str(tmp_path / 'cache')
    assert "'gpu'" in printed(python, '-c', RACE, NEON_CACHE_DIR=cache, **environment())
    assert (tmp_path / 'cache/kernels/cubin').is_dir()


def test_the_files_of_checks():
    assert [checks.stem for checks in CHECKS] == [
        'gpu_layer_checks',
        'gpu_model_checks',
        'gpu_network_checks',
        'gpu_refusal_checks',
        'gpu_spatial_rnn_checks',
    ]
