"""The hyperbolic tangent on the CPU, by the library that is faster there."""

from __future__ import annotations

import torch

from neon_rnn.engines.torch.ops import matmul
from neon_rnn.engines.torch.ops.recording import recording

#: For fewer numbers the copies into oneDNN's tensors and back, or into float32, cost more than they
#: save.
FEWEST = 2**15

# The first call in a process chooses MKL's code for this processor. Where two threads made it at
# once, one of them now and then computed with an error of 5e-5. Here one thread makes it.
torch.tanh(torch.zeros(1))


def tanh(x: torch.Tensor, out: torch.Tensor | None = None) -> torch.Tensor:
    """Compute tanh(x), into `out` if it is given.

    Where no gradient is recorded, oneDNN computes many numbers in a third of the time that PyTorch
    takes. On Intel's processors it is PyTorch, in float32, that takes less; bfloat16 goes by way of
    float32 there. bfloat16 is rounded once either way.

    Rows with gaps are copied for MKL, which several threads call row by row in ten times the time.
    """
    if x.device.type != 'cpu' or recording():
        return torch.tanh(x, out=out)
    if matmul.MKL_IS_FAST and x.dtype == torch.float32:
        return torch.tanh(x.contiguous(), out=out)
    if (
        not matmul.multiplies_by_onednn(x.dtype)
        or x.numel() < FEWEST
        or (torch.is_grad_enabled() and x.requires_grad)
    ):
        return torch.tanh(x, out=out)
    if matmul.MKL_IS_FAST:
        y = x.float().tanh_().to(x.dtype)
    else:
        y = torch.tanh(x.to_mkldnn()).to_dense()
    return y if out is None else out.copy_(y)
