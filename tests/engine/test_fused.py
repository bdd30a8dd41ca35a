"""Fused stages give the results of their layers one by one.

Costs, gradients, running statistics, predictions.
"""

import functools
import os
import subprocess
import sys

import numpy as np
import pytest
import torch

from neon_rnn import engines, models
from neon_rnn.engines.torch.fast import stage
from neon_rnn.engines.torch.fast.pixels import PixelLinear
from neon_rnn.engines.torch.fast.stage import Residual, Stage
from neon_rnn.engines.torch.ops import matmul
from neon_rnn.support import paths


def images(count, side, seed=0):
    """Smooth blobs, wider in class 1: (uint8 (count, 3*side*side), labels)."""
    rng = np.random.RandomState(seed)
    labels = rng.randint(0, 2, count)
    y, x = np.mgrid[0:side, 0:side] / float(side)
    centres = rng.uniform(0.3, 0.7, (count, 3, 2, 1, 1))
    width = 0.02 + 0.05 * labels[:, None, None, None]
    blobs = np.exp(-((x - centres[:, :, 0]) ** 2 + (y - centres[:, :, 1]) ** 2) / width)
    noise = rng.uniform(0, 30, blobs.shape)
    return (220 * blobs + noise).astype(np.uint8).reshape(count, 3 * side**2), labels


def train(precision, plain, steps=12, batch=16, side=64, seed=5, row='rnn'):
    """Costs of some minibatches of a network, then its weights and probabilities."""
    nn = engines.load('torch')
    nn.start('cpu', batch, seed, precision=precision, threads=1)
    model, cost = models.build(row, nn, (3, side, side))
    model.initialize((3, side, side), cost)
    if plain:
        unfuse(model)
    optimizer = nn.GradientDescentMomentum(0.01, momentum_coef=0.9, wdecay=0.0005)
    inputs, labels = images(batch * steps, side)
    costs = [
        float(
            nn.train_step(
                model, inputs[first : first + batch], labels[first : first + batch], optimizer, 0
            )
        )
        for first in range(0, len(inputs), batch)
    ]
    return np.array(costs), nn.get_weights(model), nn.predict(model, inputs[:5])


def test_twelve_minibatches_cost_the_same_as_layer_by_layer():
    """In float64 the two ways differ by rounding only, in all results of a training."""
    (costs, weights, probabilities), (expected, plain, plain_probabilities) = (
        train('float64', way, side=32) for way in (False, True)
    )
    np.testing.assert_allclose(costs, expected, rtol=1e-9)
    np.testing.assert_allclose(probabilities, plain_probabilities, atol=1e-6)
    for name, values in plain.items():
        np.testing.assert_allclose(
            weights[name], values, atol=1e-8 * max(1.0, np.abs(values).max()), err_msg=name
        )


def test_float32_costs_stay_with_float64():
    """Later costs drift apart on either path: rounding takes a rectifier across its kink."""
    exact, _, _ = train('float64', plain=True, steps=4, seed=0)
    costs, _, _ = train('float32', plain=False, steps=4, seed=0)
    np.testing.assert_allclose(costs, exact, rtol=1e-5)


def one_step_errors(plain):
    """Name of a weight -> its error after a float32 step, relative to its largest, of 3 seeds."""
    means = {}
    for seed in range(3):
        exact, weights = exact_step(seed), train('float32', plain, 1, 8, seed=seed)[1]
        for name, values in exact.items():
            error = np.abs(weights[name] - values).max() / np.abs(values).max()
            means[name] = means.get(name, 0) + error / 3
    return means


@functools.cache
def exact_step(seed):
    return train('float64', True, 1, 8, seed=seed)[1]


@pytest.mark.parametrize('by_mkl', [True, False])
def test_one_float32_step_is_as_exact_as_that_of_plain_layers(monkeypatch, by_mkl):
    """Products and the joined statistics lose nothing: all weights, against float64.

    The means of three seeds: with one, rounding gave 1.beta a quarter or all of our error.
    """
    monkeypatch.setattr(matmul, 'MKL_IS_FAST', by_mkl)
    ours, plain = map(one_step_errors, (False, True))
    for name, error in ours.items():
        assert error < 2 * max(plain[name], 2e-7), name


