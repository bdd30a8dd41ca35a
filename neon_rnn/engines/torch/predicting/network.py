"""A model made ready to predict: its layers folded into steps, run by threads."""

from __future__ import annotations

import functools
import math
import threading
import weakref

import numpy
import torch

from neon_rnn.engines.torch import backend
from neon_rnn.engines.torch.fast.fusion import plan
from neon_rnn.engines.torch.layers.containers import Sequential
from neon_rnn.engines.torch.model import Model
from neon_rnn.engines.torch.ops import threads
from neon_rnn.engines.torch.ops.matmul import multiplies_bfloat16, multiplies_by_onednn
from neon_rnn.engines.torch.predicting.folding import Folding
from neon_rnn.engines.torch.predicting.steps import every_step, run

#: Bytes of the largest map of a piece, and the most images of a piece.
PIECE, MOST = 32 * 2**20, 64


class Predictor:
    """A model with its weights of now, folded.

    Parameters
    ----------
    model : Model
    dtype : torch.dtype
        float32 or bfloat16.
    """

    def __init__(self, model: Model, dtype: torch.dtype) -> None:
        self.shape, self.dtype = model.input_shape, dtype
        shapes = [getattr(module, 'out_shape', ()) for module in model.layers.modules()]
        largest = dtype.itemsize * max(math.prod(shape) for shape in [self.shape, *shapes])
        self.piece = max(1, min(MOST, PIECE // largest))
        with torch.inference_mode(), torch.autocast('cpu', enabled=False):
            self.steps = Folding(list(model.layers), dtype, self.piece, pixels=True).steps
        # Steps have their types; a layer that runs as it is leaves them to autocast.
        layers = any(isinstance(step, torch.nn.Module) for step in every_step(self.steps))
        self.autocast = layers and dtype == torch.bfloat16

    def __call__(self, inputs: numpy.ndarray, probabilities: torch.Tensor) -> None:
        """Compute the probabilities of images, uint8 (n, C*H*W), into (n, classes).

        A single image is spread over all threads of PyTorch; more are computed in pieces, each by
        one thread.
        """
        pixels = torch.from_numpy(inputs).reshape(-1, *self.shape)
        count = torch.get_num_threads()
        size = min(self.piece, -(-len(pixels) // count))
        if len(pixels) <= size:
            self._compute(pixels, probabilities)
            return
        pieces = zip(pixels.split(size), probabilities.split(size), strict=True)
        threads.shared(count).run(
            [functools.partial(self._compute, images, out) for images, out in pieces]
        )

    def _compute(self, images: torch.Tensor, out: torch.Tensor) -> None:
        with torch.inference_mode():
            if self.autocast:
                with torch.autocast('cpu', torch.bfloat16):
                    out.copy_(run(self.steps, images).flatten(1))
            else:
                out.copy_(run(self.steps, images).flatten(1))


class _Ready:
    """The predictor of a model, and the state of the model that it was made of."""

    def __init__(self, model: Model, dtype: torch.dtype) -> None:
        self.dtype = dtype
        self.containers = [
            (module, module.steps)
            for module in model.layers.modules()
            if isinstance(module, Sequential)
        ]
        self.modules = list(model.layers.modules())
        self.tensors = [*model.layers.parameters(), *model.layers.buffers()]
        self.versions = self._versions()
        self.predictor = Predictor(model, dtype) if self._as_planned() else None

    def _versions(self) -> list[int]:
        """Return PyTorch's count of the changes of each tensor."""
        return [tensor._version for tensor in self.tensors]

    def _as_planned(self) -> bool:
        """Tell whether every container runs the steps that `fast.fusion` plans for it."""
        return all(
            [type(step) for step in steps] == [type(step) for step in plan(list(module))]
            for module, steps in self.containers
        )

    def watched(self) -> bool:
        """Tell whether a layer has a hook, or another `forward`: then the layers have to run."""
        return any(
            module._forward_pre_hooks or module._forward_hooks or 'forward' in vars(module)
            for module in self.modules
        )

    def holds(self, dtype: torch.dtype) -> bool:
        """Tell whether the model is as it was, and this is the type to compute in."""
        return (
            self.dtype == dtype
            and all(module.steps is steps for module, steps in self.containers)
            and self.versions == self._versions()
        )


_ready: weakref.WeakKeyDictionary[Model, _Ready] = weakref.WeakKeyDictionary()
_lock = threading.Lock()


def predictor(model: Model) -> Predictor | None:
    """Return a model's predictor, made anew if weights changed; None if the layers have to run.

    They have to on other devices than the processor, in float64, on a machine without oneDNN, and
    where somebody watches a layer or has replaced the steps of a container.

    On a processor without bfloat16 it computes in float32 what is asked for in bfloat16: in less
    time, and more exactly.
    """
    active = backend.active()
    rounds = active.autocast and multiplies_bfloat16(active.device)
    dtype = torch.bfloat16 if rounds else active.dtype
    if active.device.type != 'cpu' or not multiplies_by_onednn(dtype):
        return None
    if len(model.input_shape) != 3:
        return None
    with _lock:
        ready = _ready.get(model)
        if ready is None or not ready.holds(dtype):
            ready = _ready[model] = _Ready(model, dtype)
        return None if ready.watched() else ready.predictor
