"""The order in which a tensor lies in memory."""

from __future__ import annotations

import torch


def laid_out_as(like: torch.Tensor, values: torch.Tensor) -> torch.Tensor:
    """Return values in the memory format of a tensor of the same shape, copied if need be."""
    return values if values.stride() == like.stride() else torch.empty_like(like).copy_(values)
