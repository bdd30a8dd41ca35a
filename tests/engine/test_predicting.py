"""Prediction by folded layers, piece by piece in threads: the same as by the layers one by one."""

import numpy as np
import pytest
import torch

from neon_rnn import engines, models
from neon_rnn.engines.torch.layers.containers import Sequential
from neon_rnn.engines.torch.layers.convolution import Convolution, Pooling
from neon_rnn.engines.torch.layers.feedforward import Activation, BatchNorm
from neon_rnn.engines.torch.layers.initializers import Constant, Kaiming
from neon_rnn.engines.torch.layers.transforms import Rectlin
from neon_rnn.engines.torch.ops import matmul, team
from neon_rnn.engines.torch.ops.matmul import multiplies_by_onednn
from neon_rnn.engines.torch.predicting import folding, network
from neon_rnn.engines.torch.predicting.folding import Folding
from neon_rnn.engines.torch.predicting.pooling import PooledStage
from neon_rnn.engines.torch.predicting.steps import (
    ConvolutionStep,
    LinearStep,
    MeanOfProducts,
    MeanPooling,
    run,
)

pytestmark = pytest.mark.skipif(
    not multiplies_by_onednn(torch.float32), reason='this PyTorch has no oneDNN'
)


def build(name, side, precision='float32', threads=2, batch=8, **options):
    """Build a model with scales of both signs and the statistics of some pictures."""
    nn = engines.load('torch')
    nn.start('cpu', batch, 0, precision=precision, threads=threads)
    model, cost = models.build(name, nn, (3, side, side), **options)
    model.initialize((3, side, side), cost)
    random = np.random.RandomState(1)
    weights = nn.get_weights(model)
    for key, values in weights.items():
        kind = key.rpartition('.')[2]
        if kind in ('beta', 'weight_bias'):
            values[:] = random.normal(0, 0.2, values.shape)
        elif kind == 'gamma':
            size = random.uniform(0.5, 1.5, values.shape)
            values[:] = size * random.choice([-1, 1, 1], values.shape)
    nn.set_weights(model, weights)
    for module in model.layers.modules():
        if hasattr(module, 'rho'):
            module.rho = 0.0
    still = nn.GradientDescentMomentum(0.0, momentum_coef=0.0)
    nn.train_step(model, pictures(batch, side), np.arange(batch) % 2, still, 0)
    return nn, model


def pictures(count, side):
    """Make pictures of different brightness, contrast and colour."""
    random = np.random.RandomState(2)
    colours = random.uniform(40, 215, (count, 3, 1))
    spread = random.uniform(5, 60, (count, 3, 1))
    pixels = random.normal(colours, spread, (count, 3, side**2))
    return pixels.clip(0, 255).astype(np.uint8).reshape(count, -1)


def one_by_one(nn, model, inputs):
    """Predict with the layers themselves."""
    containers = [each for each in model.layers.modules() if isinstance(each, Sequential)]
    kept = [each.steps for each in containers]
    for each in containers:
        each.steps = list(each)
    assert network.predictor(model) is None
    found = nn.predict(model, inputs)
    for each, steps in zip(containers, kept, strict=True):
        each.steps = steps
    return found


ROWS = [
    (name, 64 if name.startswith(('resnet', 'tl')) else 32, {})
    for name in models.ROWS
    if name != 'tl-3'
]
CELLS = [('rnn', 32, {'rnn': rnn}) for rnn in ('elman', 'bilstm', 'bigru', 'bibnrnn', 'stacked')]


@pytest.mark.parametrize(('name', 'side', 'options'), ROWS + CELLS)
def test_folded_layers_compute_what_the_layers_compute(name, side, options):
    nn, model = build(name, side, **options)
    inputs = pictures(5, side)
    assert network.predictor(model) is not None
    wanted = one_by_one(nn, model, inputs)
    np.testing.assert_allclose(nn.predict(model, inputs), wanted, atol=1e-4)
    np.testing.assert_allclose(nn.predict(model, inputs[:1]), wanted[:1], atol=1e-4)
    assert np.ptp(wanted[:, 0]) > 1e-4, 'the pictures are not told apart'


@pytest.mark.parametrize('count', [1, 5, 40])
@pytest.mark.parametrize('fast', [True, False])
@pytest.mark.parametrize(('precision', 'near'), [('float32', 1e-4), ('bf16', 0.03)])
def test_sweeps_by_mkl_and_by_onednn(monkeypatch, precision, near, fast, count):
    """Few rows and many, weights that stay in the cache and others, whoever made the processor."""
    monkeypatch.setattr(matmul, 'MKL_IS_FAST', fast)
    monkeypatch.setattr(team, 'AVAILABLE', fast and team.LIBRARIES is not None)
    nn, model = build('rnn', 64)
    inputs = pictures(count, 64)
    wanted = one_by_one(nn, model, inputs)
    nn, model = build('rnn', 64, precision=precision)
    np.testing.assert_allclose(nn.predict(model, inputs), wanted, atol=near)


