"""The hyperbolic tangent of the torch engine: the same numbers by oneDNN, MKL and PyTorch."""

import pytest
import torch

from neon_rnn.engines.torch.ops import matmul
from neon_rnn.engines.torch.ops import tanh as module
from neon_rnn.engines.torch.ops.tanh import tanh

#: The largest difference, relative to the number: two roundings.
TOLERANCES = {torch.float64: 4e-16, torch.float32: 3e-7, torch.bfloat16: 1.6e-2}


@pytest.fixture(autouse=True, params=[True, False])
def fast(request, monkeypatch):
    """Have it computed as on Intel's processors, and as on others."""
    monkeypatch.setattr(matmul, 'MKL_IS_FAST', request.param)


def numbers(dtype, count=4 * module.FEWEST):
    """Numbers of all sizes down to 1e-6, both signs."""
    generator = torch.Generator().manual_seed(0)
    sizes = 10 ** (7 * torch.rand(count, generator=generator) - 6)
    signs = torch.randint(0, 2, (count,), generator=generator) * 2 - 1
    return (sizes * signs).to(dtype).view(-1, 128)


@pytest.mark.parametrize('dtype', sorted(TOLERANCES, key=str))
@pytest.mark.parametrize('cut', [slice(None), slice(None, None, 2), slice(0, 2)])
def test_every_number_is_that_of_float64(dtype, cut):
    """Of whole tensors, of one with gaps between its rows, and of one too small for oneDNN."""
    x = numbers(dtype)[cut]
    expected = torch.tanh(x.double())
    with torch.no_grad():
        y = tanh(x)
        place = torch.empty(len(x), 2, x.shape[1], dtype=dtype)[:, 1]
        assert tanh(x, out=place) is place
    assert y.dtype == dtype
    assert torch.equal(place, y)
    assert ((y.double() - expected).abs() <= TOLERANCES[dtype] * expected.abs()).all()


def test_special_numbers():
    x = torch.full((module.FEWEST,), 0.5)
    x[:4] = torch.tensor([float('nan'), float('inf'), float('-inf'), -0.0])
    y = tanh(x)
    assert y[0].isnan()
    assert y[1:4].tolist() == [1, -1, 0]
    assert y[3].signbit()


def test_autograd_goes_through():
    x = numbers(torch.float32).requires_grad_()
    tanh(x).sum().backward()
    torch.testing.assert_close(x.grad, 1 - torch.tanh(x.detach()) ** 2)
