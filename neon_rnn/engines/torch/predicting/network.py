"""A model made ready to predict: its layers folded into steps, run by threads."""

from __future__ import annotations

import math
import threading
import weakref

import numpy
import torch

from neon_rnn.engines.torch import backend
from neon_rnn.engines.torch.fast.fusion import plan
from neon_rnn.engines.torch.layers.containers import Sequential
from neon_rnn.engines.torch.model import Model
from neon_rnn.engines.torch.ops.matmul import multiplies_by_onednn
from neon_rnn.engines.torch.predicting import threads
from neon_rnn.engines.torch.predicting.folding import Folding
from neon_rnn.engines.torch.predicting.steps import run

#: Bytes of the largest map of a piece, in float32, and the most images of a piece.
PIECE, MOST = 16 * 2**20, 64


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
        largest = 4 * max(math.prod(shape) for shape in [self.shape, *shapes])
        self.piece = max(1, min(MOST, PIECE // largest))
        with torch.inference_mode(), torch.autocast('cpu', enabled=False):
            self.steps = Folding(list(model.layers), dtype, self.piece, pixels=True).steps

    def __call__(self, inputs: numpy.ndarray, probabilities: torch.Tensor) -> None:
        """Compute the probabilities of images, uint8 (n, C*H*W), into (n, classes).

        A single image is spread over all threads of PyTorch; more are computed in pieces, each by
        one thread.
        """
        pixels = torch.from_numpy(inputs).reshape(-1, *self.shape)
        count = torch.get_num_threads()
        size = min(self.piece, -(-len(pixels) // count))
        pieces = zip(pixels.split(size), probabilities.split(size), strict=True)
        tasks = [
            lambda images=images, out=out: self._compute(images, out) for images, out in pieces
        ]
        if len(tasks) == 1:
            tasks[0]()
        else:
            threads.shared(count).run(tasks)

    def _compute(self, images: torch.Tensor, out: torch.Tensor) -> None:
        enabled = self.dtype == torch.bfloat16
        with torch.inference_mode(), torch.autocast('cpu', torch.bfloat16, enabled=enabled):
            out.copy_(run(self.steps, images).flatten(1))


class _Ready:
    """The predictor of a model, and the state of the model that it was made of."""

    def __init__(self, model: Model, dtype: torch.dtype, state: tuple) -> None:
        self.state, self.predictor = state, Predictor(model, dtype)


_ready: weakref.WeakKeyDictionary[Model, _Ready] = weakref.WeakKeyDictionary()
_lock = threading.Lock()


def predictor(model: Model) -> Predictor | None:
    """Return a model's predictor, made anew if weights changed; None if the layers have to run.

    They have to on other devices than the processor, in float64, on a machine without oneDNN, where
    somebody has replaced the steps of a container, and where hooks watch the layers.
    """
    active = backend.active()
    dtype = torch.bfloat16 if active.autocast else active.dtype
    if active.device.type != 'cpu' or not multiplies_by_onednn(dtype):
        return None
    if len(model.input_shape) != 3 or _are_watched(model) or not _as_planned(model):
        return None
    tensors = [*model.layers.parameters(), *model.layers.buffers()]
    # PyTorch counts the changes of each tensor in its `_version`.
    state = (dtype, *((tensor.data_ptr(), tensor._version) for tensor in tensors))
    with _lock:
        ready = _ready.get(model)
        if ready is None or ready.state != state:
            ready = _ready[model] = _Ready(model, dtype, state)
        return ready.predictor


def _are_watched(model: Model) -> bool:
    """Tell whether a layer has hooks of PyTorch, which steps would not call."""
    return any(
        module._forward_hooks or module._forward_pre_hooks for module in model.layers.modules()
    )


def _as_planned(model: Model) -> bool:
    """Tell whether every container runs the steps that `fast.fusion` plans for it."""
    return all(
        [type(step) for step in module.steps] == [type(step) for step in plan(list(module))]
        for module in model.layers.modules()
        if isinstance(module, Sequential)
    )
