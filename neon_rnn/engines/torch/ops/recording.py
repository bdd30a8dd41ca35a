"""Whether PyTorch is recording the operations instead of only computing them."""

from __future__ import annotations

import torch


def recording() -> bool:
    """Tell whether torch.compile, torch.export, torch.jit.trace or an ONNX export is recording.

    A recorder knows PyTorch's ordinary operators and their gradients. The layers then use these,
    where they otherwise call oneDNN or a backward pass of their own.
    """
    return torch.compiler.is_compiling() or torch.jit.is_tracing()
