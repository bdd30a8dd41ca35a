"""Matrix products of the torch engine: the same numbers by oneDNN and by MKL."""

import numpy as np
import pytest
import torch

from neon_rnn.engines.torch.ops import matmul
from neon_rnn.engines.torch.ops.matmul import linear, product, weight_gradient


@pytest.fixture(autouse=True, params=[True, False])
def fast(request, monkeypatch):
    """Have them computed as on Intel's processors, and as on others."""
    monkeypatch.setattr(matmul, 'MKL_IS_FAST', request.param)


@pytest.mark.parametrize('shape', [(7, 5), (3, 4, 5)])
def test_products_and_their_gradients(shape):
    """Forward and backward, with weights of any strides."""
    rng = np.random.RandomState(0)
    x, weight, bias = (torch.from_numpy(rng.normal(size=size)) for size in (shape, (6, 5), (6,)))
    results = []
    for dtype in (torch.float32, torch.float64):
        arguments = [tensor.to(dtype).requires_grad_() for tensor in (x, weight, bias)]
        y = linear(*arguments)
        (y * y).sum().backward()
        results.append([y.detach().double(), *(argument.grad.double() for argument in arguments)])
    for ours, exact in zip(*results, strict=True):
        torch.testing.assert_close(ours, exact, rtol=1e-5, atol=1e-5)
    wide = torch.from_numpy(rng.normal(size=(6, 11))).float()
    flat = x.float().reshape(-1, 5)
    for gaps in (wide[:, :5], wide[:, ::2][:, :5], wide.t()[:5].t()):
        torch.testing.assert_close(product(flat, gaps), flat @ gaps.t(), rtol=1e-5, atol=1e-5)
        for add in (torch.ones(len(flat), 6), torch.ones(len(flat), 2, 6)[:, 1]):
            torch.testing.assert_close(
                product(flat, gaps, add=add), flat @ gaps.t() + 1, rtol=1e-5, atol=1e-5
            )


@pytest.mark.parametrize('rows', [40, 600])
@pytest.mark.parametrize(('dtype', 'tolerance'), [(torch.float32, 2e-5), (torch.bfloat16, 1e-2)])
def test_weight_gradients_of_rows_with_gaps(dtype, tolerance, rows):
    """The two directions of a sweep lie one behind the other in every row."""
    delta, x = (
        torch.from_numpy(np.random.RandomState(6).normal(size=(rows, 2, size))).to(dtype)
        for size in (8, 16)
    )
    for ours, exact in (
        (weight_gradient(delta[8:, 1], x[:-8, 1]), delta[8:, 1].double().t() @ x[:-8, 1].double()),
        (
            weight_gradient(delta[:, 0].contiguous(), x[:, 0]),
            delta[:, 0].double().t() @ x[:, 0].double(),
        ),
    ):
        assert ours.dtype == dtype
        torch.testing.assert_close(ours.double(), exact, rtol=tolerance, atol=tolerance)
