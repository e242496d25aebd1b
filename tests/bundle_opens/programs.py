"""Small programs of each kind that a bundle may hold; their batch is free but where a name says one."""

import torch
from torch import nn


class Convolution(nn.Module):
    """Convolutions with channels-last weights, batch statistics and pooling."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(3, 4, 3, padding=1)
        self.norm = nn.BatchNorm2d(4)
        self.head = nn.Linear(4, 3)
        self.stem.weight = nn.Parameter(self.stem.weight.detach().to(memory_format=torch.channels_last))

    def forward(self, x):
        """Return three logits."""
        return self.head(nn.functional.adaptive_avg_pool2d(self.norm(self.stem(x)).relu(), 1).flatten(1))


class Attention(nn.Module):
    """One layer of a transformer over a sequence of tokens."""

    def __init__(self):
        super().__init__()
        self.layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True, dropout=0.0)
        self.head = nn.Linear(8, 3)

    def forward(self, x):
        """Return three logits."""
        return self.head(self.layer(x).mean(1))


class Recurrent(nn.Module):
    """An LSTM over a sequence."""

    def __init__(self):
        super().__init__()
        self.rnn = nn.LSTM(4, 6, batch_first=True)
        self.head = nn.Linear(6, 3)

    def forward(self, x):
        """Return three logits."""
        return self.head(self.rnn(x)[0][:, -1])


class Strided(nn.Module):
    """Tied and transposed weights, a repeated buffer, a constant, sizes taken from the input."""

    def __init__(self):
        super().__init__()
        self.first = nn.Linear(6, 6)
        self.second = nn.Linear(6, 6)
        self.second.weight = self.first.weight
        self.third = nn.Parameter(torch.randn(6, 3).t())
        self.register_buffer("scale", torch.tensor([0.5]).expand(6))
        self.constant = torch.tensor([0.1, 0.2, 0.3])

    def forward(self, x):
        """Return three logits."""
        mask = torch.tril(torch.ones(x.shape[0], 6), 3).sum(1, keepdim=True)
        return nn.functional.linear(self.second(self.first(x * self.scale)), self.third) + self.constant * (mask > 0)


def perceptron():
    """Return two layers, for the half types."""
    return nn.Sequential(nn.Linear(5, 8), nn.ReLU(), nn.Linear(8, 3))


PROGRAMS = {
    "convolution": (Convolution, (3, 8, 8), torch.float32, True),
    "convolution-one": (Convolution, (3, 8, 8), torch.float32, False),
    "attention": (Attention, (5, 8), torch.float32, True),
    "recurrent": (Recurrent, (5, 4), torch.float32, True),
    "strided": (Strided, (6,), torch.float32, True),
    "half": (perceptron, (5,), torch.float16, True),
    "bfloat16": (perceptron, (5,), torch.bfloat16, True),
    "double": (perceptron, (5,), torch.float64, True),
}
"""By name: the module, the shape of one sample, the type, and whether the batch is free."""
