"""A Python file that builds the network from PyTorch alone, and its state dict.

The file has a line for each layer, and only those helpers that its layers need.
"""

from __future__ import annotations

import re
from typing import Any

import torch

from neon_rnn.engines.torch.layers.base import Layer
from neon_rnn.engines.torch.layers.containers import MergeSum, Sequential, SkipNode
from neon_rnn.engines.torch.layers.convolution import Convolution, Pooling
from neon_rnn.engines.torch.layers.depthwise import (
    ClippedRectlin,
    DepthwiseConvolution,
    SamePadding,
)
from neon_rnn.engines.torch.layers.feedforward import (
    Activation,
    BatchNorm,
    Bias,
    Dropout,
    Linear,
)
from neon_rnn.engines.torch.layers.transforms import (
    Identity,
    Logistic,
    Normalizer,
    Rectlin,
    Softmax,
    Tanh,
)
from neon_rnn.engines.torch.recurrent.elman import BiRNN
from neon_rnn.engines.torch.spatial_rnn import SpatialRNN
from neon_rnn.support.errors import UsageError

State = dict[str, torch.Tensor]

_HELPERS = {
    'Scale': '''class Scale(nn.Module):
    """Multiplies by a fixed number."""

    def __init__(self, factor):
        super().__init__()
        self.factor = factor

    def forward(self, x):
        return x * self.factor
''',
    'Bias': '''class Bias(nn.Module):
    """Adds one number to each feature map."""

    def __init__(self, maps):
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(maps))

    def forward(self, x):
        return x + self.bias.reshape((1, -1) + (1,) * (x.dim() - 2))
''',
    'Sum': '''class Sum(nn.ModuleList):
    """The sum of several pathways over the same input."""

    def forward(self, x):
        return sum(pathway(x) for pathway in self)
''',
    'SpatialRNN': '''class SpatialRNN(nn.Module):
    """Sweeps each column of blocks of a map, then each row of the result."""

    def __init__(self, channels, hidden, rows, columns):
        super().__init__()
        self.block = rows, columns
        self.vertical = nn.RNN(rows * columns * channels, hidden, bidirectional=True)
        self.horizontal = nn.RNN(2 * hidden, hidden, bidirectional=True)

    def forward(self, x):
        n, c, height, width = x.shape
        rows, columns = self.block
        down, across = height // rows, width // columns
        x = x.reshape(n, c, down, rows, across, columns).permute(2, 0, 4, 3, 5, 1)
        x, _ = self.vertical(x.reshape(down, n * across, -1))
        x = x.reshape(down, n, across, -1).permute(2, 0, 1, 3)
        x, _ = self.horizontal(x.reshape(across, down * n, -1))
        return x.reshape(across, down, n, -1).permute(2, 3, 1, 0)
''',
}

_FILE = '''"""The network of the run {run_id}, in PyTorch alone. Written by neon_rnn.

    model = load('{weights}')
    probabilities = model(pixels)  # uint8 (n, {shape}), RGB -> (n, {classes}): {names}

How photographs become pixels: {preprocessing}.
"""

import torch
from torch import nn

{helpers}

def build():
    """Return the network with random weights."""
    return nn.Sequential(
{layers}
    )


class Model(nn.Module):
    """Pixels in, probabilities out."""

    def __init__(self):
        super().__init__()
        self.layers = build()

    def forward(self, pixels):
        return self.layers(pixels.float()).flatten(1)


def load(path):
    """Return the network with the weights of a file, ready to predict."""
    model = Model()
    model.layers.load_state_dict(torch.load(path, weights_only=True))
    return model.eval()
'''


def write_model(layers: Sequential, about: dict[str, Any]) -> tuple[str, State]:
    """Return the text of the model file, and the state dict that it loads.

    Parameters
    ----------
    layers : Sequential
        The layers of an initialised model.
    about : dict
        The fields of the file's docstring: run_id, weights, shape, classes, names, preprocessing.

    Raises
    ------
    UsageError
        A layer has no counterpart in the file: cells other than the published one.
    """
    state: State = {}
    lines: list[str] = []
    for position, layer in enumerate(layers):
        lines += _layer(layer, str(position), state, 8)
    text = '\n'.join(lines)
    used = set(re.findall(r'(?<![.\w])(\w+)\(', text))
    helpers = '\n\n'.join(code for name, code in _HELPERS.items() if name in used)
    return _FILE.format(helpers=helpers and '\n' + helpers, layers=text, **about), state


