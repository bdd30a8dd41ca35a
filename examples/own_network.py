"""A PyTorch network of one's own with SpatialRNN, in a training loop of one's own.

    python examples/own_network.py [EPOCHS]

It learns to tell the synthetic portraits of `make_demo` apart. Needs PyTorch.
"""

import sys
import tempfile

import torch

from neon_rnn import SpatialRNN, make_demo


def network():
    """Return a network for images (n, 3, 32, 32)."""
    return torch.nn.Sequential(
        torch.nn.Conv2d(3, 32, 3, stride=2, padding=1),
        torch.nn.BatchNorm2d(32),
        torch.nn.ReLU(),
        torch.nn.Conv2d(32, 64, 3, padding=1),
        torch.nn.BatchNorm2d(64),
        torch.nn.ReLU(),
        SpatialRNN(64, 64, block=(2, 2)),  # (n, 64, 16, 16) -> (n, 128, 8, 8)
        SpatialRNN(128, 64, block=(2, 2), cell='gru'),  # -> (n, 128, 4, 4)
        torch.nn.AdaptiveAvgPool2d(1),
        torch.nn.Flatten(),
        torch.nn.Linear(128, 2),
    )


def tensors(part, shape):
    """Return the images of a part, float32 (n, C, H, W) from -1 to 1, and their labels."""
    pixels = part.read(range(part.count)).reshape(-1, *shape)
    return torch.from_numpy(pixels).float() / 127.5 - 1, torch.as_tensor(part.labels).long()


def main(epochs):
    """Train, and print cost and accuracy of each epoch."""
    torch.manual_seed(0)
    with tempfile.TemporaryDirectory() as folder:
        data = make_demo(folder + '/portraits', train=512, test=256, size=32)
        train, test = (
            torch.utils.data.TensorDataset(*tensors(part, data.shape))
            for part in (data.train, data.test)
        )
    model = network()
    optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3)
    for epoch in range(1, epochs + 1):
        model.train()
        total = 0.0
        for images, labels in torch.utils.data.DataLoader(train, batch_size=32, shuffle=True):
            cost = torch.nn.functional.cross_entropy(model(images), labels)
            optimizer.zero_grad()
            cost.backward()
            optimizer.step()
            total += cost.item() * len(labels)
        model.eval()
        with torch.no_grad():
            images, labels = test.tensors
            right = (model(images).argmax(1) == labels).float().mean().item()
        print(f'epoch {epoch}/{epochs}  cost {total / len(train):.4f}  test accuracy {right:.1%}')


if __name__ == '__main__':
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 10)
