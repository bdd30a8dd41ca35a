"""Threads that wait asleep: what is set before PyTorch is imported, and what is left alone."""

import os
import subprocess
import sys

import pytest

CODE = """
import os, sys
{before}
import neon_rnn.engines.torch as nn
from neon_rnn.engines.torch import waiting
print(nn.start('cpu', 32, 0)['waiting'], nn.start('cpu', 32, 0)['threads'])
print(os.environ.get('GOMP_SPINCOUNT'), os.environ.get('OMP_DISPLAY_ENV'))
print(waiting.BRIEFLY)
"""


def lines(before='', **environment):
    """Return what a new process prints, and libgomp's own word on its settings."""
    clean = {name: value for name, value in os.environ.items() if 'OMP_' not in name}
    done = subprocess.run(
        [sys.executable, '-c', CODE.format(before=before)],
        env={**clean, 'OMP_DISPLAY_ENV': 'verbose', **environment},
        check=True,
        capture_output=True,
        text=True,
    )
    return done.stdout.split('\n'), done.stderr


def test_libgomp_gets_the_bound_and_children_do_not_inherit_it():
    printed, settings = lines()
    assert printed[0].startswith('GOMP_SPINCOUNT=1000 ')
    assert printed[1] == 'None verbose'
    if 'GOMP_SPINCOUNT' not in settings:
        pytest.skip("this PyTorch's OpenMP is not libgomp")
    assert "GOMP_SPINCOUNT = '1000'" in settings


@pytest.mark.parametrize(
    ('name', 'value'), [('GOMP_SPINCOUNT', '77'), ('OMP_WAIT_POLICY', 'active')]
)
def test_the_users_choice_stays(name, value):
    printed, _ = lines(**{name: value})
    assert printed[0].startswith(f'{name}={value} ')


def test_a_pytorch_that_was_imported_before_stays_as_it_is():
    printed, settings = lines(before='import torch')
    assert printed[0].startswith('as PyTorch was imported ')
    assert "GOMP_SPINCOUNT = '1000'" not in settings


@pytest.mark.parametrize(
    ('before', 'environment', 'briefly'),
    [
        ('', {}, True),
        ('', {'GOMP_SPINCOUNT': '1000000'}, False),
        ('', {'GOMP_SPINCOUNT': '0', 'OMP_WAIT_POLICY': 'active'}, True),
        ('', {'OMP_WAIT_POLICY': 'PASSIVE'}, True),
        ('', {'OMP_WAIT_POLICY': 'active'}, False),
        ('import torch', {}, False),
    ],
)
def test_whether_threads_soon_leave_their_cores(before, environment, briefly):
    """It decides whether pieces of a stage are computed by threads of their own."""
    printed, settings = lines(before, **environment)
    if 'GOMP_SPINCOUNT' not in settings:
        pytest.skip("this PyTorch's OpenMP is not libgomp")
    assert printed[2] == str(briefly)


@pytest.mark.parametrize(('value', 'threads'), [('1', '1'), ('3,2', '3')])
def test_the_number_of_threads_is_honoured(value, threads):
    assert lines(OMP_NUM_THREADS=value)[0][0].endswith(f' {threads}')


@pytest.mark.parametrize('value', ['', '0', 'many'])
def test_no_number_of_threads_means_the_free_cores(value):
    before = (
        'from neon_rnn.engines.torch import other_programs as them; them.free_cores = lambda n: 9'
    )
    assert lines(before=before, OMP_NUM_THREADS=value)[0][0].endswith(' 9')
