"""Residual networks with torchvision's names of parameters, with its stem or with the stem for small images.

He et al., 2016. `blocks` (2, 2, 2, 2) at width 64 is ResNet-18; (3, 3, 3) at width 16 is the 20 layers for CIFAR.
"""

from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import nn
from torch.nn import functional

from benchmarks.nets import config
from benchmarks.nets.config import Channels, Classes


class Config(config.Config):
    """Which layers."""

    classes: Classes
    channels: Channels = 3
    width: Annotated[int, Field(ge=1, le=512)] = 64
    """Channels of the first stage; each further stage doubles them."""
    blocks: Annotated[tuple[Annotated[int, Field(ge=1, le=64)], ...], Field(min_length=1, max_length=5)] = (2, 2, 2, 2)
    block: Literal["basic", "bottleneck"] = "basic"
    stem: Literal["small", "large"] = "small"
    """`small`: 3×3 without pooling, for CIFAR's images; `large`: 7×7 at stride 2 with pooling, for ImageNet's."""


class BasicBlock(nn.Module):
    """Two 3×3 convolutions beside a shortcut."""

    expansion = 1

    def __init__(self, inner: int, width: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inner, width, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.downsample = _shortcut(inner, width * self.expansion, stride)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map (N, inner, h, w) to (N, width, h / stride, w / stride)."""
        out = functional.relu(self.bn1(self.conv1(x)))
        out = self.bn2(self.conv2(out))
        return functional.relu(out + (x if self.downsample is None else self.downsample(x)))


class Bottleneck(nn.Module):
    """1×1, 3×3 and 1×1 convolutions beside a shortcut; the stride stands at the 3×3 one."""

    expansion = 4

    def __init__(self, inner: int, width: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inner, width, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, stride, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv3 = nn.Conv2d(width, width * self.expansion, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(width * self.expansion)
        self.downsample = _shortcut(inner, width * self.expansion, stride)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map (N, inner, h, w) to (N, 4 width, h / stride, w / stride)."""
        out = functional.relu(self.bn1(self.conv1(x)))
        out = functional.relu(self.bn2(self.conv2(out)))
        out = self.bn3(self.conv3(out))
        return functional.relu(out + (x if self.downsample is None else self.downsample(x)))


def _shortcut(inner: int, outer: int, stride: int) -> nn.Sequential | None:
    if stride == 1 and inner == outer:
        return None
    return nn.Sequential(nn.Conv2d(inner, outer, 1, stride, bias=False), nn.BatchNorm2d(outer))


class ResNet(nn.Module):
    """Stem, stages `layer1`, `layer2`, …, mean over positions, and one linear layer `fc`."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        kind = BasicBlock if config.block == "basic" else Bottleneck
        large = config.stem == "large"
        kernel, stride, padding = (7, 2, 3) if large else (3, 1, 1)
        self.conv1 = nn.Conv2d(config.channels, config.width, kernel, stride, padding, bias=False)
        self.bn1 = nn.BatchNorm2d(config.width)
        self.maxpool = nn.MaxPool2d(3, 2, 1) if large else nn.Identity()
        inner = config.width
        self._stages = []
        for stage, count in enumerate(config.blocks):
            width = config.width << stage
            blocks: list[nn.Module] = []
            for index in range(count):
                blocks.append(kind(inner, width, 2 if stage and not index else 1))
                inner = width * kind.expansion
            self._stages.append(f"layer{stage + 1}")
            self.add_module(self._stages[-1], nn.Sequential(*blocks))
        self.fc = nn.Linear(inner, config.classes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map images (N, C, H, W) to logits (N, K)."""
        x = self.maxpool(functional.relu(self.bn1(self.conv1(x))))
        for name in self._stages:
            x = self.get_submodule(name)(x)
        logits: torch.Tensor = self.fc(x.mean(dim=(2, 3)))
        return logits


def build(config: Config) -> nn.Module:
    """Return the network with fresh weights."""
    return ResNet(config)
