"""The networks as a user of Keras 3 would write them, on TensorFlow: layers, compile, a step."""

from __future__ import annotations

from typing import Any

import keras
import numpy
import tensorflow

from benchmarks.peers import layouts
from benchmarks.reference import LEARNING_RATE, MOMENTUM, WEIGHT_DECAY

Arrays = dict[str, numpy.ndarray]


class MaxPool(keras.layers.Layer):
    """Max pooling with equal padding on both sides, which Keras does not have."""

    def __init__(self, layer: dict[str, Any]) -> None:
        super().__init__()
        self.sides = [(0, 0), *layouts.sides(layer), (0, 0)]
        self.window, self.steps = tuple(layer['window']), tuple(layer['strides'])

    def call(self, x):
        if any(map(sum, self.sides)):
            x = keras.ops.pad(x, self.sides, constant_values=float('-inf'))
        return keras.ops.max_pool(x, self.window, self.steps, padding='valid')


class AddBias(keras.layers.Layer):
    """Adds one number to each feature."""

    def build(self, shape):
        self.bias = self.add_weight(shape=shape[-1:], initializer='zeros', name='bias')

    def call(self, x):
        return x + self.bias


class Network:
    """Makes layers of a description and gives them its arrays.

    Attributes
    ----------
    model : keras.Model
        uint8 (n, H, W, C) -> logits (n, classes).
    """

    def __init__(self, layers: Any, arrays: Arrays, shape: tuple[int, int, int]) -> None:
        self.arrays = arrays
        self.made: dict[str, tuple[dict[str, Any], Any]] = {}
        self.sizes = layouts.sizes(layers, arrays)
        self.maps = layouts.flattened_maps(layers, arrays, shape)
        maps, height, width = shape
        pixels = keras.Input((height, width, maps), dtype='uint8')
        x = self._sequence(layers[:-1], keras.ops.cast(pixels, 'float32'))
        self.model = keras.Model(pixels, keras.layers.Flatten()(x))
        for layer, made in self.made.values():
            self._fill(layer, made)

    def parameters(self) -> Arrays:
        """Return copies of the trained arrays, by the names of the description."""
        found: Arrays = {}
        for layer, made in self.made.values():
            self._read(layer, made, found)
        return {name: numpy.array(values) for name, values in found.items()}

    def _sequence(self, layers: Any, x: Any) -> Any:
        for layer in layers:
            x = self._layer(layer, x)
        return x

    def _layer(self, layer: dict[str, Any], x: Any) -> Any:
        kind = layer['kind']
        if kind == 'scale':
            return keras.layers.Rescaling(layer['factor'])(x)
        if kind == 'relu':
            return keras.layers.ReLU()(x)
        if kind == 'mean_pool':
            return keras.layers.GlobalAveragePooling2D()(x)
        if kind == 'max_pool':
            return MaxPool(layer)(x)
        if kind == 'sum':
            return keras.layers.Add()([self._sequence(way, x) for way in layer['pathways']])
        if kind == 'sweep':
            return self._sweep(layer, x)
        if kind == 'convolution' and any(layer['padding']):
            x = keras.layers.ZeroPadding2D(tuple(layer['padding']))(x)
        if kind == 'linear':
            x = keras.layers.Flatten()(x)
        made = self.made[layer['name']] = layer, self._weighted(layer)
        return made[1](x)

    def _weighted(self, layer: dict[str, Any]) -> Any:
        if layer['kind'] == 'norm':
            return keras.layers.BatchNormalization(momentum=0.9, epsilon=layer['eps'])
        if layer['kind'] == 'bias':
            return AddBias()
        size = self.sizes[layer['name']]
        if layer['kind'] == 'linear':
            return keras.layers.Dense(size['features'], use_bias=False)
        return keras.layers.Conv2D(
            size['features'],
            tuple(size['window']),
            strides=tuple(layer['strides']),
            dilation_rate=tuple(layer['dilation']),
            use_bias=layer['bias'],
        )

    def _sweep(self, layer: dict[str, Any], x: Any) -> Any:
        """SpatialRNN; Keras takes the lines of all images as one axis."""
        _, height, width, channels = x.shape
        rows, columns = layer['block']
        down, across = height // rows, width // columns
        x = keras.ops.reshape(x, (-1, down, rows, across, columns, channels))
        x = keras.ops.transpose(x, (0, 3, 1, 2, 4, 5))
        x = keras.ops.reshape(x, (-1, down, rows * columns * channels))
        x = self._network(layer, 'vertical')(x)
        depth = layer['directions'] * layer['units']
        x = keras.ops.transpose(keras.ops.reshape(x, (-1, across, down, depth)), (0, 2, 1, 3))
        x = self._network(layer, 'horizontal')(keras.ops.reshape(x, (-1, across, depth)))
        return keras.ops.reshape(x, (-1, down, across, depth))

    def _network(self, layer: dict[str, Any], name: str) -> Any:
        kind = {'rnn': keras.layers.SimpleRNN, 'lstm': keras.layers.LSTM}[layer['cell']]
        network = kind(layer['units'], return_sequences=True)
        if layer['directions'] == 2:
            network = keras.layers.Bidirectional(network)
        place = f'{layer["name"]}.{name}'
        self.made[place] = dict(layer, name=place), network
        return network

    def _fill(self, layer: dict[str, Any], made: Any) -> None:
        """Give a layer its arrays."""
        name, arrays = layer['name'], self.arrays
        if layer['kind'] == 'norm':
            keys = ('weight', 'bias', 'mean', 'variance')
            made.set_weights([arrays[f'{name}.{key}'] for key in keys])
        elif layer['kind'] == 'bias':
            made.set_weights([arrays[name + '.bias']])
        elif layer['kind'] == 'linear':
            weight = layouts.channels_last_weight(arrays[name + '.weight'], self.maps[name])
            made.set_weights([weight.T])
        elif layer['kind'] == 'convolution':
            kernel = arrays[name + '.weight'].transpose(2, 3, 1, 0)
            made.set_weights([kernel, *([arrays[name + '.bias']] if layer['bias'] else [])])
        else:
            order = _gates(layer)
            made.set_weights(
                [
                    arrays[f'{name}.{part}'][direction][order].T
                    for direction in range(layer['directions'])
                    for part in ('input', 'recurrent', 'bias')
                ]
            )

    def _read(self, layer: dict[str, Any], made: Any, found: Arrays) -> None:
        """Undo `_fill`."""
        name, held = layer['name'], made.get_weights()
        if layer['kind'] == 'norm':
            found[name + '.weight'], found[name + '.bias'] = held[:2]
        elif layer['kind'] == 'bias':
            found[name + '.bias'] = held[0]
        elif layer['kind'] == 'linear':
            found[name + '.weight'] = layouts.channels_first_weight(held[0].T, self.maps[name])
        elif layer['kind'] == 'convolution':
            found[name + '.weight'] = held[0].transpose(3, 2, 0, 1)
            if layer['bias']:
                found[name + '.bias'] = held[1]
        else:
            back = numpy.argsort(_gates(layer))
            for place, part in enumerate(('input', 'recurrent', 'bias')):
                found[f'{name}.{part}'] = numpy.stack([each.T[back] for each in held[place::3]])


