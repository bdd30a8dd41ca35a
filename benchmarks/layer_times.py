"""Measure the time of a training step, layer by layer."""

from __future__ import annotations

import time
from typing import Any

import torch


def layer_times(model: Any, train: Any) -> list[dict[str, Any]]:
    """Time one training step of the torch engine between its layers, or the stages that it fuses.

    Parameters
    ----------
    model : Model
    train : callable
        Runs one training step.

    Returns
    -------
    list of dict
        ``name``, ``forward`` and ``backward`` in seconds, in order. The last one is input, cost and
        optimiser together.
    """
    steps = model.layers.steps
    timers = [_Timer(step, model.layers) for step in steps]
    # The backward pass of the first layer ends when its parameters have their gradients.
    arrived = [0.0]
    handles = [
        parameter.register_post_accumulate_grad_hook(lambda _: arrived.append(_now()))
        for parameter in model.parameters
    ]
    model.layers.steps = timers
    try:
        started = _now()
        train()
        ended = _now()
    finally:
        model.layers.steps = steps
        for handle in handles:
            handle.remove()
    rows: list[dict[str, Any]] = []
    done = max(arrived)
    for timer in timers:
        backward = None
        if timer.gradient is not None:
            backward, done = done - timer.gradient, timer.gradient
        rows.append(
            {'name': timer.name, 'forward': timer.ended - timer.started, 'backward': backward}
        )
    known = sum(row['forward'] + (row['backward'] or 0.0) for row in rows)
    rows.append(
        {'name': 'input, cost, optimiser', 'forward': None, 'backward': ended - started - known}
    )
    return rows


class _Timer:
    """A layer that records when it runs."""

    def __init__(self, step: Any, sequence: Any) -> None:
        layers = getattr(step, 'layers', None) if not isinstance(step, torch.nn.Module) else None
        positions = {id(layer): position for position, layer in enumerate(sequence.layers)}
        self.name = ', '.join(
            '{} {}'.format(positions[id(layer)], type(layer).__name__) for layer in layers or [step]
        )
        self.step = step
        self.started = self.ended = 0.0
        self.gradient: float | None = None

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        self.started = _now()
        y = self.step(x)
        self.ended = _now()
        if y.requires_grad:
            y.register_hook(self._note)
        return y

    def _note(self, gradient: torch.Tensor) -> None:
        self.gradient = _now()


def _now() -> float:
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter()