def _layer(layer: Layer, name: str, state: State, indent: int) -> list[str]:
    """Return the lines of a layer; put its tensors into the state dict under `name`."""
    space = ' ' * indent
    if isinstance(layer, (Sequential, MergeSum)):
        lines = [space + ('nn.Sequential(' if isinstance(layer, Sequential) else 'Sum([')]
        for position, inner in enumerate(layer):
            lines += _layer(inner, f'{name}.{position}', state, indent + 4)
        return [*lines, space + ('),' if isinstance(layer, Sequential) else ']),')]
    text, tensors = _simple(layer)
    state.update(
        {f'{name}.{key}': value.detach().clone().contiguous() for key, value in tensors.items()}
    )
    return [f'{space}{text},']


def _simple(layer: Layer) -> tuple[str, State]:
    """Return the expression that makes a layer, and its tensors."""
    if isinstance(layer, Convolution):
        maps, channels, rows, columns = layer.weight.shape
        sizes = f'({rows}, {columns}), {layer.strides}, {layer.padding}, {layer.dilation}'
        tensors: State = {'weight': layer.weight}
        if layer.bias is None:
            return f'nn.Conv2d({channels}, {maps}, {sizes}, bias=False)', tensors
        return f'nn.Conv2d({channels}, {maps}, {sizes})', {**tensors, 'bias': layer.bias}
    if isinstance(layer, DepthwiseConvolution):
        maps, _, rows, columns = layer.weight.shape
        sizes = f'({rows}, {columns}), {layer.strides}, {layer.padding}'
        text = f'nn.Conv2d({maps}, {maps}, {sizes}, groups={maps}, bias=False)'
        return text, {'weight': layer.weight}
    if isinstance(layer, BatchNorm):
        kind = 'BatchNorm2d' if len(layer.in_shape) == 3 else 'BatchNorm1d'
        return f'nn.{kind}({len(layer.gamma)}, eps={layer.eps})', {
            'weight': layer.gamma,
            'bias': layer.beta,
            'running_mean': layer.gmean,
            'running_var': layer.gvar,
            'num_batches_tracked': torch.tensor(0),
        }
    if isinstance(layer, Linear):
        outputs, inputs = layer.weight.shape
        text = f'nn.Sequential(nn.Flatten(), nn.Linear({inputs}, {outputs}, bias=False))'
        return text, {'1.weight': layer.weight}
    if isinstance(layer, Bias):
        return f'Bias({len(layer.bias)})', {'bias': layer.bias}
    if isinstance(layer, SpatialRNN) and type(layer.vertical) is type(layer.horizontal) is BiRNN:
        return _spatial_rnn(layer)
    return _without_weights(layer), {}


def _spatial_rnn(layer: SpatialRNN) -> tuple[str, State]:
    tensors: State = {}
    for name in ('vertical', 'horizontal'):
        network = getattr(layer, name)
        if not isinstance(network.activation, Tanh):
            raise UsageError(
                'the torch format has SpatialRNN with tanh only; --format onnx has all.'
            )
        for direction, ending in enumerate(('', '_reverse')):
            tensors.update(
                {
                    f'{name}.weight_ih_l0{ending}': network.input[direction],
                    f'{name}.weight_hh_l0{ending}': network.recurrent[direction],
                    f'{name}.bias_ih_l0{ending}': network.bias[direction],
                    f'{name}.bias_hh_l0{ending}': torch.zeros_like(network.bias[direction]),
                }
            )
    channels, rows, columns = layer.block_shape
    return f'SpatialRNN({channels}, {layer.vertical.units}, {rows}, {columns})', tensors


def _without_weights(layer: Layer) -> str:
    """Return the expression that makes a layer without weights."""
    if isinstance(layer, Pooling):
        if layer.op == 'max':
            return f'nn.MaxPool2d({layer.window}, {layer.strides}, {layer.padding})'
        sizes = f'{layer.window}, {layer.strides}, {layer.padding}'
        return f'nn.AvgPool2d({sizes}, count_include_pad=False)'
    if isinstance(layer, SkipNode):
        return 'nn.Identity()'
    if isinstance(layer, Dropout):
        return f'Scale({layer.keep})'
    if isinstance(layer, SamePadding):
        return f'nn.ZeroPad2d({tuple(layer.zeros)})'
    if isinstance(layer, Activation):
        transform = layer.transform
        if isinstance(transform, Normalizer):
            return f'Scale(1 / {transform.divisor})'
        if isinstance(transform, Rectlin):
            return f'nn.LeakyReLU({transform.slope})' if transform.slope else 'nn.ReLU()'
        if isinstance(transform, ClippedRectlin):
            return f'nn.Hardtanh(0.0, {float(transform.ceiling)})'
        for kind, text in (
            (Softmax, 'nn.Softmax(dim=1)'),
            (Tanh, 'nn.Tanh()'),
            (Logistic, 'nn.Sigmoid()'),
            (Identity, 'nn.Identity()'),
        ):
            if isinstance(transform, kind):
                return text
    raise UsageError(f'the torch format cannot describe the layer {layer.name}; --format onnx can.')
