"""`from neon_rnn import SpatialRNN`: an ordinary module of PyTorch, held to the loops in NumPy."""

import copy
import io
import subprocess
import sys
import warnings

import numpy as np
import pytest
import reference
import torch

import neon_rnn
from neon_rnn import SpatialRNN
from neon_rnn.engines.torch.recurrent import elman
from neon_rnn.support.errors import UsageError

#: (cell, bidirectional) -> its name in the reference.
CELLS = {
    ('rnn', True): 'BiRNN',
    ('rnn', False): 'Recurrent',
    ('lstm', True): 'BiLSTM',
    ('lstm', False): 'LSTM',
    ('gru', True): 'BiGRU',
    ('gru', False): 'GRU',
}
UNITS = 3
each_cell = pytest.mark.parametrize(('cell', 'bidirectional'), CELLS)


def layer(channels=2, block=(2, 2), cell='rnn', bidirectional=True, dtype=torch.float64, **more):
    """Return a layer of `UNITS` units whose biases are not zero either."""
    torch.manual_seed(1)
    made = SpatialRNN(channels, UNITS, block, cell, bidirectional, dtype=dtype, **more)
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.copy_(torch.randn_like(parameter, dtype=torch.float32) / 2)
    return made


def images(*shape, dtype=torch.float64):
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(2)).to(
        dtype
    )


@each_cell
@pytest.mark.parametrize(
    ('shape', 'block'),
    [((2, 6, 8), (2, 2)), ((3, 4, 9), (1, 3)), ((1, 6, 4), (3, 1)), ((2, 4, 6), (4, 6))],
)
def test_forward_is_the_reference(cell, bidirectional, shape, block):
    module = layer(shape[0], block, cell, bidirectional)
    x = images(3, *shape)
    weights = module.neon_weights()
    expected = reference.spatial_rnn(
        CELLS[cell, bidirectional],
        weights['vertical.W'],
        weights['horizontal.W'],
        x.numpy(),
        block,
        UNITS,
    )
    np.testing.assert_allclose(module(x).detach().numpy(), expected, atol=1e-13, rtol=0)


@each_cell
def test_gradients_are_the_finite_differences(cell, bidirectional):
    module = layer(cell=cell, bidirectional=bidirectional)
    names, values = zip(*module.named_parameters(), strict=True)

    def function(x, *parameters):
        return torch.func.functional_call(module, dict(zip(names, parameters, strict=True)), x)

    assert torch.autograd.gradcheck(function, (images(2, 2, 4, 4).requires_grad_(), *values))


@each_cell
def test_it_is_the_layer_of_the_engine(nn, cell, bidirectional):
    """With the engine's weights it gives the engine's outputs, bit for bit."""
    gated = {} if cell == 'rnn' else {'gate_activation': nn.Logistic()}
    params = dict(output_size=UNITS, init=nn.GlorotUniform(), activation=nn.Tanh(), **gated)
    model = nn.Model(
        [nn.SpatialRNN((2, 6, 8), (2, 2, 2), getattr(nn, CELLS[cell, bidirectional]), params)]
    )
    model.initialize((2, 6, 8))
    weights = {name[2:]: values for name, values in nn.get_weights(model).items()}
    module = layer(cell=cell, bidirectional=bidirectional)
    module.load_neon_weights(weights)
    for name, values in module.neon_weights().items():
        np.testing.assert_array_equal(values, weights[name])
    x = images(3, 2, 6, 8)
    assert torch.equal(module(x), model.layers(x))


def test_the_published_cell_runs_the_sweep_of_the_engine(monkeypatch):
    """As fast as the engine: the same backward pass, not one that autograd records."""
    output = layer()(images(1, 2, 4, 4))
    seen, waiting = set(), [output.grad_fn]
    while waiting:
        node = waiting.pop()
        seen.add(type(node).__name__)
        waiting += [other for other, _ in node.next_functions if other is not None]
    assert elman._ElmanSweep.__name__ + 'Backward' in seen


def test_initial_weights_follow_torchs_seed_and_glorot():
    def made():
        torch.manual_seed(5)
        return SpatialRNN(4, 50, cell='gru')

    module, again = made(), made()
    for one, other in zip(module.parameters(), again.parameters(), strict=True):
        assert torch.equal(one, other)
    for network, features in ((module.vertical, 16), (module.horizontal, 100)):
        for weight, size in ((network.input, features), (network.recurrent, 50)):
            bound = (6 / (50 + size)) ** 0.5
            assert 0.98 * bound < weight.abs().max() <= bound
            assert weight.shape == (2, 150, size)
        assert not network.bias.any()


@each_cell
@pytest.mark.parametrize('dtype', [torch.float32, torch.bfloat16, torch.float16])
def test_other_types(cell, bidirectional, dtype):
    module = layer(cell=cell, bidirectional=bidirectional)
    expected = module(images(2, 2, 4, 4))
    y = copy.deepcopy(module).to(dtype)(images(2, 2, 4, 4, dtype=dtype))
    assert y.dtype == dtype
    torch.testing.assert_close(
        y.double(), expected, atol=8 * torch.finfo(dtype).eps, rtol=8 * torch.finfo(dtype).eps
    )
    y.float().sum().backward()


