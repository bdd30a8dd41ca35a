"""Filters computed as matrix products give what a convolution gives, and its gradients."""

import numpy as np
import pytest
import torch

from neon_rnn.engines.torch.fast.filters import (
    Filters,
    PixelFilters,
    WholeMapFilters,
    WindowFilters,
    filters_of,
)
from neon_rnn.engines.torch.layers.convolution import Convolution

#: What computes it, window, map, strides, padding. A map of 5 x 4 has more than 16 pixels.
CASES = [
    (PixelFilters, (1, 1), (5, 4), 1, 0),
    (PixelFilters, (1, 1), (3, 4), 1, 0),
    (PixelFilters, (1, 1), (9, 8), 2, 0),
    (PixelFilters, (1, 1), (9, 8), (1, 2), 0),
    (WholeMapFilters, (3, 3), (2, 2), 1, 1),
    (WholeMapFilters, (3, 3), (1, 2), 1, 1),
    (WholeMapFilters, (3, 5), (2, 3), 1, (1, 2)),
    (WholeMapFilters, (2, 3), (2, 1), 1, (0, 1)),
    (Filters, (1, 1), (5, 4), 1, 1),
    (Filters, (3, 3), (5, 4), 1, 1),
    (WindowFilters, (3, 3), (3, 2), 1, 1),
    (WindowFilters, (3, 3), (4, 4), 1, 1),
    (WindowFilters, (3, 3), (4, 4), 2, 1),
    (WindowFilters, (3, 3), (2, 2), 2, 1),
    (WindowFilters, (3, 5), (5, 6), (3, 2), (1, 0)),
]


def layer(nn, window, sides, strides, padding):
    """Return a configured convolution of 3 maps to 4."""
    made = Convolution((*window, 4), strides, padding, 1, nn.Kaiming())
    made.configure((3, *sides))
    return made


@pytest.mark.parametrize(('kind', 'window', 'sides', 'strides', 'padding'), CASES)
@pytest.mark.parametrize(
    ('dtype', 'tolerance'), [(torch.float64, 1e-12), (torch.float32, 1e-5), (torch.bfloat16, 3e-2)]
)
def test_filters_agree_with_a_convolution(
    nn32, kind, window, sides, strides, padding, dtype, tolerance
):
    made = layer(nn32, window, sides, strides, padding)
    filters = filters_of(made)
    assert type(filters) is kind
    rng = np.random.RandomState(0)
    x, weight, error = (
        torch.from_numpy(rng.normal(size=size)).to(dtype)
        for size in ((6, 3, *sides), (4, 3, *window), (6, *made.out_shape))
    )
    exact_x, exact_weight = (each.double().requires_grad_() for each in (x, weight))
    exact = torch.nn.functional.conv2d(exact_x, exact_weight, None, made.strides, made.padding)
    exact.backward(error.double())

    x, error = (each.contiguous(memory_format=torch.channels_last) for each in (x, error))
    operand = filters.operand(weight, dtype)
    y = filters.convolve(x, operand, None, False)
    of_x, of_operand, of_bias = filters.gradients(error, x, operand, (True, True, False))
    assert of_bias is None
    for ours, wanted in (
        (y, exact.detach()),
        (of_x, exact_x.grad),
        (filters.of_weight(of_operand, weight), exact_weight.grad),
    ):
        assert ours.dtype == dtype
        torch.testing.assert_close(
            ours.double(), wanted, rtol=tolerance, atol=tolerance * float(wanted.abs().max())
        )
    rectified = filters.convolve(x, operand, None, True)
    torch.testing.assert_close(rectified, y.relu(), rtol=tolerance, atol=tolerance)
    assert filters.gradients(error, x, operand, (False, True, False))[0] is None


def test_filters_of_one_pixel_take_a_bias(nn32):
    made = layer(nn32, (1, 1), (5, 4), 1, 0)
    filters = filters_of(made)
    x, weight = torch.randn(2, 3, 5, 4), torch.randn(4, 3, 1, 1)
    bias, error = torch.randn(4), torch.randn(2, 4, 5, 4)
    operand = filters.operand(weight, torch.float32)
    torch.testing.assert_close(
        filters.convolve(x, operand, bias, False), torch.nn.functional.conv2d(x, weight, bias)
    )
    _, _, of_bias = filters.gradients(error, x, operand, (False, True, True))
    torch.testing.assert_close(of_bias, error.sum((0, 2, 3)))


def test_a_bias_keeps_small_maps_with_the_convolution(nn32):
    made = Convolution((3, 3, 4), 1, 1, 1, nn32.Kaiming(), nn32.Constant(0))
    made.configure((3, 2, 2))
    assert type(filters_of(made)) is Filters
