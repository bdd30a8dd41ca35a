"""The recurrent network on neon's gpu backend against its cpu backend.

At 32x32 with two minibatches of 32. With ``CUDA_ON_CPU_LONG=yes`` in the environment at 64x64 with
three of them, which takes minutes.

PYTHONPATH=tests/gpu/standin:tests/parity:. /path/to/neon/python tests/gpu/gpu_network_checks.py
"""

import os

import numpy as np
from gpu_model_checks import Training
from gpu_models import run_checks

SIDE, STEPS = (64, 3) if os.environ.get('CUDA_ON_CPU_LONG') == 'yes' else (32, 2)


def test_costs_of_the_recurrent_network():
    """Compare costs of some minibatches; the network magnifies rounding from each to the next."""
    costs = {backend: Training('rnn', backend, STEPS, SIDE).costs for backend in ('numpy', 'gpu')}
    np.testing.assert_allclose(costs['gpu'], costs['numpy'], rtol=1e-4)
    np.testing.assert_allclose(costs['gpu'][0], costs['numpy'][0], rtol=2e-6)
    print('costs on the cpu backend {numpy}, on the gpu backend {gpu}'.format(**costs))


if __name__ == '__main__':
    run_checks(globals())