@pytest.mark.parametrize('name', ['rnn', 'resnet-18', 'fcnn-2', 'efficientnet-lite0'])
def test_bf16_is_as_near_as_bf16_gets(name):
    side = 64
    nn, model = build(name, side)
    inputs = pictures(4, side)
    wanted = nn.predict(model, inputs)
    nn, model = build(name, side, precision='bf16')
    assert network.predictor(model) is not None
    layers = np.abs(one_by_one(nn, model, inputs) - wanted).max()
    folded = np.abs(nn.predict(model, inputs) - wanted).max()
    assert folded < max(2 * layers, 0.02)


def test_pieces_come_back_in_order():
    """Of 11 images and 3 threads, each thread computes some; so do other sizes."""
    nn, model = build('rnn', 32, threads=3)
    inputs = pictures(11, 32)
    each = np.concatenate([nn.predict(model, inputs[i : i + 1]) for i in range(11)])
    np.testing.assert_allclose(nn.predict(model, inputs), each, atol=1e-6)
    assert nn.predict(model, inputs[:0]).shape == (0, 2)
    assert torch.get_num_threads() == 3


def test_float64_watched_layers_and_replaced_steps_run_the_layers():
    _, model = build('cnn-1', 32, precision='float64')
    assert network.predictor(model) is None
    _, model = build('cnn-1', 32)
    assert network.predictor(model) is network.predictor(model)
    watched = list(model.layers)[3].register_forward_hook(lambda *given: None)
    assert network.predictor(model) is None
    watched.remove()
    assert network.predictor(model) is not None
    model.layers.steps = [lambda x: x, *model.layers.steps]
    assert network.predictor(model) is None


@pytest.mark.parametrize('hook', ['register_forward_hook', 'register_forward_pre_hook'])
def test_layers_that_are_watched_run(hook):
    nn, model = build('rnn', 32)
    seen = []
    handle = getattr(list(model.layers)[17], hook)(lambda *_: seen.append(1))
    watched = nn.predict(model, pictures(3, 32))
    assert seen == [1]
    handle.remove()
    np.testing.assert_allclose(nn.predict(model, pictures(3, 32)), watched, atol=1e-5)
    assert seen == [1]


@pytest.mark.parametrize('change', ['train', 'set_weights'])
def test_changed_weights_are_folded_anew(change):
    nn, model = build('cnn-2', 32)
    inputs = pictures(8, 32)
    before = nn.predict(model, inputs)
    if change == 'train':
        optimizer = nn.GradientDescentMomentum(0.1, momentum_coef=0.9)
        nn.train_step(model, inputs, np.arange(8) % 2, optimizer, 0)
    else:
        weights = nn.get_weights(model)
        weights['1.gmean'] += 1
        nn.set_weights(model, weights)
    after = nn.predict(model, inputs)
    assert np.abs(after - before).max() > 1e-4
    np.testing.assert_allclose(after, one_by_one(nn, model, inputs), atol=1e-5)


@pytest.mark.parametrize(
    ('window', 'strides', 'padding', 'side'),
    [(3, 2, 1, 8), (2, 2, 0, 6), (3, 2, 0, 9), (3, 1, 1, 5), (3, 2, 1, 7), ((2, 3), 1, 0, 5)],
)
@pytest.mark.parametrize('dtype', [torch.float32, torch.bfloat16])
@pytest.mark.parametrize('scales', [None, [2.0, 0.5, 1.0, 3.0], [2.0, -0.5, 1.0, -3.0]])
@pytest.mark.parametrize(('count', 'by_team'), [(2, False), (1, False), (1, True)])
def test_pooling_and_the_batch_norm_before_it(
    monkeypatch, window, strides, padding, side, dtype, scales, count, by_team
):
    """Of one image, each of PyTorch's threads computes some rows where its libraries are fast."""
    monkeypatch.setattr(team, 'AVAILABLE', by_team and team.LIBRARIES is not None)
    layer = Pooling(window, strides=strides, padding=padding)
    shape = layer.configure((4, side, side))
    x = torch.randn(count, 4, side, side, generator=torch.Generator().manual_seed(0)).relu()
    x = x.to(dtype).contiguous(memory_format=torch.channels_last)
    out = torch.full((count, *shape), torch.nan, dtype=dtype)
    out = out.contiguous(memory_format=torch.channels_last)
    scale = shift = None
    expected = layer(x.float())
    if scales is not None:
        scale, shift = torch.tensor(scales), torch.tensor([0.25, -1.0, 0.0, 2.0])
        normed = x.float() * scale[:, None, None] + shift[:, None, None]
        expected = layer(normed) / scale.abs()[:, None, None]
    pooling = PooledStage(layer, scale, shift, dtype)
    pooling(x, out)
    assert (pooling.factor is None) == (scales is None)
    torch.testing.assert_close(out, expected.to(dtype), rtol=0.004 if scales else 0, atol=1e-6)


