"""A training step as one CUDA graph: recorded once, then replayed without any work in Python."""

from __future__ import annotations

from collections.abc import Callable

import torch

from neon_rnn.engines.torch import backend, distributed
from neon_rnn.engines.torch.layers.feedforward import Dropout

Step = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]

#: Steps that run as usual before one is recorded: libraries choose their kernels and take their memory in them.
WARM_UP = 3


def recordable(model) -> bool:
    """Whether a step runs on a GPU, and always the same kernels on the same memory.

    Not with dropout, whose masks are drawn on the host, and not with several ranks.
    """
    if backend.active().device.type != 'cuda' or distributed.ranks() > 1:
        return False
    return not any(isinstance(module, Dropout) for module in model.layers.modules())


class StepGraph:
    """Runs a training step, from `WARM_UP` steps on as a graph.

    A recorded graph holds the learning rate and the addresses of weights, velocities and images. The weights stay where
    they are as long as the model lives; when one of the others changes, the step is recorded anew.
    """

    def __init__(self) -> None:
        self.seen = 0
        self.key: tuple | None = None
        self.stream = torch.cuda.Stream()

    def __call__(
        self, step: Step, inputs: torch.Tensor, labels: torch.Tensor, key: tuple
    ) -> torch.Tensor:
        """One step.

        Parameters
        ----------
        step : callable
            (inputs, labels) on the device -> the cost, a scalar on the device.
        inputs, labels : torch.Tensor
        key : tuple
            What is fixed in a recorded step, beside the shape of `inputs`.

        Returns
        -------
        torch.Tensor
            The cost, which the next step leaves alone.
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
        """Record the step on buffers of its own; recording computes nothing."""
        self.inputs, self.labels = inputs.clone(), labels.clone()
        self.graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(self.graph):
            self.cost = step(self.inputs, self.labels)