def test_bf16_stays_near_and_keeps_float32_weights():
    exact, _, _ = train('float32', plain=False, steps=4)
    costs, weights, probabilities = train('bf16', plain=False, steps=4)
    np.testing.assert_allclose(costs, exact, rtol=0.02)
    assert not np.array_equal(costs, exact)
    assert {values.dtype for values in weights.values()} == {np.dtype('float32')}
    assert probabilities.dtype == np.float32
    np.testing.assert_allclose(probabilities.sum(1), 1, atol=1e-2)


def test_bf16_trains_where_onednn_has_no_bfloat16():
    """Processors without AVX-512 multiply in float32."""
    code = 'import test_fused; print(*test_fused.train("bf16", plain=False, steps=2, side=32)[0])'
    found = dict(
        os.environ,
        ONEDNN_MAX_CPU_ISA='AVX2',
        PYTHONPATH=os.pathsep.join([paths.ROOT, os.path.dirname(__file__)]),
    )
    done = subprocess.run(
        [sys.executable, '-c', code], env=found, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    np.testing.assert_allclose(
        [float(cost) for cost in done.stdout.split()],
        train('float32', plain=False, steps=2, side=32)[0],
        rtol=0.02,
    )


def test_one_bf16_step_is_as_exact_as_that_of_plain_layers():
    """Both are 10 to 25% off in most weights: three digits decide otherwise on many maxima."""
    (_, drawn, _), (_, exact, _), (_, ours, _), (_, plain, _) = (
        train(precision, way, steps=steps)
        for precision, way, steps in (
            ('float64', True, 0),
            ('float64', True, 1),
            ('bf16', False, 1),
            ('bf16', True, 1),
        )
    )
    moved = [name for name, values in exact.items() if np.any(values != drawn[name])]
    assert len(moved) >= 35
    errors, plain_errors = (
        np.array(
            [
                np.linalg.norm(weights[name] - exact[name])
                / np.linalg.norm(exact[name] - drawn[name])
                for name in moved
            ]
        )
        for weights in (ours, plain)
    )
    assert np.all(errors < 1.5 * plain_errors + 0.02)
    assert np.median(errors) < 1.1 * np.median(plain_errors)


def stage_layers(nn, pooling=True, slope=0):
    """One stage behind a plain convolution, so that a gradient goes through it."""
    return [
        nn.Conv((1, 1, 3), init=nn.Kaiming()),
        nn.Conv(
            (3, 3, 6),
            init=nn.Kaiming(),
            bias=nn.Constant(0.1),
            activation=nn.Rectlin(slope=slope),
            padding=2,
            dilation=2,
        ),
        nn.BatchNorm(),
        *([nn.Pooling(3, padding=1, strides=2)] if pooling else []),
    ]


def normalised_convolution(nn, maps, size=3, strides=1, rectified=True):
    """A convolution and its batch norm, as the residual networks have them."""
    layers = nn.Conv(
        (size, size, maps),
        init=nn.Kaiming(),
        strides=strides,
        padding=size // 2,
        batch_norm=True,
        activation=nn.Rectlin() if rectified else None,
    )
    return list(layers)


def residual_layers(nn, project=False, shortcut_first=False):
    """A residual block behind a convolution; its shortcut is the input or a convolution."""
    strides = 2 if project else 1
    pathways = [
        [
            *normalised_convolution(nn, 4, strides=strides),
            *normalised_convolution(nn, 6, rectified=False),
        ],
        normalised_convolution(nn, 6, 1, strides, rectified=False) if project else [nn.SkipNode()],
    ]
    return [
        nn.Conv((1, 1, 6), init=nn.Kaiming()),
        nn.MergeSum(pathways[::-1] if shortcut_first else pathways),
        nn.Activation(nn.Rectlin()),
    ]


def pixel_layers(nn):
    """The division and the batch norm of the pixels."""
    return [nn.DataTransform(nn.Normalizer(divisor=128.0)), nn.BatchNorm()]


#: Name -> function of the engine that returns layers with a group that is fused.
GROUPS = {
    'rectifier, norm, pooling': stage_layers,
    'rectifier, norm': lambda nn: stage_layers(nn, pooling=False),
    'norm, rectifier, pooling': lambda nn: [
        nn.Conv((1, 1, 3), init=nn.Kaiming()),
        *normalised_convolution(nn, 6),
        nn.Pooling(3, padding=1, strides=2),
    ],
    'norm, rectifier': lambda nn: [
        nn.Conv((1, 1, 3), init=nn.Kaiming()),
        *normalised_convolution(nn, 6, strides=2),
    ],
    'norm': lambda nn: [
        nn.Conv((1, 1, 3), init=nn.Kaiming()),
        *normalised_convolution(nn, 6, rectified=False),
    ],
    'rectifier, pooling': lambda nn: [*stage_layers(nn)[:-2], nn.Pooling(2, strides=2)],
    'rectifier': lambda nn: stage_layers(nn)[:-2],
    'filters of one pixel': lambda nn: [
        nn.Conv((1, 1, 3), init=nn.Kaiming()),
        *normalised_convolution(nn, 6, 1),
    ],
    'whole maps': lambda nn: [
        nn.Conv((1, 1, 3), init=nn.Kaiming()),
        nn.Pooling((4, 7), op='avg'),  # to 2 x 1
        *normalised_convolution(nn, 6),
    ],
    'residual': residual_layers,
    'projected residual': lambda nn: residual_layers(nn, project=True),
    'shortcut first': lambda nn: residual_layers(nn, shortcut_first=True),
    'pixels and convolution': lambda nn: pixel_layers(nn) + normalised_convolution(nn, 6),
    'pixels and linear': lambda nn: pixel_layers(nn) + [nn.Affine(7, init=nn.Kaiming(local=False))],
}


def run_both_ways(nn, layers, x, training, signs=(1,)):
    """Run layers fused, then layer by layer, with random weights.

    `signs` are those of the gammas in turn; fused is only what takes no gradient of pixels.
    Returns for each way: output, gradient of x, gradients of the parameters, weights.
    """
    results = []
    model = nn.Model(layers)
    model.initialize(x.shape[1:])
    drawn = nn.get_weights(model)
    rng = np.random.RandomState(4)
    for name, values in drawn.items():
        if name.endswith('gamma'):
            values[:, 0] = rng.uniform(0.5, 3, len(values)) * np.resize(signs, len(values))
        elif name.endswith(('beta', 'gmean')):
            values[:] = rng.normal(0, 0.05, values.shape)
        elif name.endswith('gvar'):
            values[:] = rng.uniform(0.2, 2, values.shape)
    behind_pixels = type(model.layers.layers[0]).__name__ == 'DataTransform'
    model.layers.train(training)
    for fused in (True, False):
        nn.set_weights(model, drawn)
        if not fused:
            unfuse(model)
        images = x.clone().requires_grad_(not behind_pixels)
        y = model.layers(images)
        error = torch.linspace(-1, 1, y.numel(), dtype=y.dtype).reshape(y.shape).mul(50).sin()
        for parameter in model.parameters:
            parameter.grad = None
        (y * error).sum().backward()
        results.append(
            [
                y.detach(),
                *([] if behind_pixels else [images.grad]),
                *(parameter.grad for parameter in model.parameters),
                *map(torch.from_numpy, nn.get_weights(model).values()),
            ]
        )
    return results


def unfuse(model):
    """Let a model run its layers one by one, those in its containers too."""
    for module in model.layers.modules():
        if hasattr(module, 'steps'):
            module.steps = list(module)


def group_sizes(nn, layers, shape=(2, 9, 8)):
    """Return the number of layers in each step that a model runs."""
    model = nn.Model(layers)
    model.initialize(shape)
    return [len(getattr(step, 'layers', 'x')) if fused(step) else 1 for step in model.layers.steps]


def fused(step):
    """Tell whether a step computes several layers."""
    return isinstance(step, (Stage, Residual, PixelLinear))


@pytest.mark.parametrize('group', GROUPS)
@pytest.mark.parametrize('signs', [(1,), (1, -1, -1)])
@pytest.mark.parametrize('piece', [1, 2**30])
def test_a_stage_and_its_layers_agree(nn, monkeypatch, group, signs, piece):
    """For gammas of either sign, image by image or all images at once."""
    monkeypatch.setattr(stage, 'PIECE', piece)
    layers = GROUPS[group](nn)
    assert max(group_sizes(nn, layers)) > 1
    x = torch.from_numpy(np.random.RandomState(2).normal(size=(5, 2, 9, 8)))
    ways = run_both_ways(nn, GROUPS[group](nn), x, True, signs)
    for ours, plain in zip(*ways, strict=True):
        torch.testing.assert_close(ours, plain, rtol=1e-9, atol=1e-10)


@pytest.mark.parametrize('group', GROUPS)
def test_a_stage_in_inference_agrees(nn, group):
    x = torch.from_numpy(np.random.RandomState(3).normal(size=(3, 2, 9, 8)))
    model = nn.Model(GROUPS[group](nn))
    model.initialize((2, 9, 8))
    weights = nn.get_weights(model)
    rng = np.random.RandomState(4)
    for name, values in weights.items():
        values[:] = (
            rng.uniform(0.2, 2, values.shape)
            if name.endswith('gvar')
            else rng.normal(size=values.shape)
        )
    nn.set_weights(model, weights)
    model.layers.eval()
    with torch.no_grad():
        ours = model.layers(x)
        unfuse(model)
        torch.testing.assert_close(ours, model.layers(x), rtol=1e-9, atol=1e-10)


@pytest.mark.parametrize('gamma', [1e-12, 0, -2])
def test_the_gamma_of_pixels_has_a_gradient_whatever_its_size(nn, gamma):
    """Where the gradient of the weight cannot tell it, that of the pixels does."""
    model = nn.Model(GROUPS['pixels and linear'](nn))
    model.initialize((2, 9, 8))
    x = torch.from_numpy(np.random.RandomState(5).uniform(0, 255, size=(5, 2, 9, 8)))
    weights = nn.get_weights(model)
    next(values for name, values in weights.items() if name.endswith('gamma'))[1] = gamma
    gradients = []
    for _ in range(2):
        nn.set_weights(model, weights)
        for parameter in model.parameters:
            parameter.grad = None
        model.layers(x).mul(torch.arange(7)).sum().backward()
        gradients.append([parameter.grad for parameter in model.parameters])
        unfuse(model)
    for ours, plain in zip(*gradients, strict=True):
        torch.testing.assert_close(ours, plain, rtol=1e-9, atol=1e-9)


def test_only_these_groups_are_fused(nn):
    """A leaky rectifier, a convolution without one and average pooling stay single layers."""
    assert group_sizes(nn, stage_layers(nn)) == [1, 4]
    assert group_sizes(nn, stage_layers(nn, pooling=False)) == [1, 3]
    assert group_sizes(nn, stage_layers(nn, slope=0.1)) == [1, 1, 1, 1, 1]
    average = [*stage_layers(nn, pooling=False), nn.Pooling(3, op='avg', padding=1, strides=2)]
    assert group_sizes(nn, average) == [1, 3, 1]
    assert group_sizes(nn, pixel_layers(nn) + stage_layers(nn)[1:]) == [6]
    assert group_sizes(nn, residual_layers(nn)) == [1, 2]
    linear = [*residual_layers(nn)[:2], nn.Activation(nn.Tanh())]
    assert group_sizes(nn, linear) == [1, 1, 1]


@pytest.mark.parametrize('row', ['fcnn-3', 'cnn-1', 'cnn-2', 'resnet-18', 'resnet-50'])
def test_three_minibatches_of_other_rows_cost_the_same_as_layer_by_layer(row):
    """In float64, with all results of a training."""
    (costs, weights, probabilities), (expected, plain, plain_probabilities) = (
        train('float64', way, steps=3, batch=6, side=32, row=row) for way in (False, True)
    )
    np.testing.assert_allclose(costs, expected, rtol=1e-9)
    np.testing.assert_allclose(probabilities, plain_probabilities, atol=1e-6)
    for name, values in plain.items():
        np.testing.assert_allclose(
            weights[name], values, atol=1e-8 * max(1.0, np.abs(values).max()), err_msg=name
        )


@pytest.mark.parametrize('stored', [torch.float32, torch.bfloat16])
@pytest.mark.parametrize('layout', [torch.channels_last, torch.contiguous_format])
def test_statistics_in_float32_keep_their_digits(nn32, stored, layout):
    """With a large mean and maps of thousands of values; those of bfloat16 maps are float32 too."""
    from neon_rnn.engines.torch.ops.normalisation import join_statistics, part_statistics

    x = torch.from_numpy(np.random.RandomState(0).normal(10, 1, (8, 16, 64, 64))).to(stored)
    pieces = x.contiguous(memory_format=layout).split(3)
    mean, variance = join_statistics(list(map(part_statistics, pieces)), x.numel() // 16)
    exact_variance, exact_mean = torch.var_mean(x.double(), dim=(0, 2, 3), correction=0)
    assert (mean.dtype, variance.dtype) == (torch.float32, torch.float32)
    torch.testing.assert_close(mean.double(), exact_mean, rtol=3e-7, atol=0)
    torch.testing.assert_close(variance.double(), exact_variance, rtol=2e-6, atol=0)
