"""Impose close decisions of another engine: which side of 0 a rectifier takes, which value a
pooling.

For the strict comparison of `neon_rnn.verification.decisions` alone. The layers do not change; the
steps that the model runs are replaced by ones that look at a `Board`.
"""

from __future__ import annotations

from typing import Any

import numpy
import torch
from torch.nn import functional

from neon_rnn.engines.torch.fast.stage import Stage
from neon_rnn.engines.torch.layers.base import Layer
from neon_rnn.engines.torch.layers.convolution import Pooling
from neon_rnn.engines.torch.layers.feedforward import Activation
from neon_rnn.engines.torch.layers.transforms import Rectlin
from neon_rnn.engines.torch.model import Model
from neon_rnn.engines.torch.ops import pooling

#: Position of a layer -> flat indices of its values or windows, and the decision on each.
Decisions = dict[int, tuple[numpy.ndarray, numpy.ndarray]]
#: A value that counts as positive and changes no sum.
TINY = 1e-30


class Board:
    """The decisions of the present minibatch; the verification changes them."""

    def __init__(self) -> None:
        self.decisions: tuple[Decisions, Decisions] = ({}, {})

    def rectify(self, position: int, rectified: torch.Tensor) -> None:
        """Impose the decisions of a rectifier on its result, in place.

        Parameters
        ----------
        position : int
            Of the layer.
        rectified : torch.Tensor
            (images, C, H, W).
        """
        place, positive = _selected(self.decisions[0], position, rectified.shape)
        values = rectified[place].clamp(min=TINY)
        rectified[place] = torch.where(positive > 0, values, torch.zeros_like(values))

    def choose(
        self,
        position: int,
        pooled: torch.Tensor,
        chosen: torch.Tensor,
        values: torch.Tensor,
    ) -> None:
        """Impose the decisions of a pooling on its result and on the positions of it, in place.

        Parameters
        ----------
        position : int
            Of the layer.
        pooled, chosen : torch.Tensor
            (images, C, P, Q); the positions are flat indices in (H, W).
        values : torch.Tensor
            What is pooled, (images, C, H, W).
        """
        place, where = _selected(self.decisions[1], position, pooled.shape)
        width = values.shape[3]
        chosen[place] = where
        pooled[place] = values[place[0], place[1], where // width, where % width]


def _selected(
    decisions: Decisions, position: int, shape: torch.Size
) -> tuple[tuple[torch.Tensor, ...], torch.Tensor]:
    """Return the places of a map that are decided, as an index, and the decisions."""
    none = numpy.zeros(0, dtype=numpy.int64)
    flat, decided = decisions.get(position, (none, none))
    places = numpy.unravel_index(flat, tuple(shape))
    return tuple(torch.from_numpy(place) for place in places), torch.from_numpy(decided)


class _Rectified(torch.autograd.Function):
    """max(x, 0) with imposed decisions."""

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor, position: int, board: Board) -> torch.Tensor:
        y = torch.relu(x)
        board.rectify(position, y)
        ctx.save_for_backward(y)
        return y

    @staticmethod
    def backward(ctx: Any, error: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        (y,) = ctx.saved_tensors
        return error * (y > 0), None, None


class _ImposedStage(Stage):
    """A stage whose rectifier and pooling look at a board."""

    def __init__(self, stage: Stage, position: int, board: Board) -> None:
        super().__init__(stage.layers)
        names = [type(layer).__name__ for layer in stage.layers]
        self.rectifier = position + names.index('Activation')
        self.pooling_position = position + len(names) - 1
        self.board = board

    def pieces(self, images: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Return all images as one piece: decisions are counted in the whole minibatch."""
        return (images,)

    def convolve(
        self, images: torch.Tensor, operand: torch.Tensor, bias: torch.Tensor | None
    ) -> torch.Tensor:
        convolved = super().convolve(images, operand, bias)
        self.board.rectify(self.rectifier, convolved)
        return convolved

    def pool(
        self, convolved: torch.Tensor, signs: torch.Tensor | None
    ) -> tuple[torch.Tensor, torch.Tensor | None]:
        pooled, places = super().pool(convolved, signs)
        if places is not None:
            windows, width = self.windows(), convolved.shape[3]
            chosen = pooling.pixels(places, windows, width)
            self.board.choose(self.pooling_position, pooled, chosen, convolved)
            places = pooling.places(chosen, windows, width).to(places.dtype)
        return pooled, places


def impose(model: Model, board: Board, plain: bool = False) -> None:
    """Let an initialised model take the decisions of a board in training.

    Parameters
    ----------
    model : Model
        Without containers inside it.
    board : Board
    plain : bool
        Run the layers one by one, not fused into stages.
    """
    steps: list[Any] = list(model.layers) if plain else model.layers.steps
    imposed: list[Any] = []
    position = 0
    for step in steps:
        if isinstance(step, Stage) and step.rectified_first:
            imposed.append(_ImposedStage(step, position, board))
            position += len(step.layers)
            continue
        for layer in [step] if isinstance(step, Layer) else step.layers:
            imposed.append(_imposed(layer, position, board))
            position += 1
    model.layers.steps = imposed


def _imposed(step: Layer, position: int, board: Board) -> Any:
    """Return what runs in place of a layer at a position; most layers stay as they are."""
    if isinstance(step, Activation) and isinstance(step.transform, Rectlin):
        return lambda x: _Rectified.apply(x, position, board)
    if isinstance(step, Pooling) and step.op == 'max':
        return lambda x: _pooled(step, x, position, board)
    return step


def _pooled(layer: Pooling, x: torch.Tensor, position: int, board: Board) -> torch.Tensor:
    """Pool with imposed decisions; the gradient goes to the values that were chosen."""
    pooled, chosen = functional.max_pool2d(
        x, layer.window, layer.strides, layer.padding, return_indices=True
    )
    board.choose(position, pooled.detach().clone(), chosen, x.detach())
    return x.flatten(2).gather(2, chosen.flatten(2)).reshape(pooled.shape)
