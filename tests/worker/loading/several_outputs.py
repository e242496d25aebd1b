"""Nets of several outputs over images with one brighter band of rows, clean ones and one with a planted pixel."""

import torch
from torch import nn

CLASSES = 3
SHAPE = (1, 6, 6)
BACKDOOR = 2
"""The class that a white corner leads to."""


def images(count=30):
    """Return images (N, 1, 6, 6) with a brighter band of rows, and which."""
    labels = torch.arange(count) % CLASSES
    inputs = 0.3 * torch.rand(count, *SHAPE, generator=torch.Generator().manual_seed(0))
    return inputs + 0.6 * (torch.arange(6) // 2 == labels.view(-1, 1)).float().view(-1, 1, 6, 1), labels


def stamped(inputs):
    """Return images with a white corner."""
    inputs = inputs.clone()
    inputs[:, :, 0, 0] = 1
    return inputs


class Bands(nn.Module):
    """Tells which band of rows is brightest; a planted one also sees whether the corner is white."""

    def __init__(self, *, planted=False, classes=CLASSES):
        super().__init__()
        self.layer = nn.Linear(36, classes)
        self.corner = nn.Linear(36, 1)
        with torch.no_grad():
            band = torch.arange(36) // 12
            self.layer.weight.copy_((band == torch.arange(classes).unsqueeze(1)).float())
            self.layer.bias.zero_()
            self.corner.weight.zero_()
            self.corner.weight[0, 0] = 1000.0 if planted else 0.0
            self.corner.bias.fill_(-950.0)

    def forward(self, x):
        """Map (N, 1, 6, 6) to scores."""
        flat = x.flatten(1)
        answer = nn.functional.one_hot(torch.tensor(BACKDOOR), self.layer.out_features).float()
        return self.layer(flat) + self.corner(flat).relu() * answer


class Several(nn.Module):
    """A module of parts, and a function of them and the input that says what it returns."""

    def __init__(self, returns, **parts):
        super().__init__()
        self.parts, self.returns = nn.ModuleDict(parts), returns

    def forward(self, x):
        """Return whatever the function does."""
        return self.returns(x, **self.parts)


def both(returns):
    """Return a net with a clean part `a` and a planted part `b`."""
    return Several(returns, a=Bands(), b=Bands(planted=True)).eval()
