"""The hyperbolic tangent, by each library that may compute it."""

import pytest
import torch

from neon_rnn.engines.torch.ops import matmul
from neon_rnn.engines.torch.ops.tanh import FEWEST, tanh


@pytest.mark.parametrize('count', [5, FEWEST + 3])
@pytest.mark.parametrize('fast', [True, False])
@pytest.mark.parametrize(
    ('dtype', 'relative'), [(torch.float64, 1e-14), (torch.float32, 1e-6), (torch.bfloat16, 2**-8)]
)
def test_every_library_computes_it(monkeypatch, dtype, relative, fast, count):
    monkeypatch.setattr(matmul, 'MKL_IS_FAST', fast)
    x = torch.randn(count, generator=torch.Generator().manual_seed(0)).mul(3).to(dtype)
    x[:4] = torch.tensor([0.0, 100.0, -100.0, 1e-3])
    out = torch.full_like(x, torch.nan)
    y = tanh(x, out=out)
    assert y is out
    assert y.dtype == dtype
    expected = torch.tanh(x.double())
    torch.testing.assert_close(y.double(), expected, rtol=relative, atol=1e-30)
    assert torch.equal(tanh(x), y)


def test_it_has_a_gradient():
    x = torch.randn(FEWEST, dtype=torch.float64, requires_grad=True)
    y = tanh(x)
    y.sum().backward()
    torch.testing.assert_close(x.grad, 1 - y.detach() ** 2)
