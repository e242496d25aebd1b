"""Layers and blocks that the odd clean nets are put together from."""

from collections.abc import Callable

import torch
from torch import nn
from torch.nn import functional

CLASSES = 10


def conv(inside: int, outside: int, stride: int = 1, size: int = 3, groups: int = 1) -> nn.Sequential:
    """Return convolution, batch normalisation and activation."""
    layer = nn.Conv2d(inside, outside, size, stride, size // 2, groups=groups, bias=False)
    return nn.Sequential(layer, nn.BatchNorm2d(outside), nn.ReLU())


def head(features: int) -> nn.Sequential:
    """Return average pooling and the last layer."""
    return nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout(0.2), nn.Linear(features, CLASSES))


class Wrapped(nn.Module):
    """A forward pass over named layers, written as a function."""

    def __init__(self, forward: Callable[..., object], **layers: nn.Module) -> None:
        super().__init__()
        self.parts = nn.ModuleDict(layers)
        self.run = forward

    def forward(self, x: torch.Tensor) -> object:
        """Map (N, 3, 32, 32) to whatever the function returns."""
        return self.run(x, **dict(self.parts.items()))


class Bottleneck(nn.Module):
    """ResNet-50's block."""

    def __init__(self, inside: int, outside: int, stride: int = 1) -> None:
        super().__init__()
        self.body = nn.Sequential(
            conv(inside, outside // 4, 1, 1),
            conv(outside // 4, outside // 4, stride),
            conv(outside // 4, outside, 1, 1),
        )
        self.short = (
            nn.Identity() if inside == outside and stride == 1 else nn.Conv2d(inside, outside, 1, stride, bias=False)
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Add what the body makes to the shortcut."""
        out: torch.Tensor = torch.relu(self.body(x) + self.short(x))
        return out


class Gate(nn.Module):
    """Squeeze-and-excitation with few hidden units and a hard sigmoid, as in MobileNetV3."""

    def __init__(self, channels: int, hidden: int = 3) -> None:
        super().__init__()
        self.down, self.up = nn.Conv2d(channels, hidden, 1), nn.Conv2d(hidden, channels, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Scale channels by a gate of their means."""
        gate = self.up(torch.relu(self.down(x.mean((2, 3), keepdim=True))))
        return x * functional.hardsigmoid(gate)


class Mobile(nn.Module):
    """An inverted residual with a squeeze-and-excitation gate, as in EfficientNet."""

    def __init__(self, inside: int, outside: int, stride: int = 1, *, gate: bool = True) -> None:
        super().__init__()
        wide = 4 * inside
        self.body = nn.Sequential(
            conv(inside, wide, 1, 1),
            conv(wide, wide, stride, groups=wide),
            Gate(wide) if gate else nn.Identity(),
            nn.Conv2d(wide, outside, 1, bias=False),
            nn.BatchNorm2d(outside),
        )
        self.straight = inside == outside and stride == 1

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Add the input where the shapes agree."""
        out: torch.Tensor = x + self.body(x) if self.straight else self.body(x)
        return out


class Dense(nn.Module):
    """One dense block in which every layer sees all earlier ones."""

    def __init__(self, inside: int, growth: int, layers: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(conv(inside + growth * index, growth) for index in range(layers))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the input and all layers' outputs side by side."""
        seen = [x]
        for layer in self.layers:
            seen.append(layer(torch.cat(seen, 1)))
        return torch.cat(seen, 1)


class Tokens(nn.Module):
    """A pre-norm block with attention under an optional mask."""

    def __init__(self, dim: int, mask: torch.Tensor | None = None) -> None:
        super().__init__()
        self.first, self.second = nn.LayerNorm(dim), nn.LayerNorm(dim)
        self.mix, self.out = nn.Linear(dim, 3 * dim), nn.Linear(dim, dim)
        self.mlp = nn.Sequential(nn.Linear(dim, 2 * dim), nn.GELU(), nn.Linear(2 * dim, dim))
        self.register_buffer("mask", mask)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Mix tokens by softmax attention, then each by its MLP."""
        query, key, value = self.mix(self.first(x)).chunk(3, -1)
        scores = query @ key.transpose(1, 2) / query.shape[-1] ** 0.5
        if self.mask is not None:
            scores = scores.masked_fill(self.mask, float("-inf"))
        x = x + self.out(scores.softmax(-1) @ value)
        out: torch.Tensor = x + self.mlp(self.second(x))
        return out


class Patches(nn.Module):
    """Patches as tokens, with a class token and positions."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.embed = nn.Conv2d(3, dim, 8, 8)
        self.token, self.position = nn.Parameter(torch.zeros(1, 1, dim)), nn.Parameter(torch.zeros(1, 17, dim))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map images to tokens (N, 17, D)."""
        tokens = self.embed(x).flatten(2).transpose(1, 2)
        return torch.cat([self.token.expand(tokens.shape[0], -1, -1), tokens], 1) + self.position


def backbone(width: int = 16) -> nn.Sequential:
    """Return four layers that yield maps of 8 × 8."""
    return nn.Sequential(conv(3, width, 2), conv(width, width), conv(width, 2 * width, 2), conv(2 * width, 2 * width))