def _gates(layer: dict[str, Any]) -> numpy.ndarray:
    """Return the rows of neon's gates in Keras's order: input, forget, modulation, output."""
    units = layer['units']
    order = [0, 1, 3, 2] if layer['cell'] == 'lstm' else [0]
    return numpy.arange(len(order) * units).reshape(-1, units)[order].reshape(-1)


class KerasPort:
    """A network, compiled with its optimiser as Keras does it by default."""

    def __init__(self, layers: Any, arrays: Arrays, shape: tuple[int, int, int]) -> None:
        self.network = Network(layers, arrays, shape)
        self.parameters = self.network.parameters
        self.pictures = layouts.Pictures(shape)
        self.network.model.compile(
            optimizer=keras.optimizers.SGD(LEARNING_RATE, MOMENTUM, weight_decay=WEIGHT_DECAY),
            loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        )

    def train_step(self, inputs: numpy.ndarray, labels: numpy.ndarray) -> float:
        """Train on one minibatch; return the cost."""
        return float(self.network.model.train_on_batch(self.pictures(inputs), labels))

    def predict(self, inputs: numpy.ndarray) -> numpy.ndarray:
        """Return probabilities, float32 (n, classes), of images uint8 (n, C*H*W)."""
        logits = self.network.model.predict_on_batch(self.pictures(inputs))
        return numpy.asarray(keras.ops.softmax(logits))


def make(spec: dict[str, Any], reference: Any) -> tuple[KerasPort, dict[str, Any]]:
    """Make the port that a worker's spec asks for, and describe it."""
    if spec['threads'] is not None:
        tensorflow.config.threading.set_intra_op_parallelism_threads(spec['threads'])
    shape = (3, spec['side'], spec['side'])
    port = KerasPort(reference.layers, reference.arrays('before'), shape)
    return port, {'keras': keras.__version__, 'tensorflow': tensorflow.__version__}