@pytest.mark.parametrize(
    ('size', 'strides', 'padding', 'folded'),
    [(1, 1, 0, True), (1, 1, 1, True), (1, 2, 0, False), (3, 1, 1, False)],
)
@pytest.mark.parametrize('bias', [None, Constant(0.3)])
@pytest.mark.parametrize('normed', [True, False])
def test_the_mean_of_a_convolution_of_single_pixels(size, strides, padding, folded, bias, normed):
    """It is a product with the mean of the maps; zeros around them make it smaller."""
    engines.load('torch').start('cpu', 2, 0)
    norm = BatchNorm()
    convolution = Convolution((size, size, 3), strides, padding, 1, Kaiming(), bias)
    layers = [*([norm] if normed else []), convolution, Pooling('all', op='avg')]
    shape, random = (4, 5, 6), np.random.RandomState(0)
    for layer in layers:
        shape = layer.configure(shape)
        layer.make_parameters(random)
        layer.eval()
    if normed:
        for values in (norm.gamma, norm.beta, norm.gmean):
            values.data = torch.from_numpy(random.normal(0, 1, values.shape).astype('float32'))
    x = torch.from_numpy(random.normal(1, 1, (2, 4, 5, 6)).astype('float32'))
    x = x.contiguous(memory_format=torch.channels_last)
    with torch.inference_mode():
        steps = Folding(layers, torch.float32, 2).steps
        wanted = x
        for layer in layers:
            wanted = layer(wanted)
        torch.testing.assert_close(run(steps, x).flatten(1), wanted.flatten(1))
    assert [type(step) for step in steps] == [MeanPooling, LinearStep] or not folded
    assert any(isinstance(step, ConvolutionStep) for step in steps) != folded


@pytest.mark.parametrize('padding', [0, 1])
@pytest.mark.parametrize('bias', [None, Constant(0.3), Constant(-0.3)])
@pytest.mark.parametrize(('maps', 'few'), [(3, True), (folding.FEW_MAPS + 1, False)])
@pytest.mark.parametrize(('dtype', 'near'), [(torch.float32, 1e-5), (torch.bfloat16, 0.06)])
def test_the_mean_of_rectified_single_pixels(padding, bias, maps, few, dtype, near):
    """The padding, whose pixels are the rectified bias, counts in the mean."""
    if not (few or multiplies_by_onednn(dtype)):
        pytest.skip('this processor has no bfloat16')
    engines.load('torch').start('cpu', 2, 0)
    norm, rectifier = BatchNorm(), Activation(Rectlin())
    convolution = Convolution((1, 1, maps), 1, padding, 1, Kaiming(), bias)
    layers = [norm, convolution, rectifier, Pooling('all', op='avg')]
    shape, random = (40, 5, 6), np.random.RandomState(0)
    for layer in layers:
        shape = layer.configure(shape)
        layer.make_parameters(random)
        layer.eval()
    for values in (norm.gamma, norm.beta, norm.gmean):
        values.data = torch.from_numpy(random.normal(0, 1, values.shape).astype('float32'))
    x = torch.from_numpy(random.normal(1, 1, (2, 40, 5, 6)).astype('float32'))
    x = x.contiguous(memory_format=torch.channels_last).to(dtype)
    with torch.inference_mode():
        steps = Folding(layers, dtype, 2).steps
        wanted = x.float()
        for layer in layers:
            wanted = layer(wanted)
        found = run(steps, x).flatten(1).float()
        torch.testing.assert_close(found, wanted.flatten(1), rtol=near, atol=near)
    assert ([type(step) for step in steps] == [MeanOfProducts]) == few


@pytest.mark.parametrize('lowest', [0.5, 1e-30])
def test_a_batch_norm_behind_a_rectifier_goes_around_the_pooling(lowest):
    """Unless a scale is too small to be divided by."""
    nn, model = build('rnn', 32)
    weights = nn.get_weights(model)
    weights['4.gamma'][0] = lowest
    nn.set_weights(model, weights)
    inputs = pictures(4, 32)
    pooled = [
        step.pooling is not None
        for step in network.predictor(model).steps
        if isinstance(step, ConvolutionStep)
    ]
    assert pooled[:3] == [lowest > 1e-20, True, True]
    np.testing.assert_allclose(nn.predict(model, inputs), one_by_one(nn, model, inputs), atol=1e-4)
