"""The hyperbolic tangent on the CPU, by oneDNN."""

from __future__ import annotations

import torch

from neon_rnn.engines.torch.ops.matmul import multiplies_by_onednn
from neon_rnn.engines.torch.ops.recording import recording

#: For fewer numbers the copies into oneDNN's tensors and back cost more than they save.
FEWEST = 2**15


def tanh(x: torch.Tensor, out: torch.Tensor | None = None) -> torch.Tensor:
    """Compute tanh(x), into `out` if it is given.

    Where no gradient is recorded oneDNN computes it, in a third of the time that PyTorch takes.
    """
    if (
        x.device.type != 'cpu'
        or not multiplies_by_onednn(x.dtype)
        or x.numel() < FEWEST
        or (torch.is_grad_enabled() and x.requires_grad)
        or recording()
    ):
        return torch.tanh(x, out=out)
    y = torch.tanh(x.to_mkldnn()).to_dense()
    return y if out is None else out.copy_(y)
