"""Starting the torch engine: backends, precisions, what is missing, what the record gets."""

import subprocess
import sys

import numpy as np
import pytest
import torch
from small_training import write_data

from neon_rnn.cli import main
from neon_rnn.engines.torch import backend
from neon_rnn.support.errors import UsageError


def test_an_unknown_backend_is_an_error_that_names_those_there_are(nn):
    with pytest.raises(UsageError, match="no backend 'tpu'.*gpu, cpu and mkl"):
        nn.start('tpu', batch_size=4, rng_seed=0)


def test_a_missing_gpu_is_an_error_never_a_substitute(nn, monkeypatch):
    before = backend.active()
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: False)
    with pytest.raises(UsageError, match='-b gpu: .*no usable CUDA GPU.*-b cpu'):
        nn.start('gpu', batch_size=4, rng_seed=0)
    assert backend.active() is before


def test_an_apple_gpu_that_is_missing_is_an_error_never_a_substitute(nn, monkeypatch):
    before = backend.active()
    monkeypatch.setattr(torch.backends.mps, 'is_available', lambda: False)
    with pytest.raises(UsageError, match='-b mps: .*no usable Apple GPU.*-b cpu'):
        nn.start('mps', batch_size=4, rng_seed=0)
    assert backend.active() is before


@pytest.mark.parametrize(
    ('precision', 'ranks', 'said'),
    [('float64', '1', 'float64'), ('tf32', '1', 'tf32'), ('float32', '2', 'one process')],
)
def test_what_an_apple_gpu_lacks_is_refused(nn, monkeypatch, precision, ranks, said):
    monkeypatch.setattr(torch.backends.mps, 'is_available', lambda: True)
    monkeypatch.setenv('WORLD_SIZE', ranks)
    with pytest.raises(UsageError, match=said):
        nn.start('mps', batch_size=4, rng_seed=0, precision=precision)


@pytest.mark.skipif(torch.backends.mps.is_available(), reason='this machine has an Apple GPU')
def test_the_command_refuses_an_apple_gpu_in_one_line(tmp_path, capsys):
    data = write_data(tmp_path / 'data')
    words = ['train', '--model', 'fcnn-1', '--data', data, '--engine', 'torch', '-z', '4']
    assert main([*words, '-e', '1', '-b', 'mps', '--out', str(tmp_path / 'runs')]) == 2
    said = capsys.readouterr().err
    assert '-b mps' in said
    assert said.count('\n') == 1
    assert not list((tmp_path / 'runs').glob('*'))


def test_an_unknown_precision_is_an_error(nn):
    with pytest.raises(
        UsageError, match="no precision 'float16'; choose float32, float64, bf16, tf32"
    ):
        nn.start('cpu', batch_size=4, rng_seed=0, precision='float16')


def test_a_layer_before_start_says_so(nn, monkeypatch):
    monkeypatch.setattr(backend, '_active', None)
    model = nn.Model(nn.Affine(2, init=nn.Gaussian()))
    with pytest.raises(UsageError, match='call start'):
        model.initialize((3,))


@pytest.mark.parametrize('name', ['cpu', 'mkl'])
def test_what_the_record_gets(nn, name):
    description = nn.start(name, batch_size=4, rng_seed=0, threads=1)
    assert description['backend'] == 'cpu'
    assert (description['precision'], description['threads'], description['deterministic']) == (
        'float32',
        1,
        False,
    )
    assert description['torch'] == torch.__version__
    assert torch.get_num_threads() == 1


def test_the_default_is_all_the_cores_the_process_may_use(nn, monkeypatch):
    monkeypatch.delenv('OMP_NUM_THREADS', raising=False)
    monkeypatch.setattr(backend.machine, 'cores', lambda: 3)
    monkeypatch.setattr(backend.other_programs, 'free_cores', lambda cores: cores)
    try:
        assert nn.start('cpu', batch_size=4, rng_seed=0)['threads'] == 3
    finally:
        nn.start('cpu', batch_size=4, rng_seed=0, threads=1)


def test_no_command_loads_pytorchs_compiler():
    """It would take a second at the start, and another at the end of a program."""
    code = """
import sys
import numpy
from neon_rnn import engines, models
nn = engines.load('torch')
nn.start('cpu', batch_size=2, rng_seed=0, threads=1)
model, cost = models.build('rnn', nn, (3, 32, 32))
model.initialize((3, 32, 32), cost)
optimizer = nn.GradientDescentMomentum(0.01, momentum_coef=0.9)
images = numpy.zeros((2, 3072), numpy.uint8)
nn.train_step(model, images, numpy.array([0, 1]), optimizer, 0)
nn.predict(model, images)
print(sorted({'torch._dynamo', 'torch._inductor'} & set(sys.modules)))
"""
    assert subprocess.check_output([sys.executable, '-c', code], text=True) == '[]\n'


def test_deterministic_kernels_on_request(nn):
    try:
        assert (
            nn.start('cpu', batch_size=4, rng_seed=0, threads=1, deterministic=True)[
                'deterministic'
            ]
            is True
        )
        assert torch.are_deterministic_algorithms_enabled()
    finally:
        nn.start('cpu', batch_size=4, rng_seed=0, threads=1)
    assert not torch.are_deterministic_algorithms_enabled()


@pytest.mark.parametrize(
    ('precision', 'dtype'), [('float32', np.float32), ('float64', np.float64), ('bf16', np.float32)]
)
def test_precisions_hold_weights_as_they_say(nn, precision, dtype):
    nn.start('cpu', batch_size=4, rng_seed=0, precision=precision, threads=1)
    model = nn.Model(nn.Affine(2, init=nn.Gaussian(), activation=nn.Softmax()))
    model.initialize((300,), nn.GeneralizedCost(nn.CrossEntropyMulti()))
    assert nn.get_weights(model)['0.W'].dtype == dtype
    assert nn.predict(model, np.zeros((3, 300), np.uint8)).dtype == np.float32
    assert np.isfinite(
        float(
            nn.train_step(
                model,
                np.ones((4, 300), np.uint8),
                np.array([0, 1, 0, 1]),
                nn.GradientDescentMomentum(0.1, 0.9),
                0,
            )
        )
    )


def test_bf16_rounds_the_products_and_float32_does_not(nn):
    """So that asking for bf16 is not quietly float32."""
    inputs = np.random.RandomState(3).randint(0, 2, size=(4, 64)).astype(np.uint8)
    probabilities = {}
    for precision in ('float64', 'float32', 'bf16'):
        nn.start('cpu', batch_size=4, rng_seed=0, precision=precision, threads=1)
        model = nn.Model(nn.Affine(2, init=nn.Gaussian(scale=0.1), activation=nn.Softmax()))
        model.initialize((64,))
        probabilities[precision] = nn.predict(model, inputs)
    assert np.abs(probabilities['float32'] - probabilities['float64']).max() < 1e-6
    assert 1e-5 < np.abs(probabilities['bf16'] - probabilities['float64']).max() < 2e-2


@pytest.mark.parametrize('types', [(torch.float32,), (torch.float32, torch.bfloat16)])
def test_the_record_tells_how_a_processor_without_bfloat16_multiplies_it(types, monkeypatch):
    monkeypatch.setattr(backend.matmul, '_ONEDNN_TYPES', types)
    described = backend.start('cpu', 4, 0, precision='bf16').get('bf16')
    assert described == (None if torch.bfloat16 in types else 'by products of float32')
