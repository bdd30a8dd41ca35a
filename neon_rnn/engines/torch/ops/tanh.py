"""The hyperbolic tangent on the CPU, by the library that is faster there."""

from __future__ import annotations

import torch

from neon_rnn.engines.torch.ops import matmul
from neon_rnn.engines.torch.ops.recording import recording

#: For fewer numbers the copies into oneDNN's tensors and back, or into float32, cost more than they
#: save.
FEWEST = 2**15


def tanh(x: torch.Tensor, out: torch.Tensor | None = None) -> torch.Tensor:
    """Compute tanh(x), into `out` if it is given.

    Where no gradient is recorded, PyTorch's function is used only if MKL computes it with wide
    vectors: in float32, on Intel's processors. oneDNN takes a third of the time of PyTorch's on
    others. bfloat16 is rounded once in all of them.
    """
    wide = matmul.MKL_IS_FAST and x.dtype in (torch.float32, torch.bfloat16)
    if (
        x.device.type != 'cpu'
        or not matmul.multiplies_by_onednn(x.dtype)
        or x.numel() < FEWEST
        or (torch.is_grad_enabled() and x.requires_grad)
        or recording()
        or (wide and x.dtype == torch.float32)
    ):
        return torch.tanh(x, out=out)
    y = x.float().tanh_().to(x.dtype) if wide else torch.tanh(x.to_mkldnn()).to_dense()
    return y if out is None else out.copy_(y)
