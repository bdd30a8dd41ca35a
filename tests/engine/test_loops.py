"""The compiled loops over maps: max pooling, batch norm, and their gradients."""

import os
import subprocess
import sys

import numpy as np
import pytest
import torch
from numba.core import caching

from neon_rnn.engines.torch.ops import arrays, loops, pooling
from neon_rnn.engines.torch.ops.normalisation import (
    NormGradient,
    gradient_sums,
    norm_gradient,
    scale_and_join,
    statistics,
)

TYPES = [torch.float32, torch.float64, torch.bfloat16]
WINDOWS = [
    ((3, 3), (2, 2), (1, 1), (12, 10)),
    ((2, 2), (2, 2), (0, 0), (7, 8)),
    ((3, 3), (2, 2), (0, 0), (9, 9)),
    ((3, 2), (1, 2), (1, 0), (5, 6)),
    ((2, 5), (3, 1), (1, 2), (8, 6)),
    ((4, 4), (4, 4), (0, 0), (4, 4)),
    ((17, 17), (1, 1), (0, 0), (18, 18)),  # more places than a byte counts
]


@pytest.fixture(params=[1, 3])
def thread_count(request, monkeypatch):
    """Compute with that many threads, however little there is to do."""
    monkeypatch.setattr(arrays, 'SMALL', 0)
    before = torch.get_num_threads()
    torch.set_num_threads(request.param)
    yield request.param
    torch.set_num_threads(before)


def wide(dtype):
    """The type of what batch norm computes for maps of a type."""
    return torch.float32 if dtype == torch.bfloat16 else dtype


def maps(*shape, dtype=torch.float32, seed=0):
    """Channels-last maps with many equal values, of both signs."""
    generator = torch.Generator().manual_seed(seed)
    values = torch.randn(shape, generator=generator, dtype=torch.float64)
    return (values * 4).round().div(4).to(dtype, memory_format=torch.channels_last)


def factors(count, dtype, seed=1):
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(count, generator=generator, dtype=dtype) for _ in range(3)]


def for_maps(values):
    return values[None, :, None, None]


def pooled_by_pytorch(x, windows):
    return torch.nn.functional.max_pool2d(x, *windows, return_indices=True)


@pytest.mark.usefixtures('thread_count')
@pytest.mark.parametrize('dtype', TYPES)
@pytest.mark.parametrize(('size', 'strides', 'padding', 'sides'), WINDOWS)
def test_pooling_is_that_of_pytorch_also_for_equal_values(size, strides, padding, sides, dtype):
    x, windows = maps(5, 6, *sides, dtype=dtype), pooling.Windows(size, strides, padding)
    signs = torch.tensor([1, -1, 1, 1, -1, 1], dtype=wide(dtype))
    turned = for_maps(signs).to(dtype)
    values, pixels = pooled_by_pytorch(x * turned, windows)
    found, places = pooling.largest(x, windows, values.shape[1:], signs)
    assert torch.equal(found, values * turned)
    assert places.dtype == (torch.uint8 if size[0] * size[1] <= 256 else torch.int32)
    assert torch.equal(pooling.pixels(places, windows, sides[1]), pixels)
    assert torch.equal(pooling.places(pixels, windows, sides[1]), places.long())
    error = maps(*values.shape, dtype=dtype, seed=2)
    leaf = (x * turned).to(wide(dtype)).requires_grad_()
    pooled_by_pytorch(leaf, windows)[0].backward(error.to(wide(dtype)))
    gradient = pooling.gradient(error, places, windows, x.shape[1:])
    assert gradient.is_contiguous(memory_format=torch.channels_last)
    assert torch.equal(gradient, leaf.grad.to(dtype))


