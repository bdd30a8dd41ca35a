"""The published recurrent network as a PyTorch user would write it, to compare speed with.

Plain modules, PyTorch's defaults, one optimiser step for each minibatch. It shares no code with the
torch engine, and on purpose it is not tuned. Its results differ from neon's in details that cost no
time: the running variance, and initial weights from PyTorch's random numbers.
"""

from __future__ import annotations

import torch
from torch import nn


class SpatialRNN(nn.Module):
    """ReSeg's layer: a bidirectional `nn.RNN` over columns of blocks, then one over rows.

    Input (batch, C, H, W), output (batch, 2 * units, H / 2, W / 2).
    """

    def __init__(self, channels: int, units: int) -> None:
        super().__init__()
        self.vertical = nn.RNN(channels * 4, units, bidirectional=True)
        self.horizontal = nn.RNN(units * 2, units, bidirectional=True)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        batch, channels, height, width = x.shape
        rows, columns = height // 2, width // 2
        x = x.reshape(batch, channels, rows, 2, columns, 2).permute(2, 0, 4, 1, 3, 5)
        x, _ = self.vertical(x.reshape(rows, batch * columns, channels * 4))
        x = x.reshape(rows, batch, columns, -1).permute(2, 1, 0, 3)
        x, _ = self.horizontal(x.reshape(columns, batch * rows, -1))
        return x.reshape(columns, batch, rows, -1).permute(1, 3, 2, 0)


def _stage(channels: int, maps: int, pool: bool = True) -> list[nn.Module]:
    """Return convolution, ReLU, batch norm and, if asked for, max pooling."""
    layers: list[nn.Module] = [
        nn.Conv2d(channels, maps, 3, padding=2, dilation=2),
        nn.ReLU(),
        nn.BatchNorm2d(maps, eps=1e-3),
    ]
    return layers + [nn.MaxPool2d(3, stride=2, padding=1)] if pool else layers


def make_network() -> nn.Sequential:
    """Build the network: images (batch, 3, H, W) scaled by 1/128 -> logits (batch, 2)."""
    network = nn.Sequential(
        nn.BatchNorm2d(3, eps=1e-3),
        *_stage(3, 32),
        *_stage(32, 64),
        *_stage(64, 128),
        *_stage(128, 256, pool=False),
        SpatialRNN(256, 256),
        nn.BatchNorm2d(512, eps=1e-3),
        SpatialRNN(512, 512),
        nn.BatchNorm2d(1024, eps=1e-3),
        nn.Conv2d(1024, 2, 1, padding=1),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
    )
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight)
    return network


class EagerPort:
    """The network with its optimiser, trained in the usual way.

    Parameters
    ----------
    input_shape : tuple of int
        (C, H, W).
    device : str
    autocast : bool
        bfloat16 by ``torch.autocast``.
    compiled : bool
        By ``torch.compile`` with max-autotune, channels last. The first minibatches compile.
    """

    def __init__(
        self,
        input_shape: tuple[int, int, int],
        device: str = 'cpu',
        autocast: bool = False,
        compiled: bool = False,
    ) -> None:
        self.input_shape, self.device, self.autocast = input_shape, torch.device(device), autocast
        self.network = make_network().to(self.device)
        self.channels_last = compiled
        if compiled:
            self.network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
            self.network.compile(mode='max-autotune')
        self.cost = nn.CrossEntropyLoss()
        self.optimizer = torch.optim.SGD(
            self.network.parameters(), lr=0.01, momentum=0.9, weight_decay=0.0005
        )

    def _logits(self, inputs: torch.Tensor) -> torch.Tensor:
        images = inputs.to(self.device).reshape(-1, *self.input_shape).float() / 128
        if self.channels_last:
            images = images.contiguous(memory_format=torch.channels_last)
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.autocast):
            return self.network(images)

    def train_step(self, inputs: torch.Tensor, labels: torch.Tensor) -> float:
        """Train on one minibatch, uint8 (batch, C*H*W) and int64 (batch,); return the cost."""
        self.network.train()
        self.optimizer.zero_grad()
        cost = self.cost(self._logits(inputs).float(), labels.to(self.device))
        cost.backward()
        self.optimizer.step()
        return cost.item()

    @torch.no_grad()
    def predict(self, inputs: torch.Tensor) -> torch.Tensor:
        """Return probabilities, float32 (n, 2), of images uint8 (n, C*H*W)."""
        self.network.eval()
        return torch.softmax(self._logits(inputs).float(), dim=1)
