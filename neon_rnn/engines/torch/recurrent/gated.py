"""The base of the cells with gates, and the sweep of such a cell with its gradients."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice
from typing import Any

import torch
from torch.autograd.function import once_differentiable

from neon_rnn.engines.torch.layers.initializers import Initializer
from neon_rnn.engines.torch.layers.transforms import Transform
from neon_rnn.engines.torch.ops.matmul import weight_gradient
from neon_rnn.engines.torch.ops.recording import recording
from neon_rnn.engines.torch.recurrent.base import RecurrentLayer, neighbours, visits
from neon_rnn.support.errors import UsageError


class GatedLayer(RecurrentLayer):
    """A cell with gates.

    Parameters
    ----------
    activation, gate_activation : transform
        Both are required. The other parameters are those of `RecurrentLayer`.

    Raises
    ------
    UsageError
        One of them is missing.
    """

    #: The type of what `step` returns; the hidden state is `h`.
    memory: Any

    def __init__(
        self,
        output_size: int,
        init: Initializer,
        init_inner: Initializer | None = None,
        activation: Transform | None = None,
        gate_activation: Transform | None = None,
        reset_cells: bool = False,
        name: str | None = None,
    ) -> None:
        super().__init__(output_size, init, init_inner, activation, reset_cells, name)
        if activation is None or gate_activation is None:
            raise UsageError(
                '{} needs activation and gate_activation (as in neon).'.format(type(self).__name__)
            )
        self.gate_activation: Transform = gate_activation

    def step(self, products: torch.Tensor, recurrent: torch.Tensor, before: Any) -> Any:
        """Compute one step of one direction.

        Parameters
        ----------
        products : torch.Tensor
            (batch, gates * units): W x + b; there may be gaps between its rows.
        recurrent : torch.Tensor
            (gates * units, units).
        before : memory or None
            What the step before returned; None at the first step, where the state is zero.

        Returns
        -------
        memory
            The hidden state, and what the next step and `step_back` need.
        """
        raise NotImplementedError

    def step_back(
        self, error: torch.Tensor, later: Any, recurrent: torch.Tensor, now: Any, before: Any
    ) -> tuple[torch.Tensor, Any]:
        """Propagate errors through one step.

        Parameters
        ----------
        error : torch.Tensor
            (batch, units): the gradient of the step's output; there may be gaps between its rows.
        later : tuple of torch.Tensor or None
            The second result for the step after this one; None at the last step.
        recurrent : torch.Tensor
            As in `step`.
        now, before : memory
            What `step` returned for this step and for the one before; None at the first step.

        Returns
        -------
        delta : torch.Tensor
            (batch, gates * units): the gradient of the step's `products`.
        tuple of torch.Tensor
            What the step before needs of this one.
        """
        raise NotImplementedError

    def recurrent_gradient(
        self, delta: torch.Tensor, now: Sequence[Any], before: Sequence[Any]
    ) -> torch.Tensor:
        """Return the gradient of the recurrent weights of one direction.

        Parameters
        ----------
        delta : torch.Tensor
            (n * batch, gates * units): the gradients of the products of all steps but the first.
        now, before : sequence of memory
            What `step` returned for these n steps, and for the step before each.
        """
        return weight_gradient(delta, torch.cat([memory.h for memory in before]))

    def states(self, x: torch.Tensor) -> torch.Tensor:
        products = self.input_products(x)
        if not recording():
            return _GatedSweep.apply(products, self.recurrent, self)
        swept = [
            torch.stack([memory.h for memory in _sweep(self, products, weight, direction)])
            for direction, weight in enumerate(self.recurrent.unbind())
        ]
        return torch.stack(swept, dim=2)


def _sweep(
    cell: GatedLayer, products: torch.Tensor, recurrent: torch.Tensor, direction: int
) -> list[Any]:
    """Sweep one direction; return what each step leaves behind, in the order of the steps."""
    memories: list[Any] = [None] * len(products)
    before = None
    for step in visits(len(products), direction):
        before = cell.step(products[step, :, direction], recurrent, before)
        memories[step] = before
    return memories


class _GatedSweep(torch.autograd.Function):
    """The hidden states of a cell in every direction; the backward pass is written out.

    `products` is (steps, batch, D, gates * units), `recurrent` (D, gates * units, units), the
    result (steps, batch, D, units). Autograd would compute a gradient of the recurrent weights for
    each step and add them up; here it is one product.
    """

    @staticmethod
    def forward(
        ctx: Any, products: torch.Tensor, recurrent: torch.Tensor, cell: GatedLayer
    ) -> torch.Tensor:
        recurrent = recurrent.to(products.dtype)
        hidden = products.new_empty(*products.shape[:3], cell.units)
        saved: list[torch.Tensor | None] = []
        for direction, weight in enumerate(recurrent):
            for step, memory in enumerate(_sweep(cell, products, weight, direction)):
                hidden[step, :, direction] = memory.h
                saved += memory
        ctx.save_for_backward(recurrent, *saved)
        ctx.cell = cell
        return hidden

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        cell, (recurrent, *saved) = ctx.cell, ctx.saved_tensors
        tensors = iter(saved)
        fields = len(cell.memory._fields)
        of_products = gradient.new_empty(*gradient.shape[:3], recurrent.shape[1])
        of_recurrent = torch.zeros_like(recurrent)
        steps = len(gradient)
        for direction, weight in enumerate(recurrent):
            memories = [cell.memory(*islice(tensors, fields)) for _ in range(steps)]
            now, before = neighbours(direction)
            order = visits(steps, direction)
            later = None
            for place in range(steps - 1, -1, -1):
                step = order[place]
                delta, later = cell.step_back(
                    gradient[step, :, direction],
                    later,
                    weight,
                    memories[step],
                    memories[order[place - 1]] if place else None,
                )
                of_products[step, :, direction] = delta
            if steps > 1:
                of_recurrent[direction] = cell.recurrent_gradient(
                    of_products[now, :, direction].flatten(0, 1), memories[now], memories[before]
                )
        return of_products, of_recurrent, None
