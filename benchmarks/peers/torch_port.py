"""The networks as a PyTorch user would write them: plain modules, PyTorch's defaults."""

from __future__ import annotations

from typing import Any

import numpy
import torch
from torch import nn

from benchmarks.peers.torch_cells import Gru, gate_order
from benchmarks.reference import LEARNING_RATE, MOMENTUM, WEIGHT_DECAY

Arrays = dict[str, numpy.ndarray]


class Scale(nn.Module):
    """Multiplies by a fixed number."""

    def __init__(self, factor: float) -> None:
        super().__init__()
        self.factor = factor

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * self.factor


class Bias(nn.Module):
    """Adds one number to each feature."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(size))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.bias


class Sum(nn.ModuleList):
    """The sum of several pathways over the same input: a residual block."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        first, *others = self
        total = first(x)
        for pathway in others:
            total = total + pathway(x)
        return total


class SpatialRNN(nn.Module):
    """ReSeg's layer: a recurrent network over columns of blocks, then one over rows.

    Input (batch, C, H, W), output (batch, D * units, H / rows, W / columns). The sequences are time
    first, as `nn.RNN` has them by default. The features of a block come place by place.
    """

    def __init__(self, layer: dict[str, Any], features: int) -> None:
        super().__init__()
        self.block = tuple(layer['block'])
        width = layer['directions'] * layer['units']
        self.vertical = recurrent_network(layer, features, batch_first=False)
        self.horizontal = recurrent_network(layer, width, batch_first=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        batch, channels, height, width = x.shape
        rows, columns = self.block
        down, across = height // rows, width // columns
        x = x.reshape(batch, channels, down, rows, across, columns).permute(2, 0, 4, 3, 5, 1)
        x, _ = self.vertical(x.reshape(down, batch * across, rows * columns * channels))
        x = x.reshape(down, batch, across, -1).permute(2, 1, 0, 3)
        x, _ = self.horizontal(x.reshape(across, batch * down, -1))
        return x.reshape(across, batch, down, -1).permute(1, 3, 2, 0)


class ReNet(nn.Module):
    """The same as most ports of ReNet and ReSeg have it: maps to batch-first rows, swap, again.

    The blocks are cut by ``unfold``; every turn from map to rows and back is a copy.
    """

    def __init__(self, layer: dict[str, Any], features: int) -> None:
        super().__init__()
        self.block = tuple(layer['block'])
        width = layer['directions'] * layer['units']
        self.vertical = recurrent_network(layer, features, batch_first=True)
        self.horizontal = recurrent_network(layer, width, batch_first=True)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        rows, columns = self.block
        x = x.unfold(2, rows, rows).unfold(3, columns, columns)  # (n, C, down, across, r, c)
        x = x.permute(0, 2, 3, 4, 5, 1).contiguous().flatten(3)  # (n, down, across, features)
        x = self._sweep(self.vertical, x.transpose(1, 2).contiguous()).transpose(1, 2)
        x = self._sweep(self.horizontal, x.contiguous())
        return x.permute(0, 3, 1, 2).contiguous()

    @staticmethod
    def _sweep(network: nn.Module, lines: torch.Tensor) -> torch.Tensor:
        """Run a network over lines (n, lines, steps, features)."""
        batch, count, steps, features = lines.shape
        swept, _ = network(lines.view(batch * count, steps, features))
        return swept.reshape(batch, count, steps, -1)


def recurrent_network(layer: dict[str, Any], features: int, batch_first: bool) -> nn.Module:
    """Make one of the two networks of a sweep."""
    kind = {'rnn': nn.RNN, 'lstm': nn.LSTM, 'gru': Gru}[layer['cell']]
    return kind(
        features, layer['units'], batch_first=batch_first, bidirectional=layer['directions'] == 2
    )


class Builder:
    """Makes modules of a description; notes which tensor holds which array.

    Parameters
    ----------
    arrays : dict
    sweep : type
        `SpatialRNN` or `ReNet`.

    Attributes
    ----------
    tensors : dict
        Name of a trained array -> (tensor, order of its gates or None).
    """

    def __init__(self, arrays: Arrays, sweep: type[nn.Module] = SpatialRNN) -> None:
        self.arrays, self.sweep = arrays, sweep
        self.tensors: dict[str, tuple[torch.Tensor, Any]] = {}

    def sequence(self, layers: list[dict[str, Any]]) -> nn.Sequential:
        """Make layers one after another."""
        return nn.Sequential(*(getattr(self, '_' + layer['kind'])(layer) for layer in layers))

    def _fill(self, module: nn.Module, layer: dict[str, Any], *names: str) -> nn.Module:
        for name in names:
            array = f'{layer["name"]}.{name}'
            self._put(getattr(module, name), array, self.arrays[array])
        return module

    def _put(self, tensor: torch.Tensor, name: str, values: numpy.ndarray, order: Any = None):
        with torch.no_grad():
            tensor.copy_(torch.from_numpy(values if order is None else values[order]))
        self.tensors[name] = tensor, order

    def _scale(self, layer):
        return Scale(layer['factor'])

    def _relu(self, layer):
        return nn.ReLU(inplace=True)

    def _mean_pool(self, layer):
        return nn.AdaptiveAvgPool2d(1)

    def _max_pool(self, layer):
        return nn.MaxPool2d(layer['window'], layer['strides'], layer['padding'])

    def _sum(self, layer):
        return Sum(self.sequence(pathway) for pathway in layer['pathways'])

    def _bias(self, layer):
        return self._fill(Bias(len(self.arrays[layer['name'] + '.bias'])), layer, 'bias')

    def _linear(self, layer):
        outputs, inputs = self.arrays[layer['name'] + '.weight'].shape
        linear = self._fill(nn.Linear(inputs, outputs, bias=False), layer, 'weight')
        return nn.Sequential(nn.Flatten(), linear)

    def _convolution(self, layer):
        maps, channels, rows, columns = self.arrays[layer['name'] + '.weight'].shape
        sizes = (layer['strides'], layer['padding'], layer['dilation'])
        module = nn.Conv2d(channels, maps, (rows, columns), *sizes, bias=layer['bias'])
        return self._fill(module, layer, 'weight', *(['bias'] if layer['bias'] else []))

    def _norm(self, layer):
        mean = self.arrays[layer['name'] + '.mean']
        module = _Norm(len(mean), eps=layer['eps'])
        module.running_mean.copy_(torch.from_numpy(mean))
        module.running_var.copy_(torch.from_numpy(self.arrays[layer['name'] + '.variance']))
        return self._fill(module, layer, 'weight', 'bias')

    def _sweep(self, layer):
        inputs = self.arrays[layer['name'] + '.vertical.input'].shape[2]
        module = self.sweep(layer, inputs)
        for name in ('vertical', 'horizontal'):
            network, place = getattr(module, name), f'{layer["name"]}.{name}'
            order = gate_order(layer['cell'], layer['units'])
            for direction, ending in enumerate(('', '_reverse')[: layer['directions']]):
                for ours, theirs in (
                    ('input', 'weight_ih_l0'),
                    ('recurrent', 'weight_hh_l0'),
                    ('bias', 'bias_ih_l0'),
                ):
                    values = self.arrays[f'{place}.{ours}'][direction]
                    tensor = getattr(network, theirs + ending)
                    self._put(tensor, f'{place}.{ours}/{direction}', values, order)
                if hasattr(network, 'bias_hh_l0' + ending):
                    # The sum of both is neon's one bias. As a constant it takes no second step.
                    nn.init.zeros_(getattr(network, 'bias_hh_l0' + ending)).requires_grad_(False)
        return module


class _Norm(nn.BatchNorm2d):
    """Batch norm of maps or of flat features."""

    running_mean: torch.Tensor
    running_var: torch.Tensor

    def _check_input_dim(self, input: torch.Tensor) -> None:
        pass


class TorchPort:
    """A network with its optimiser, trained in the usual way.

    Parameters
    ----------
    layers : list of dict
        The description; its softmax is part of the cost here.
    arrays : dict
    input_shape : tuple of int
        (C, H, W).
    device : str
    autocast : bool
        bfloat16 by ``torch.autocast``.
    channels_last : bool
    compiled : bool
        By ``torch.compile`` with max-autotune. The first minibatches compile.
    sweep : type
    """

    def __init__(
        self,
        layers: list[dict[str, Any]],
        arrays: Arrays,
        input_shape: tuple[int, int, int],
        device: str = 'cpu',
        autocast: bool = False,
        channels_last: bool = False,
        compiled: bool = False,
        sweep: type[nn.Module] = SpatialRNN,
    ) -> None:
        self.input_shape, self.device, self.autocast = input_shape, torch.device(device), autocast
        builder = Builder(arrays, sweep)
        self.network = builder.sequence(layers[:-1]).append(nn.Flatten()).to(self.device)
        self.tensors = builder.tensors
        self.layout = torch.channels_last if channels_last else torch.contiguous_format
        self.network.to(memory_format=self.layout)  # type: ignore[call-overload]
        if compiled:
            self.network.compile(mode='max-autotune')
        self.cost = nn.CrossEntropyLoss()
        self.optimizer = torch.optim.SGD(
            [tensor for tensor in self.network.parameters() if tensor.requires_grad],
            lr=LEARNING_RATE,
            momentum=MOMENTUM,
            weight_decay=WEIGHT_DECAY,
        )

    def _logits(self, inputs: numpy.ndarray) -> torch.Tensor:
        images = torch.from_numpy(inputs).to(self.device).reshape(-1, *self.input_shape).float()
        images = images.contiguous(memory_format=self.layout)
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.autocast):
            return self.network(images)

    def train_step(self, inputs: numpy.ndarray, labels: numpy.ndarray) -> float:
        """Train on one minibatch, uint8 (batch, C*H*W) and int64 (batch,); return the cost."""
        self.network.train()
        self.optimizer.zero_grad()
        cost = self.cost(self._logits(inputs).float(), torch.from_numpy(labels).to(self.device))
        cost.backward()
        self.optimizer.step()
        return cost.item()

    @torch.no_grad()
    def predict(self, inputs: numpy.ndarray) -> numpy.ndarray:
        """Return probabilities, float32 (n, classes), of images uint8 (n, C*H*W)."""
        self.network.eval()
        return torch.softmax(self._logits(inputs).float(), dim=1).cpu().numpy()

    def parameters(self) -> Arrays:
        """Return copies of the trained arrays, by the names of the description."""
        found: dict[str, numpy.ndarray] = {}
        directions: dict[str, list[numpy.ndarray]] = {}
        for key, (tensor, order) in self.tensors.items():
            values = tensor.detach().cpu().contiguous().numpy().copy()
            if order is not None:
                values = values[numpy.argsort(order)]
            name, _, direction = key.partition('/')
            if direction:
                directions.setdefault(name, []).append(values)
            else:
                found[name] = values
        return {**found, **{name: numpy.stack(each) for name, each in directions.items()}}


def make(spec: dict[str, Any], reference: Any) -> tuple[TorchPort, dict[str, Any]]:
    """Make the port that a worker's spec asks for, and describe it."""
    if spec['threads'] is not None:
        torch.set_num_threads(spec['threads'])
    about = {'torch': torch.__version__, 'threads': torch.get_num_threads()}
    torch.backends.cudnn.allow_tf32 = False  # by default cuDNN's float32 is TensorFloat-32
    if spec.get('keep_memory'):
        # after PyTorch, whose threads then wait as it has them
        from neon_rnn.engines.torch import allocator

        about['allocator'] = allocator.keep_memory()
    side = spec['side']
    port = TorchPort(
        reference.layers,
        reference.arrays('before'),
        (3, side, side),
        'cuda' if spec['backend'] == 'gpu' else 'cpu',
        spec['precision'] == 'bf16',
        spec.get('channels_last', False),
        spec.get('compiled', False),
        ReNet if spec.get('renet') else SpatialRNN,
    )
    return port, about
