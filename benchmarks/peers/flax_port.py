"""The networks as a user of JAX would write them: Flax modules, Optax, one compiled step."""

from __future__ import annotations

import os
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy
import optax

from benchmarks.peers import layouts
from benchmarks.reference import LEARNING_RATE, MOMENTUM, WEIGHT_DECAY

Arrays = dict[str, numpy.ndarray]


class Network(nn.Module):
    """Pixels uint8 (n, H, W, C) -> logits (n, classes).

    Attributes
    ----------
    layers : list of dict
        The description, without its softmax.
    sizes : dict
        Name of a layer -> its output features.
    """

    layers: Any
    sizes: Any

    @nn.compact
    def __call__(self, pixels: jax.Array, train: bool) -> jax.Array:
        x = self._sequence(self.layers, pixels.astype(jnp.float32), train)
        return x.reshape(len(x), -1)

    def _sequence(self, layers: Any, x: jax.Array, train: bool) -> jax.Array:
        for layer in layers:
            x = self._layer(layer, x, train)
        return x

    def _layer(self, layer: Any, x: jax.Array, train: bool) -> jax.Array:
        kind = layer['kind']
        if kind == 'scale':
            return x * layer['factor']
        if kind == 'relu':
            return nn.relu(x)
        if kind == 'mean_pool':
            return x.mean((1, 2))
        if kind == 'max_pool':
            return nn.max_pool(
                x, tuple(layer['window']), tuple(layer['strides']), layouts.sides(layer)
            )
        if kind == 'sum':
            return sum(self._sequence(pathway, x, train) for pathway in layer['pathways'])
        name = layouts.plain(layer['name'])
        if kind == 'norm':
            return nn.BatchNorm(
                use_running_average=not train, momentum=0.9, epsilon=layer['eps'], name=name
            )(x)
        if kind == 'bias':
            return x + self.param(name, nn.initializers.zeros, x.shape[-1:])
        if kind == 'sweep':
            return self._sweep(layer, x, name)
        size = self.sizes[layer['name']]
        if kind == 'linear':
            return nn.Dense(size['features'], use_bias=False, name=name)(x.reshape(len(x), -1))
        return nn.Conv(
            size['features'],
            tuple(size['window']),
            tuple(layer['strides']),
            layouts.sides(layer),
            kernel_dilation=tuple(layer['dilation']),
            use_bias=layer['bias'],
            name=name,
        )(x)

    def _sweep(self, layer: Any, x: jax.Array, name: str) -> jax.Array:
        """SpatialRNN: lines are (n, lines, steps, features)."""
        batch, height, width, channels = x.shape
        rows, columns = layer['block']
        x = x.reshape(batch, height // rows, rows, width // columns, columns, channels)
        x = x.transpose(0, 3, 1, 2, 4, 5).reshape(batch, width // columns, height // rows, -1)
        x = self._network(layer, name + '_vertical')(x)
        return self._network(layer, name + '_horizontal')(x.transpose(0, 2, 1, 3))

    def _network(self, layer: Any, name: str) -> nn.Module:
        cell = {'rnn': nn.SimpleCell, 'lstm': nn.OptimizedLSTMCell}[layer['cell']]
        networks = [
            nn.RNN(cell(layer['units'], name=f'{name}_{direction}'))
            for direction in range(layer['directions'])
        ]
        return nn.Bidirectional(*networks) if len(networks) == 2 else networks[0]


class FlaxPort:
    """A network with its optimiser; the minibatch's shape is compiled for.

    Parameters
    ----------
    layers : list of dict
    arrays : dict
    shape : tuple of int
        (C, H, W).
    """

    def __init__(self, layers: Any, arrays: Arrays, shape: tuple[int, int, int]) -> None:
        self.shape, self.pictures = shape, layouts.Pictures(shape)
        self.maps = layouts.flattened_maps(layers, arrays, shape)
        self.layers, self.arrays = layers, arrays
        network = Network(layers[:-1], layouts.sizes(layers, arrays))
        variables = _variables(layers, arrays, self.maps)
        self.parameters_, self.statistics = variables['params'], variables['batch_stats']
        optimizer = optax.chain(
            optax.add_decayed_weights(WEIGHT_DECAY), optax.sgd(LEARNING_RATE, MOMENTUM)
        )
        self.state = optimizer.init(self.parameters_)

        def cost(parameters, statistics, pixels, labels):
            logits, changed = network.apply(
                {'params': parameters, 'batch_stats': statistics},
                pixels,
                True,
                mutable=['batch_stats'],
            )
            costs = optax.softmax_cross_entropy_with_integer_labels(logits, labels)
            return costs.mean(), changed['batch_stats']

        def step(parameters, statistics, state, pixels, labels):
            (value, statistics), gradients = jax.value_and_grad(cost, has_aux=True)(
                parameters, statistics, pixels, labels
            )
            updates, state = optimizer.update(gradients, state, parameters)
            return optax.apply_updates(parameters, updates), statistics, state, value

        def probabilities(parameters, statistics, pixels):
            variables = {'params': parameters, 'batch_stats': statistics}
            return jax.nn.softmax(network.apply(variables, pixels, False))

        self._step = jax.jit(step, donate_argnums=(0, 1, 2))
        self._probabilities = jax.jit(probabilities)

    def train_step(self, inputs: numpy.ndarray, labels: numpy.ndarray) -> float:
        """Train on one minibatch; return the cost."""
        self.parameters_, self.statistics, self.state, cost = self._step(
            self.parameters_, self.statistics, self.state, self.pictures(inputs), labels
        )
        return float(cost)

    def predict(self, inputs: numpy.ndarray) -> numpy.ndarray:
        """Return probabilities, float32 (n, classes), of images uint8 (n, C*H*W)."""
        pixels = self.pictures(inputs)
        return numpy.asarray(self._probabilities(self.parameters_, self.statistics, pixels))

    def parameters(self) -> Arrays:
        """Return copies of the trained arrays, by the names of the description."""
        found: Arrays = {}
        for layer in layouts.walk(self.layers):
            if layer['kind'] in _READ:
                _READ[layer['kind']](layer, self.parameters_, found, self.maps)
        return {name: numpy.array(values) for name, values in found.items()}


def _variables(layers: Any, arrays: Arrays, maps: dict[str, tuple[int, ...]]) -> dict[str, Any]:
    """Return Flax's variables with the arrays of the description."""
    parameters: dict[str, Any] = {}
    statistics: dict[str, Any] = {}
    for layer in layouts.walk(layers):
        if 'name' not in layer:
            continue
        name, key = layer['name'], layouts.plain(layer['name'])
        if layer['kind'] == 'norm':
            parameters[key] = {'scale': arrays[name + '.weight'], 'bias': arrays[name + '.bias']}
            statistics[key] = {'mean': arrays[name + '.mean'], 'var': arrays[name + '.variance']}
        elif layer['kind'] == 'bias':
            parameters[key] = arrays[name + '.bias']
        elif layer['kind'] == 'linear':
            parameters[key] = {
                'kernel': layouts.channels_last_weight(arrays[name + '.weight'], maps[name]).T
            }
        elif layer['kind'] == 'convolution':
            parameters[key] = {'kernel': arrays[name + '.weight'].transpose(2, 3, 1, 0)}
            if layer['bias']:
                parameters[key]['bias'] = arrays[name + '.bias']
        elif layer['kind'] == 'sweep':
            for network in ('vertical', 'horizontal'):
                for direction in range(layer['directions']):
                    parts = [
                        arrays[f'{name}.{network}.{part}'][direction]
                        for part in ('input', 'recurrent', 'bias')
                    ]
                    parameters[f'{key}_{network}_{direction}'] = _cell(layer['cell'], *parts)
    return jax.tree.map(jnp.asarray, {'params': parameters, 'batch_stats': statistics})


#: The gates of Flax's LSTM, in neon's order: input, forget, output, modulation.
_GATES = 'ifog'


def _cell(
    cell: str, weight: numpy.ndarray, recurrent: numpy.ndarray, bias: numpy.ndarray
) -> dict[str, Any]:
    """Return the parameters of a cell of one direction."""
    if cell == 'rnn':
        return {'i': {'kernel': weight.T, 'bias': bias}, 'h': {'kernel': recurrent.T}}
    found: dict[str, Any] = {}
    parts = (numpy.split(values, 4) for values in (weight, recurrent, bias))
    for gate, each_weight, each_recurrent, each_bias in zip(_GATES, *parts, strict=True):
        found['i' + gate] = {'kernel': each_weight.T}
        found['h' + gate] = {'kernel': each_recurrent.T, 'bias': each_bias}
    return found


def _read_cell(cell: str, found: Any) -> tuple[numpy.ndarray, ...]:
    """Undo `_cell`."""
    if cell == 'rnn':
        return found['i']['kernel'].T, found['h']['kernel'].T, found['i']['bias']
    return (
        numpy.concatenate([found['i' + gate]['kernel'].T for gate in _GATES]),
        numpy.concatenate([found['h' + gate]['kernel'].T for gate in _GATES]),
        numpy.concatenate([found['h' + gate]['bias'] for gate in _GATES]),
    )


def _read_norm(layer: Any, parameters: Any, found: Arrays, maps: Any) -> None:
    held = parameters[layouts.plain(layer['name'])]
    found[layer['name'] + '.weight'], found[layer['name'] + '.bias'] = held['scale'], held['bias']


def _read_bias(layer: Any, parameters: Any, found: Arrays, maps: Any) -> None:
    found[layer['name'] + '.bias'] = parameters[layouts.plain(layer['name'])]


def _read_linear(layer: Any, parameters: Any, found: Arrays, maps: Any) -> None:
    kernel = numpy.asarray(parameters[layouts.plain(layer['name'])]['kernel'])
    found[layer['name'] + '.weight'] = layouts.channels_first_weight(kernel.T, maps[layer['name']])


def _read_convolution(layer: Any, parameters: Any, found: Arrays, maps: Any) -> None:
    held = parameters[layouts.plain(layer['name'])]
    found[layer['name'] + '.weight'] = held['kernel'].transpose(3, 2, 0, 1)
    if layer['bias']:
        found[layer['name'] + '.bias'] = held['bias']


def _read_sweep(layer: Any, parameters: Any, found: Arrays, maps: Any) -> None:
    key = layouts.plain(layer['name'])
    for network in ('vertical', 'horizontal'):
        cells = [
            _read_cell(layer['cell'], parameters[f'{key}_{network}_{direction}'])
            for direction in range(layer['directions'])
        ]
        for part, values in zip(
            ('input', 'recurrent', 'bias'), zip(*cells, strict=True), strict=True
        ):
            found[f'{layer["name"]}.{network}.{part}'] = numpy.stack(values)


_READ = {
    'norm': _read_norm,
    'bias': _read_bias,
    'linear': _read_linear,
    'convolution': _read_convolution,
    'sweep': _read_sweep,
}


def make(spec: dict[str, Any], reference: Any) -> tuple[FlaxPort, dict[str, Any]]:
    """Make the port that a worker's spec asks for, and describe it."""
    if spec['threads'] is not None and hasattr(os, 'sched_setaffinity'):
        # XLA has no other way to limit its threads, which it starts with the first computation.
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: spec['threads']])
    shape = (3, spec['side'], spec['side'])
    port = FlaxPort(reference.layers, reference.arrays('before'), shape)
    return port, {'jax': jax.__version__}
