"""A training step as a CUDA graph: recorded once, then replayed without any work in Python."""

from __future__ import annotations

from collections.abc import Callable

import torch

from neon_rnn.engines.torch import backend, distributed
from neon_rnn.engines.torch.layers.feedforward import Dropout

Step = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]

#: Steps that run as usual before one is recorded. In them, libraries choose their kernels and take
#: their memory.
WARM_UP = 3


def can_record(layers: torch.nn.Module) -> bool:
    """Tell whether a training step of these layers runs the same GPU kernels every time.

    It does not with dropout, whose masks are made on the host, or with several ranks.
    """
    if backend.active().device.type != 'cuda' or distributed.ranks() > 1:
        return False
    return not any(isinstance(module, Dropout) for module in layers.modules())


class StepGraph:
    """Runs a training step; after `WARM_UP` steps as a graph.

    A recorded graph holds the learning rate and the addresses of weights, velocities and images.
    The weights stay where they are as long as the model lives. When one of the others changes, the
    step is recorded again.
    """

    def __init__(self) -> None:
        self.seen = 0
        self.key: tuple | None = None
        self.stream = torch.cuda.Stream()

    def __call__(
        self, step: Step, inputs: torch.Tensor, labels: torch.Tensor, key: tuple
    ) -> torch.Tensor:
        """Run one step.

        Parameters
        ----------
        step : callable
            Takes (inputs, labels) on the device, returns the cost, a scalar on the device.
        inputs, labels : torch.Tensor
        key : tuple
            The values that are fixed in a recorded step, besides the shape of `inputs`.

        Returns
        -------
        torch.Tensor
            The cost; the next step does not change it.
        """
        if self.seen < WARM_UP:
            self.seen += 1
            self.stream.wait_stream(torch.cuda.current_stream())
            with torch.cuda.stream(self.stream):
                cost = step(inputs, labels)
            torch.cuda.current_stream().wait_stream(self.stream)
            return cost
        key = (*key, tuple(inputs.shape))
        if key != self.key:
            self._record(step, inputs, labels)
            self.key = key
        self.inputs.copy_(inputs)
        self.labels.copy_(labels)
        self.graph.replay()
        return self.cost.clone()

    def _record(self, step: Step, inputs: torch.Tensor, labels: torch.Tensor) -> None:
        """Record the step on buffers of its own. Recording computes nothing."""
        self.inputs, self.labels = inputs.clone(), labels.clone()
        self.graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(self.graph):
            self.cost = step(self.inputs, self.labels)
