"""The trained network as one module of PyTorch: pixels in, probabilities out."""

from __future__ import annotations

from typing import Any

import torch

from neon_rnn.engines.torch.layers.containers import Sequential


class Network(torch.nn.Module):
    """The layers of a model in inference mode, one by one, without the fused stages.

    Input uint8 (n, C, H, W), output (n, classes).
    """

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.layers = model.layers
        for module in self.layers.modules():
            if isinstance(module, Sequential):
                module.steps = list(module)
        self.eval()

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        """Compute the probabilities."""
        return self.layers(pixels.to(torch.float32)).flatten(1)
