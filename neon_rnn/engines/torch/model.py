"""The model: a list of layers that learns (neon/models/model.py)."""

from __future__ import annotations

import functools

import torch

from neon_rnn.engines.torch import backend, distributed
from neon_rnn.engines.torch.cost import GeneralizedCost
from neon_rnn.engines.torch.fast.cuda_graph import StepGraph
from neon_rnn.engines.torch.fast.fusion import fuse
from neon_rnn.engines.torch.layers.base import Shape, Weight
from neon_rnn.engines.torch.layers.containers import Sequential


class Model:
    """A sequence of layers with a cost.

    Parameters
    ----------
    layers : list or Sequential

    Attributes
    ----------
    layers : Sequential
    cost : GeneralizedCost
    input_shape : tuple of int
    data_parallel : torch.nn.Module
        The layers; of several ranks, with their gradients averaged.
    graph : StepGraph or None
        The training step as a CUDA graph, once it is recorded.
    """

    def __init__(self, layers: list | Sequential, name: str = 'model') -> None:
        self.layers = layers if isinstance(layers, Sequential) else Sequential(layers)
        self.name = name
        self.cost: GeneralizedCost | None = None
        self.input_shape: Shape = ()
        self.graph: StepGraph | None = None

    def initialize(self, input_shape: Shape, cost: GeneralizedCost | None = None) -> None:
        """Fix the shapes and make the weights with the backend's random numbers.

        Groups of layers that are faster together run as one step from here on. A second call
        changes nothing.

        Parameters
        ----------
        input_shape : tuple of int
            (C, H, W) or (features,).
        cost : GeneralizedCost, optional
        """
        if not self.input_shape:
            self.input_shape = tuple(input_shape)
            self.cost = cost
            self.layers.configure(self.input_shape)
            self.layers.allocate(backend.active().rng)
            fuse(self.layers)
            self.data_parallel = distributed.data_parallel(self.layers)

    @functools.cached_property
    def weights(self) -> list[Weight]:
        """Return every parameter and running statistic, named by position."""
        return list(self.layers.weights())

    @functools.cached_property
    def parameters(self) -> list[torch.Tensor]:
        """Return the tensors that the optimiser changes."""
        return [tensor for weight in self.weights if weight.trained for tensor in weight.tensors]

    def __str__(self) -> str:
        return 'Network layers:\n{}'.format(self.layers)