@pytest.mark.usefixtures('thread_count')
@pytest.mark.parametrize('rectified', [False, True])
@pytest.mark.parametrize('dtype', TYPES)
@pytest.mark.parametrize(('size', 'strides', 'padding', 'sides'), WINDOWS[:3])
def test_the_gradient_of_pooling_and_batch_norm(size, strides, padding, sides, dtype, rectified):
    x, windows = maps(5, 6, *sides, dtype=dtype), pooling.Windows(size, strides, padding)
    scale, slope, offset = of_norm = NormGradient(*factors(6, wide(dtype)))
    values, pixels = pooled_by_pytorch(x, windows)
    places = pooling.places(pixels, windows, sides[1]).to(torch.uint8)
    error = maps(*values.shape, dtype=dtype, seed=2)
    found = pooling.gradient(error, places, windows, x.shape[1:], x, of_norm, rectified)
    scaled = (error.to(wide(dtype)) * for_maps(scale)).flatten(2)
    expected = torch.zeros(x.shape, dtype=wide(dtype)).flatten(2)
    expected = expected.scatter_add(2, pixels.flatten(2), scaled).view(x.shape)
    expected = expected - for_maps(offset) - for_maps(slope) * x.to(wide(dtype))
    if rectified:
        expected = torch.where(x > 0, expected, 0.0)
    torch.testing.assert_close(found, expected.to(dtype))


@pytest.mark.usefixtures('thread_count')
@pytest.mark.parametrize('rectified', [False, True])
@pytest.mark.parametrize('dtype', TYPES)
@pytest.mark.parametrize('shape', [(4, 6, 3, 5), (3, 1, 4, 4), (5, 7, 1, 1)])
def test_the_gradient_of_batch_norm(shape, dtype, rectified):
    x, error = maps(*shape, dtype=dtype), maps(*shape, dtype=dtype, seed=2)
    of_norm = NormGradient(*factors(shape[1], wide(dtype)))
    scale, slope, offset = map(for_maps, of_norm)
    expected = error.to(wide(dtype)) * scale - offset - slope * x.to(wide(dtype))
    if rectified:
        expected = torch.where(x > 0, expected, 0.0)
    torch.testing.assert_close(norm_gradient(error, x, of_norm, rectified), expected.to(dtype))


@pytest.mark.usefixtures('thread_count')
@pytest.mark.parametrize('dtype', TYPES)
@pytest.mark.parametrize(
    ('shape', 'rectified'),
    [((9, 6, 12, 5), False), ((9, 6, 12, 5), True), ((3, 1, 4, 4), True), ((70, 7, 1, 1), True)]
    + [((50, 4), False)],  # features; a rectifier behind them is a layer of its own
)
def test_the_gradients_of_gamma_and_beta(shape, dtype, rectified):
    x, error, output = (
        maps(*shape, 1, 1, dtype=dtype, seed=seed)[..., 0, 0]
        if len(shape) == 2
        else maps(*shape, dtype=dtype, seed=seed)
        for seed in (0, 2, 3)
    )
    mean, inverse, _ = factors(shape[1], wide(dtype))
    double, ones = x.double(), [1] * (len(shape) - 2)
    let_through = torch.where(output > 0, error, 0) if rectified else error
    normal = (double - mean.view(-1, *ones)) * inverse.view(-1, *ones)
    others = [0, *range(2, len(shape))]
    found = gradient_sums(error, x, mean, inverse, output if rectified else None)
    expected = ((let_through.double() * normal).sum(others), let_through.double().sum(others))
    for sums, wanted in zip(found[:2], expected, strict=True):
        assert sums.dtype == wide(dtype)
        torch.testing.assert_close(sums, wanted.to(wide(dtype)), rtol=1e-5, atol=1e-4)
    assert torch.equal(found[2], let_through)
    assert rectified or found[2] is error


