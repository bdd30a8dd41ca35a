"""Matrix products of the torch engine: the same numbers by oneDNN and by MKL."""

import numpy as np
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from neon_rnn import engines, models
from neon_rnn.engines.torch.ops import matmul
from neon_rnn.engines.torch.ops.matmul import linear, product, weight_gradient
from neon_rnn.models.rnn import CELLS


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


class Multiplied(TorchDispatchMode):
    """Records the types that PyTorch's products and convolutions get, of all operands."""

    NAMES = ('mm', 'mv', 'dot', 'linear', 'convolution', 'conv2d')

    def __init__(self):
        super().__init__()
        self.types = set()

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        if any(name in func.__name__ for name in self.NAMES):
            tensors = [each for each in args if isinstance(each, torch.Tensor)]
            self.types |= {each.dtype for each in tensors}
        return func(*args, **(kwargs or {}))


@pytest.fixture
def without_bfloat16(monkeypatch):
    """As on a processor without instructions for bfloat16."""
    monkeypatch.setattr(matmul, '_ONEDNN_TYPES', (torch.float32,))


def nearly(exact):
    """The exact numbers, and the tolerances of one rounding to bfloat16."""
    return {'expected': exact, 'rtol': 2**-8, 'atol': 1e-5}


def test_without_bfloat16_products_are_those_of_rounded_operands(without_bfloat16):
    """They are summed in float32 and rounded once, forward and backward."""
    rng = np.random.RandomState(4)
    x, weight, bias, add, error = (
        torch.from_numpy(rng.normal(size=size)).bfloat16()
        for size in ((40, 30), (20, 30), (20,), (40, 20), (40, 20))
    )
    exact = x.double() @ weight.double().t()
    of_weight = error.double().t() @ x.double()
    with Multiplied() as found:
        results = [
            (product(x, weight, bias), exact + bias.double()),
            (product(x, weight, add=add), exact + add.double()),
            (weight_gradient(error, x), of_weight),
        ]
        leaves = [each.float().requires_grad_() for each in (x, weight, bias)]
        with torch.autocast('cpu', torch.bfloat16):
            y = linear(*leaves)
        y.backward(error)
    results.append((y.detach(), exact + bias.double()))
    assert found.types == {torch.float32}
    for ours, expected in results:
        assert ours.dtype == torch.bfloat16
        torch.testing.assert_close(ours.double(), **nearly(expected))
    for leaf, expected in zip(
        leaves, (error.double() @ weight.double(), of_weight, error.double().sum(0)), strict=True
    ):
        torch.testing.assert_close(leaf.grad.double(), **nearly(expected))


@pytest.mark.parametrize('groups', [1, 4])
def test_without_bfloat16_convolutions_are_those_of_rounded_operands(without_bfloat16, groups):
    """Those of a layer, and those of a stage, which has a gradient of its own."""
    rng = np.random.RandomState(5)
    x, weight, bias, error = (
        torch.from_numpy(rng.normal(size=size)).bfloat16()
        for size in ((3, 4, 9, 9), (8, 4 // groups, 3, 3), (8,), (3, 8, 5, 5))
    )
    settings = ([2, 2], [1, 1], [1, 1])
    exact = [each.double().requires_grad_() for each in (x, weight, bias)]
    expected = torch.nn.functional.conv2d(*exact, *settings, groups)
    expected.backward(error.double())
    with Multiplied() as found:
        leaves = [each.float().requires_grad_() for each in (x, weight, bias)]
        with torch.autocast('cpu', torch.bfloat16):
            y = matmul.rounded(torch.nn.functional.conv2d, *leaves, *settings, groups)
        y.backward(error)
        results = [y.detach(), *(leaf.grad for leaf in leaves)]
        if groups == 1:
            results += [
                matmul.convolution(x, weight, bias, *settings, rectified=False),
                *matmul.convolution_gradients(error, x, weight, *settings, (True, True, True)),
            ]
    assert found.types == {torch.float32}
    wanted = [expected.detach(), *(each.grad for each in exact)] * (1 if groups > 1 else 2)
    for ours, numbers in zip(results, wanted, strict=True):
        torch.testing.assert_close(ours.double(), **nearly(numbers))


@pytest.mark.parametrize(
    ('row', 'side', 'options'),
    [
        ('fcnn-1', 32, {}),
        ('cnn-1', 32, {}),
        ('resnet-18', 32, {}),
        ('tl-1', 64, {}),
        *(('rnn', 32, {'rnn': cell}) for cell in CELLS),
    ],
)
def test_without_bfloat16_nothing_is_multiplied_in_it(without_bfloat16, row, side, options):
    """PyTorch would take up to 76 times as long."""
    nn = engines.load('torch')
    nn.start('cpu', 4, 0, precision='bf16', threads=1)
    model, cost = models.build(row, nn, (3, side, side), **options)
    model.initialize((3, side, side), cost)
    pixels = np.random.RandomState(0).randint(0, 256, (4, 3 * side * side)).astype(np.uint8)
    optimizer = nn.GradientDescentMomentum(0.01, momentum_coef=0.9, wdecay=0.0005)
    with Multiplied() as found:
        result = float(nn.train_step(model, pixels, np.array([0, 1, 0, 1]), optimizer, 0))
        assert np.isfinite(result)
        assert np.isfinite(nn.predict(model, pixels)).all()
    assert torch.bfloat16 not in found.types
    assert torch.float32 in found.types


@pytest.mark.parametrize(
    ('intel', 'capability', 'fast'),
    [
        (True, 'AVX512', True),
        (True, 'AVX2', True),
        (False, 'AVX512', False),
        (False, 'AVX2', True),
    ],
)
def test_mkl_multiplies_unless_it_leaves_wide_vectors_unused(monkeypatch, intel, capability, fast):
    monkeypatch.setattr(matmul.machine, 'made_by_intel', lambda: intel)
    monkeypatch.setattr(torch.backends.cpu, 'get_cpu_capability', lambda: capability)
    monkeypatch.setattr(torch.backends.mkl, 'is_available', lambda: True)
    assert matmul._mkl_is_fast() is fast
    monkeypatch.setattr(torch.backends.mkl, 'is_available', lambda: False)
    assert not matmul._mkl_is_fast()
