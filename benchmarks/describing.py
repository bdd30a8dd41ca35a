"""Describe a network of the torch engine for the peers, and make the reference that they must meet.

A description is a list of layers, each a dict that JSON can hold, with its ``kind``:

===========  =======================================================================================
scale        times ``factor``
norm         batch norm of each feature map: weight, bias, mean, variance (C,); ``eps``
convolution  weight (K, C, R, S), and bias (K,) if ``bias``; ``strides``, ``padding``, ``dilation``
max_pool     over ``window``, with ``strides`` and ``padding``
mean_pool    over the whole map
linear       of the flattened map (C, H, W): weight (outputs, inputs)
bias         one number for each feature map (C,)
relu         the rectifier
sum          of ``pathways``, each a list of layers, over the same input
sweep        SpatialRNN of ``block``: a network down the columns of blocks, then one along the rows;
             ``cell``, ``units``, ``directions``; for each network input (D, G*U, F), recurrent
             (D, G*U, U), bias (D, G*U); the features of a block come place by place
softmax      the end
===========  =======================================================================================

Arrays are named ``<name of the layer>.<parameter>``, as PyTorch names the engine's own tensors.
"""

from __future__ import annotations

import json
import os
from typing import Any

import numpy
import torch

from benchmarks import reference
from neon_rnn.engines.torch.layers.base import Layer
from neon_rnn.engines.torch.layers.containers import MergeSum, Sequential, SkipNode
from neon_rnn.engines.torch.layers.convolution import Convolution, Pooling
from neon_rnn.engines.torch.layers.feedforward import Activation, BatchNorm, Bias, Linear
from neon_rnn.engines.torch.layers.transforms import Normalizer, Rectlin, Softmax
from neon_rnn.engines.torch.recurrent.elman import BiRNN, Recurrent
from neon_rnn.engines.torch.recurrent.gru import GRU, BiGRU
from neon_rnn.engines.torch.recurrent.lstm import LSTM, BiLSTM
from neon_rnn.engines.torch.spatial_rnn import SpatialRNN
from neon_rnn.support.errors import NeonRnnError

Description = list[dict[str, Any]]

CELLS = {Recurrent: 'rnn', BiRNN: 'rnn', LSTM: 'lstm', BiLSTM: 'lstm', GRU: 'gru', BiGRU: 'gru'}
NETWORKS = ('vertical', 'horizontal')
#: Of the batch norm that ends a residual branch. With 1, sixteen blocks multiply the rounding of
#: bfloat16 until the step of ResNet-50 differs from that in float32 by more than its length. With
#: less than a quarter, what a branch computes is lost in the tolerances.
BRANCH_GAMMA = 0.25


def describe(layers: Sequential) -> Description:
    """Return the description of a network.

    Raises
    ------
    NeonRnnError
        The peers do not have one of its layers.
    """
    names = {id(module): name for name, module in layers.named_modules()}
    return [_describe(layer, names) for layer in layers if not isinstance(layer, SkipNode)]


def _describe(layer: Layer, names: dict[int, str]) -> dict[str, Any]:
    name = names[id(layer)]
    if isinstance(layer, MergeSum):
        pathways = [
            [_describe(inner, names) for inner in pathway if not isinstance(inner, SkipNode)]
            for pathway in layer.layers
            if isinstance(pathway, Sequential)
        ]
        return {'kind': 'sum', 'pathways': pathways}
    if isinstance(layer, Convolution):
        return {
            'kind': 'convolution',
            'name': name,
            'bias': layer.bias is not None,
            **{key: list(getattr(layer, key)) for key in ('strides', 'padding', 'dilation')},
        }
    if isinstance(layer, BatchNorm):
        return {'kind': 'norm', 'name': name, 'eps': layer.eps}
    if isinstance(layer, (Linear, Bias)):
        return {'kind': 'linear' if isinstance(layer, Linear) else 'bias', 'name': name}
    if isinstance(layer, SpatialRNN) and type(layer.vertical) in CELLS:
        return {
            'kind': 'sweep',
            'name': name,
            'cell': CELLS[type(layer.vertical)],
            'block': list(layer.block_shape[1:]),
            'units': layer.vertical.units,
            'directions': layer.vertical.directions,
        }
    return {**_without_weights(layer), 'name': name}