@each_cell
def test_autocast_multiplies_in_bfloat16_and_keeps_float32_gradients(cell, bidirectional):
    module = layer(cell=cell, bidirectional=bidirectional, dtype=torch.float32)
    x = images(2, 2, 4, 4, dtype=torch.float32)
    with torch.autocast('cpu', torch.bfloat16):
        y = module(x)
    assert y.dtype == torch.bfloat16
    torch.testing.assert_close(y.float(), module(x), atol=0.05, rtol=0)
    y.float().square().sum().backward()
    rounded = [parameter.grad.clone() for parameter in module.parameters()]
    module.zero_grad()
    module(x).square().sum().backward()
    for gradient, parameter in zip(rounded, module.parameters(), strict=True):
        assert gradient.dtype == torch.float32
        scale = float(parameter.grad.abs().max())
        torch.testing.assert_close(gradient, parameter.grad, atol=0.05 * scale, rtol=0)


@each_cell
def test_compile_in_one_graph(cell, bidirectional):
    module = layer(cell=cell, bidirectional=bidirectional)
    x = images(2, 2, 4, 4)
    compiled = torch.compile(module, fullgraph=True, backend='aot_eager')
    torch.testing.assert_close(compiled(x), module(x), atol=1e-13, rtol=0)
    compiled(x).square().sum().backward()
    found = [parameter.grad.clone() for parameter in module.parameters()]
    module.zero_grad()
    module(x).square().sum().backward()
    for gradient, parameter in zip(found, module.parameters(), strict=True):
        torch.testing.assert_close(gradient, parameter.grad, atol=1e-12, rtol=0)


@each_cell
def test_exported_programs_take_any_batch(cell, bidirectional, tmp_path):
    module = layer(cell=cell, bidirectional=bidirectional, padding=True)
    x = images(2, 2, 5, 4)
    exported = torch.export.export(module, (x,), dynamic_shapes=({0: torch.export.Dim('n')},))
    torch.export.save(exported, tmp_path / 'layer.pt2')
    loaded = torch.export.load(tmp_path / 'layer.pt2').module()
    more = images(5, 2, 5, 4)
    torch.testing.assert_close(loaded(more), module(more), atol=1e-13, rtol=0)


def test_torchscript(tmp_path):
    """The older way; PyTorch itself calls it deprecated."""
    module = layer()
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')
        torch.jit.save(torch.jit.trace(module, images(2, 2, 4, 4)), tmp_path / 'layer.pt')
        loaded = torch.jit.load(tmp_path / 'layer.pt')
    x = images(3, 2, 4, 4)
    torch.testing.assert_close(loaded(x), module(x), atol=1e-13, rtol=0)


def test_state_dict_deepcopy_and_pickle():
    module = layer(cell='lstm')
    x = images(2, 2, 4, 4)
    expected = module(x).detach()
    assert list(module.state_dict()) == [
        '{}.{}'.format(network, name)
        for network in ('vertical', 'horizontal')
        for name in ('input', 'recurrent', 'bias')
    ]
    other = SpatialRNN(2, UNITS, cell='lstm', dtype=torch.float64)
    other.load_state_dict(module.state_dict())
    copied = copy.deepcopy(module)
    stream = io.BytesIO()
    torch.save(module, stream)
    stream.seek(0)
    unpickled = torch.load(stream, weights_only=False)
    with torch.no_grad():
        module.vertical.input.zero_()
    for same in (other, copied, unpickled):
        assert torch.equal(same(x), expected)
    assert not torch.equal(module(x), expected)


def test_on_the_meta_device_and_moved():
    module = SpatialRNN(2, UNITS, device='meta')
    assert {parameter.device.type for parameter in module.parameters()} == {'meta'}
    assert module(torch.empty(4, 2, 6, 8, device='meta')).shape == (4, 2 * UNITS, 3, 4)
    module = module.to_empty(device='cpu')
    module.reset_parameters()
    assert module(images(4, 2, 6, 8, dtype=torch.float32)).isfinite().all()


def test_it_learns_in_a_network_of_pytorch():
    """Whether the bright column lies left of the dark one, which takes the whole row to see."""
    torch.manual_seed(0)
    network = torch.nn.Sequential(
        SpatialRNN(1, 8, block=(2, 2)),
        torch.nn.BatchNorm2d(16),
        SpatialRNN(16, 8, block=(1, 2), cell='gru'),
        torch.nn.AdaptiveAvgPool2d(1),
        torch.nn.Flatten(),
        torch.nn.Linear(16, 2),
    )
    generator = torch.Generator().manual_seed(3)
    x = 0.1 * torch.randn(64, 1, 4, 8, generator=generator)
    labels = torch.arange(64) % 2
    for index, label in enumerate(labels):
        left, right = sorted(torch.randperm(8, generator=generator)[:2].tolist())
        x[index, :, :, left] += 1 - 2 * label
        x[index, :, :, right] -= 1 - 2 * label
    optimizer = torch.optim.Adam(network.parameters(), 0.01)
    for _ in range(60):
        optimizer.zero_grad()
        loss = torch.nn.functional.cross_entropy(network(x), labels)
        loss.backward()
        optimizer.step()
    assert float(loss.detach()) < 0.1