@pytest.mark.usefixtures('thread_count')
@pytest.mark.parametrize('dtype', TYPES)
@pytest.mark.parametrize('shape', [(9, 6, 12, 5), (3, 1, 4, 4), (70, 7, 1, 1), (50, 4)])
def test_the_mean_and_the_variance_of_a_minibatch(shape, dtype):
    x = maps(*shape, *[1] * (4 - len(shape)), dtype=dtype).reshape(shape) + 1000
    if len(shape) == 4:
        x = x.contiguous(memory_format=torch.channels_last)
    mean, variance = statistics(x, x.numel() // shape[1])
    others = [0, *range(2, len(shape))]
    expected = torch.var_mean(x.double(), dim=others, correction=0)[::-1]
    for found, wanted in zip((mean, variance), expected, strict=True):
        assert found.dtype == wide(dtype)
        torch.testing.assert_close(found.double(), wanted, rtol=1e-6, atol=0)


def test_maps_of_one_value_have_no_variance():
    x = torch.full((8, 3, 5, 7), 0.1).contiguous(memory_format=torch.channels_last)
    mean, variance = statistics(x, 8 * 5 * 7)
    assert torch.equal(mean, x[0, :, 0, 0])
    assert torch.equal(variance, torch.zeros(3))


@pytest.mark.usefixtures('thread_count')
@pytest.mark.parametrize('stored', TYPES)
def test_pixels_are_scaled_shifted_and_joined_by_ones(stored):
    dtype = wide(stored)
    images = torch.from_numpy(np.random.RandomState(0).randint(0, 256, (5, 3, 6, 7))).to(dtype)
    scale, shift, _ = factors(3, dtype)
    found = torch.empty(5, 4, 6, 7, dtype=stored).contiguous(memory_format=torch.channels_last)
    arrays.spread(
        lambda *parts: loops.pixels(*parts, tuple(scale.numpy()), tuple(shift.numpy())),
        images.numpy(),
        arrays.array(found),
    )
    expected = (images * for_maps(scale) + for_maps(shift)).to(stored)
    torch.testing.assert_close(found[:, :3], expected)
    assert torch.equal(found[:, 3], torch.ones_like(found[:, 3]))


@pytest.mark.parametrize('shape', [(64, 3, 64, 64), (4096, 2, 2, 2), (2**17, 2)])
def test_long_sums_in_float32_keep_their_digits(shape):
    generator = torch.Generator().manual_seed(0)
    x, error = (torch.rand(shape, generator=generator) for _ in range(2))
    if len(shape) == 4:
        x, error = (each.contiguous(memory_format=torch.channels_last) for each in (x, error))
    of_gamma, of_beta, _ = gradient_sums(error, x, torch.zeros(shape[1]), torch.ones(shape[1]))
    others = [0, *range(2, len(shape))]
    torch.testing.assert_close(
        of_gamma.double(), (error.double() * x.double()).sum(others), rtol=2e-7, atol=0
    )
    torch.testing.assert_close(of_beta.double(), error.double().sum(others), rtol=2e-7, atol=0)


@pytest.mark.usefixtures('thread_count')
@pytest.mark.parametrize('rectified', [False, True])
@pytest.mark.parametrize('with_shortcut', [False, True])
@pytest.mark.parametrize('dtype', TYPES)
@pytest.mark.parametrize('shape', [(4, 6, 3, 5), (3, 1, 4, 4), (5, 7, 1, 1)])
def test_scale_shift_shortcut_and_rectifier(shape, dtype, with_shortcut, rectified):
    x, shortcut = maps(*shape, dtype=dtype), maps(*shape, dtype=dtype, seed=2)
    scale, shift, _ = factors(shape[1], wide(dtype))
    expected = x.to(wide(dtype)) * for_maps(scale) + for_maps(shift)
    if with_shortcut:
        expected = expected + shortcut.to(wide(dtype))
    if rectified:
        expected = expected.relu()
    parts = x.split([1, len(x) - 1])
    found = scale_and_join(parts, scale, shift, shortcut if with_shortcut else None, rectified)
    assert found.is_contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(found, expected.to(dtype))


def test_bfloat16_is_rounded_as_by_pytorch():
    bits = np.random.RandomState(0).randint(0, 2**32, 2**16, np.int64).astype(np.uint32)
    ties = (np.arange(2**16, dtype=np.uint32) << 16) | 0x8000
    special = np.array([0, 0x80000000, 0x7F800000, 0xFF800000, 0x7FC00000, 1, 0x7F7FFFFF], 'u4')
    values = torch.from_numpy(np.concatenate([bits, ties, special]).view(np.float32))
    values = values[~values.isnan() | (values.view(torch.int32) & 0xFFFF == 0)]
    # Through the shift of batch norm: 0 * 1 + value, one feature map for each.
    zeros = torch.zeros(1, len(values), 1, 1, dtype=torch.bfloat16)
    found = scale_and_join([zeros], torch.ones(len(values)), values)
    torch.testing.assert_close(found.flatten(), values.bfloat16(), rtol=0, atol=0, equal_nan=True)


@pytest.mark.parametrize('dtype', TYPES)
@pytest.mark.parametrize('value', [float('nan'), float('inf'), float('-inf')])
def test_what_is_not_finite_stays_so(dtype, value):
    x = maps(2, 3, 4, 4, dtype=dtype)
    x[1, 2, 3, 3] = value
    windows = pooling.Windows((2, 2), (2, 2), (0, 0))
    ones = torch.ones(3, dtype=wide(dtype))
    pooled, places = pooling.largest(x, windows, (3, 2, 2), ones)
    expected, pixels = pooled_by_pytorch(x, windows)
    torch.testing.assert_close(pooled, expected, rtol=0, atol=0, equal_nan=True)
    assert torch.equal(pooling.pixels(places, windows, 4), pixels)
    for rectified in (False, True):
        scaled = scale_and_join([x], ones, 0 * ones, None, rectified)
        wanted = x.relu() if rectified else x
        torch.testing.assert_close(scaled, wanted, rtol=0, atol=0, equal_nan=True)
    gradient = norm_gradient(x, x.abs(), NormGradient(ones, 0 * ones, 0 * ones), True)
    assert not gradient[1, 2, 3, 3].isfinite()
    assert gradient.isfinite().sum() == x.numel() - 1


def test_maps_in_another_memory_format_are_read_right():
    x = maps(2, 3, 4, 6).contiguous()
    ones = torch.ones(3)
    assert torch.equal(scale_and_join([x], 2 * ones, ones), 2 * x + 1)


@pytest.mark.parametrize('threads', [2, 3, 7])
def test_threads_give_the_same_bits(monkeypatch, threads):
    monkeypatch.setattr(arrays, 'SMALL', 0)
    x, ones = maps(5, 6, 8, 8), torch.ones(6)
    windows = pooling.Windows((3, 3), (2, 2), (1, 1))
    before = torch.get_num_threads()
    results = []
    try:
        for count in (1, threads):
            torch.set_num_threads(count)
            pooled, places = pooling.largest(x, windows, (6, 4, 4), ones)
            of_norm = NormGradient(*factors(6, torch.float32))
            gradient = pooling.gradient(pooled, places, windows, (6, 8, 8), x, of_norm)
            results.append((pooled, places, gradient))
    finally:
        torch.set_num_threads(before)
    for alone, together in zip(*results, strict=True):
        assert torch.equal(alone, together)


def test_few_bytes_stay_in_the_thread_that_has_them(monkeypatch):
    monkeypatch.setattr(arrays.threads, 'at_once', lambda calls: pytest.fail('used threads'))
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        scale_and_join([maps(2, 3, 4, 4)], torch.ones(3), torch.ones(3))
    finally:
        torch.set_num_threads(before)


def test_a_loop_is_compiled_without_a_folder_to_keep_it_in(monkeypatch):
    monkeypatch.setattr(caching.CacheImpl, '_locator_classes', [])

    def doubled(values):
        for i in range(len(values)):
            values[i] *= 2

    values = np.arange(3.0)
    loops._loop(doubled)(values)
    assert values.tolist() == [0, 2, 4]


def test_compiled_loops_are_kept_on_disk(tmp_path):
    program = (
        'import torch\n'
        'from neon_rnn.engines.torch.ops import loops\n'
        'from neon_rnn.engines.torch.ops.normalisation import scale_and_join\n'
        'scale_and_join([torch.ones(1, 2, 3, 3)], torch.ones(2), torch.ones(2))\n'
        'print(sum(loops.scale_and_shift.stats.cache_hits.values()))\n'
    )
    settings = dict(os.environ, NUMBA_CACHE_DIR=str(tmp_path))
    hits = [
        subprocess.run(
            [sys.executable, '-c', program], env=settings, check=True, capture_output=True
        ).stdout.split()
        for _ in range(2)
    ]
    assert hits == [[b'0'], [b'1']]