def _without_weights(layer: Layer) -> dict[str, Any]:
    if isinstance(layer, Pooling):
        if layer.op == 'max':
            sizes = {key: list(getattr(layer, key)) for key in ('window', 'strides', 'padding')}
            return {'kind': 'max_pool', **sizes}
        if layer.fshape == 'all':
            return {'kind': 'mean_pool'}
    if isinstance(layer, Activation):
        transform = layer.transform
        if isinstance(transform, Normalizer):
            return {'kind': 'scale', 'factor': 1 / transform.divisor}
        if isinstance(transform, Rectlin) and not transform.slope:
            return {'kind': 'relu'}
        if isinstance(transform, Softmax):
            return {'kind': 'softmax'}
    raise NeonRnnError(f'the peers have no layer like {layer.name}.')


#: The engine's names of a batch norm's arrays -> those of the description.
NORM = {'gamma': 'weight', 'beta': 'bias', 'gmean': 'mean', 'gvar': 'variance'}


def arrays(layers: Sequential) -> dict[str, numpy.ndarray]:
    """Return copies of all arrays of a network, by the names of the description."""
    found = {}
    for name, tensor in [*layers.named_parameters(), *layers.named_buffers()]:
        place, _, last = name.rpartition('.')
        key = f'{place}.{NORM.get(last, last)}'
        found[key] = numpy.ascontiguousarray(tensor.detach().cpu().numpy()).copy()
    return found


def damp_branches(layers: Sequential) -> None:
    """Multiply the last gamma of every residual branch by `BRANCH_GAMMA`.

    The branch is the longest pathway of a sum. Sums whose branch ends otherwise stay as they are.
    """
    for module in layers.modules():
        if isinstance(module, MergeSum):
            pathways = [list(each) for each in module if isinstance(each, Sequential)]
            last = max(pathways, key=len)[-1]
            if isinstance(last, BatchNorm):
                with torch.no_grad():
                    last.gamma.mul_(BRANCH_GAMMA)


def make_reference(
    folder: str, nn: Any, model: Any, inputs: numpy.ndarray, labels: numpy.ndarray, onnx: bool
) -> None:
    """Write a reference: one evaluation and one training step of the torch engine.

    The running statistics become those of the minibatch first: they start at 0, and a network in
    inference would multiply every rounding by thirty at each batch norm. For the same reason the
    branches of residual blocks are damped.

    Parameters
    ----------
    folder : str
        For the files of `reference.Reference`.
    nn : module
        The torch engine, started.
    model : Model
        Initialised, with its cost. It is changed.
    inputs, labels : numpy.ndarray
    onnx : bool
        Write the network as ONNX as well.
    """
    damp_branches(model.layers)
    norms = [module for module in model.layers.modules() if hasattr(module, 'rho')]
    kept = [module.rho for module in norms]
    for module in norms:
        module.rho = 0.0
    nn.train_step(model, inputs, labels, nn.GradientDescentMomentum(0.0, momentum_coef=0.0), 0)
    for module, rho in zip(norms, kept, strict=True):
        module.rho = rho

    def save(kind: str, values: Any) -> None:
        numpy.savez(os.path.join(folder, kind), **values)

    try:
        described = describe(model.layers)
    except NeonRnnError as error:  # only the engines can be compared then
        described = [{'kind': 'unknown', 'why': str(error)}]
    with open(os.path.join(folder, 'network.json'), 'w') as file:
        json.dump(described, file)
    for name, values in (('inputs', inputs), ('labels', labels)):
        numpy.save(os.path.join(folder, name), values)
    save('before', arrays(model.layers))
    save('neon', nn.get_weights(model))
    numpy.save(os.path.join(folder, 'probabilities'), nn.predict(model, inputs))
    if onnx:
        write_onnx(os.path.join(folder, 'network.onnx'), model)
    cost = nn.train_step(model, inputs, labels, timed_optimizer(nn), 0)
    numpy.save(os.path.join(folder, 'cost'), float(cost))
    save('after', arrays(model.layers))
    save('neon_after', nn.get_weights(model))


def timed_optimizer(nn: Any) -> Any:
    """Return the optimiser that all variants are timed with, of an engine."""
    return nn.GradientDescentMomentum(
        reference.LEARNING_RATE,
        momentum_coef=reference.MOMENTUM,
        wdecay=reference.WEIGHT_DECAY,
    )


def write_onnx(path: str, model: Any) -> None:
    """Write a model as ONNX, as `neon_rnn export` does, and leave the model as it is."""
    from neon_rnn.export import onnx_file
    from neon_rnn.export.network import Network

    steps = [(each, each.steps) for each in model.layers.modules() if isinstance(each, Sequential)]
    try:
        onnx_file.write(path, Network(model), model.input_shape, {'shape': model.input_shape})
    finally:
        for module, kept in steps:
            module.steps = kept
