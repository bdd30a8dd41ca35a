"""The compiled sweeps of prediction, which PyTorch's threads run together, against float64."""

import subprocess
import sys

import pytest
import torch

from neon_rnn.engines.torch.ops import team
from neon_rnn.engines.torch.predicting.sweep_loops import COLUMNS, FEW_ROWS, Weights, recur
from neon_rnn.engines.torch.predicting.sweep_loops import sweep_image as sweep_compiled

pytestmark = pytest.mark.skipif(
    team.LIBRARIES is None, reason='this PyTorch comes without libgomp or MKL'
)
#: How far a result of tanh may be off. Steps in bfloat16 see states of three digits.
NEAR = {torch.float32: 2e-6, torch.bfloat16: 0.02}


@pytest.fixture(params=[1, 2, 3])
def thread_count(request):
    before = torch.get_num_threads()
    torch.set_num_threads(request.param)
    yield request.param
    torch.set_num_threads(before)


def draw(*shape, seed=0, scale=1.0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=generator, dtype=torch.float64) * scale


def draw_weights(features, directions, units, dtype, seed):
    """Draw weights that the type holds exactly, and put them in order."""
    outputs = directions * units
    weight = draw(outputs, features, seed=seed, scale=features**-0.5).to(dtype).double()
    recurrent = draw(directions, units, units, seed=seed + 1, scale=units**-0.5)
    recurrent = recurrent.to(dtype).double()
    bias = draw(outputs, seed=seed + 2, scale=0.3).float().double()
    return (weight, bias, recurrent), Weights.of(weight, bias, recurrent, dtype)


def steps_of(products, recurrent):
    """Compute the states (steps, rows, directions, units) of input products, in float64."""
    states = torch.empty_like(products)
    for direction in range(products.shape[2]):
        h = torch.zeros_like(products[0, :, 0])
        order = range(len(products))
        for step in reversed(order) if direction else order:
            h = torch.tanh(products[step, :, direction] + h @ recurrent[direction])
            states[step, :, direction] = h
    return states


@pytest.mark.parametrize('dtype', list(NEAR))
@pytest.mark.parametrize('directions', [1, 2])
@pytest.mark.parametrize(
    ('outer', 'steps', 'inner', 'units'),
    [
        (1, 4, 3, 5),
        (5, 3, 1, 8),
        (1, 1, 2, 16),
        (1, 3, FEW_ROWS + 1, 20),
        (FEW_ROWS, 5, 1, 32),
        (1, 2, 1, 1),
    ],
)
@pytest.mark.usefixtures('thread_count')
def test_the_steps_of_a_network(outer, steps, inner, units, directions, dtype):
    products = draw(outer, steps, inner, directions, units).to(dtype)
    (*_, recurrent), weights = draw_weights(3, directions, units, dtype, 1)
    in_time = products.double().transpose(0, 1).flatten(1, 2)
    wanted = steps_of(in_time, recurrent).unflatten(1, (outer, inner)).transpose(0, 1)
    recur(products, weights)
    torch.testing.assert_close(products.double(), wanted, rtol=0, atol=NEAR[dtype])


@pytest.mark.parametrize('dtype', list(NEAR))
@pytest.mark.parametrize('directions', [1, 2])
@pytest.mark.parametrize(
    ('down', 'across', 'rows', 'columns', 'channels', 'units'),
    [
        (3, 5, 2, 2, 3, 7),
        (1, 4, 2, 3, 5, 16),
        (4, 1, 1, 2, 2, COLUMNS),
        (2, 3, 2, 2, 8, COLUMNS + 9),
        (1, 1, 2, 2, 1, 1),
    ],
)
@pytest.mark.usefixtures('thread_count')
def test_a_layer_for_one_image(down, across, rows, columns, channels, units, directions, dtype):
    image = draw(down * rows, across * columns, channels).to(dtype)
    outputs = directions * units
    vertical, horizontal = (
        draw_weights(features, directions, units, dtype, seed)
        for seed, features in ((1, rows * columns * channels), (10, outputs))
    )
    blocks = image.double().view(down, rows, across, columns, channels)
    (weight, bias, recurrent), _ = vertical
    products = blocks.permute(0, 2, 1, 3, 4).flatten(2) @ weight.T + bias
    states = steps_of(products.unflatten(2, (directions, units)), recurrent).flatten(2)
    (weight, bias, recurrent), _ = horizontal
    products = (states @ weight.T + bias).transpose(0, 1).unflatten(2, (directions, units))
    wanted = steps_of(products, recurrent).transpose(0, 1).flatten(2)
    found = sweep_compiled(image, down, across, vertical[1], horizontal[1])
    torch.testing.assert_close(found.double(), wanted, rtol=0, atol=NEAR[dtype])


def test_tensors_that_the_loops_cannot_read():
    _, weights = draw_weights(3, 2, 4, torch.float32, 1)
    with pytest.raises(ValueError, match='not contiguous'):
        recur(torch.zeros(1, 3, 2, 2, 8)[..., ::2], weights)
    with pytest.raises(ValueError, match='two dimensions: 2 x 3'):
        recur(torch.zeros(2, 3, 3, 2, 4), weights)


@pytest.mark.usefixtures('thread_count')
def test_mkl_keeps_its_threads():
    """After a loop, products outside use all threads again, in each thread of the team."""
    get = team.LIBRARIES.MKL_Get_Max_Threads
    before = get()
    _, weights = draw_weights(3, 2, 4, torch.float32, 1)
    recur(torch.zeros(1, 3, 2, 2, 4), weights)
    assert get() == before


WITHOUT_LIBRARY = """
import pathlib, torch
real = torch.__file__
torch.__file__ = '/nowhere/torch/__init__.py'
from neon_rnn.engines.torch.ops import team
torch.__file__ = real
assert team.LIBRARIES is None and not team.AVAILABLE
import numpy
from neon_rnn import engines, models
from neon_rnn.engines.torch.predicting import network, sweeps
nn = engines.load('torch')
nn.start('cpu', 2, 0)
model, cost = models.build('rnn', nn, (3, 32, 32))
model.initialize((3, 32, 32), cost)
print(nn.predict(model, numpy.zeros((1, 3 * 32 * 32), numpy.uint8)))
assert any(type(step) is sweeps.BatchedSweeps for step in network.predictor(model).steps)
"""


def test_without_the_library_pytorch_computes_the_sweeps():
    done = subprocess.run(
        [sys.executable, '-c', WITHOUT_LIBRARY], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