@pytest.mark.parametrize('format', [torch.contiguous_format, torch.channels_last])
def test_the_memory_format_stays(format):
    y = layer()(images(2, 2, 4, 8).contiguous(memory_format=format))
    assert y.is_contiguous(memory_format=format)


def test_second_derivatives_are_refused():
    """The backward pass is written out once; a silent wrong gradient would be worse."""
    x = images(1, 2, 4, 4).requires_grad_()
    (gradient,) = torch.autograd.grad(layer()(x).square().sum(), x, create_graph=True)
    with pytest.raises(RuntimeError, match='once_differentiable'):
        gradient.sum().backward()


def test_an_empty_batch():
    y = layer()(images(0, 2, 4, 8))
    assert y.shape == (0, 2 * UNITS, 2, 4)


def test_maps_of_other_sizes_go_through_the_same_layer():
    module = layer()
    assert module(images(1, 2, 4, 8)).shape == (1, 2 * UNITS, 2, 4)
    assert module(images(1, 2, 6, 2)).shape == (1, 2 * UNITS, 3, 1)


@pytest.mark.parametrize('shape', [(5, 8), (4, 7), (1, 1), (5, 7)])
def test_padding_fills_up_with_zeros_below_and_right(shape):
    module = layer(padding=True)
    x = images(2, 2, *shape)
    height, width = (size + size % 2 for size in shape)
    filled = torch.zeros(2, 2, height, width, dtype=x.dtype)
    filled[:, :, : shape[0], : shape[1]] = x
    assert torch.equal(module(x), module(filled))


@pytest.mark.parametrize(
    ('arguments', 'words'),
    [
        ({'channels': 0}, 'channels is 0'),
        ({'hidden': 2.5}, r'hidden is 2\.5'),
        ({'block': (2, 0)}, 'block is 0'),
        ({'block': 2}, r'block is 2; it has to be \(rows, columns\)'),
        ({'cell': 'elman'}, "no cell 'elman'.*rnn, lstm, gru"),
    ],
)
def test_what_cannot_be_made(arguments, words):
    with pytest.raises(UsageError, match=words):
        SpatialRNN(**{'channels': 2, 'hidden': 3, **arguments})


@pytest.mark.parametrize(
    ('shape', 'words'),
    [
        ((1, 2, 5, 8), r'blocks of \(2, 2\) do not divide the map of \(5, 8\).*padding=True'),
        ((1, 3, 4, 8), r'\(1, 3, 4, 8\).*\(batch, 2, height, width\)'),
        ((2, 4, 8), r'\(2, 4, 8\).*\(batch, 2, height, width\)'),
    ],
)
def test_maps_that_do_not_fit(shape, words):
    with pytest.raises(UsageError, match=words):
        layer()(images(*shape))


def test_weights_that_do_not_fit():
    module = layer()
    weights = module.neon_weights()
    with pytest.raises(UsageError, match=r'no horizontal\.W among the weights vertical\.W'):
        module.load_neon_weights({'vertical.W': weights['vertical.W']})
    weights['vertical.W'] = weights['vertical.W'][1:]
    with pytest.raises(UsageError, match=r'vertical\.W has the shape \(24, 3\) here and \(23, 3\)'):
        module.load_neon_weights(weights)


def test_it_describes_itself():
    text = repr(torch.nn.Sequential(SpatialRNN(64, 128, (2, 4), 'gru', padding=True)))
    assert "SpatialRNN(64, 128, block=(2, 4), cell='gru', bidirectional=True, padding=True)" in text


def test_neon_rnn_imports_torch_only_for_it():
    program = (
        'import sys, neon_rnn; assert "torch" not in sys.modules; '
        'from neon_rnn import SpatialRNN; assert "torch" in sys.modules'
    )
    subprocess.run([sys.executable, '-c', program], check=True)
    with pytest.raises(AttributeError, match="'neon_rnn' has no attribute 'Spatial'"):
        _ = neon_rnn.Spatial


@pytest.mark.skipif(not torch.cuda.is_available(), reason='needs an NVIDIA GPU')
@each_cell
def test_on_a_gpu(cell, bidirectional):
    module = layer(cell=cell, bidirectional=bidirectional)
    x = images(2, 2, 6, 8)
    moved = copy.deepcopy(module).cuda()
    torch.testing.assert_close(moved(x.cuda()).cpu(), module(x), atol=1e-12, rtol=0)
    moved = moved.float()
    with torch.autocast('cuda', torch.float16):
        y = moved(x.cuda().float())
    assert y.dtype == torch.float16
    y.float().sum().backward()
