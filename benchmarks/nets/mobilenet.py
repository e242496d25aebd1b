"""MobileNetV2-like networks with torchvision's names of parameters: inverted residuals with depthwise convolutions.

Sandler et al., 2018. A stage is expansion, channels, repetitions and stride.
"""

from typing import Annotated

import torch
from pydantic import Field
from torch import nn

from benchmarks.nets import config
from benchmarks.nets.config import Channels, Classes, Width

_Expansion = Annotated[int, Field(ge=1, le=16)]
_Repetitions = Annotated[int, Field(ge=1, le=16)]
_Stride = Annotated[int, Field(ge=1, le=2)]
_Stage = tuple[_Expansion, Width, _Repetitions, _Stride]


class Config(config.Config):
    """Which layers; the defaults are MobileNetV2 at full width."""

    classes: Classes
    channels: Channels = 3
    stem: Width = 32
    stem_stride: _Stride = 2
    """2 for ImageNet's images, 1 for small ones."""
    stages: Annotated[tuple[_Stage, ...], Field(min_length=1, max_length=12)] = (
        *((1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2)),
        *((6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1)),
    )
    last: Width = 1280


def _convolution(inner: int, outer: int, kernel: int, stride: int = 1, groups: int = 1) -> nn.Sequential:
    """Return convolution, normalisation and ReLU6."""
    padding = (kernel - 1) // 2
    layer = nn.Conv2d(inner, outer, kernel, stride, padding, groups=groups, bias=False)
    return nn.Sequential(layer, nn.BatchNorm2d(outer), nn.ReLU6())


class InvertedResidual(nn.Module):
    """Widen by 1×1, convolve each channel by 3×3, narrow by 1×1; a shortcut where the shape allows one."""

    def __init__(self, inner: int, outer: int, stride: int, expansion: int) -> None:
        super().__init__()
        hidden = inner * expansion
        widen = [] if expansion == 1 else [_convolution(inner, hidden, 1)]
        self.conv = nn.Sequential(
            *widen,
            _convolution(hidden, hidden, 3, stride, groups=hidden),
            nn.Conv2d(hidden, outer, 1, bias=False),
            nn.BatchNorm2d(outer),
        )
        self._shortcut = stride == 1 and inner == outer

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map (N, inner, h, w) to (N, outer, h / stride, w / stride)."""
        out: torch.Tensor = self.conv(x)
        return x + out if self._shortcut else out


class MobileNet(nn.Module):
    """Stem, inverted residuals and a last convolution in `features`; `classifier` is dropout and one linear layer."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        features: list[nn.Module] = [_convolution(config.channels, config.stem, 3, config.stem_stride)]
        inner = config.stem
        for expansion, outer, repetitions, stride in config.stages:
            for index in range(repetitions):
                features.append(InvertedResidual(inner, outer, 1 if index else stride, expansion))
                inner = outer
        features.append(_convolution(inner, config.last, 1))
        self.features = nn.Sequential(*features)
        self.classifier = nn.Sequential(nn.Dropout(), nn.Linear(config.last, config.classes))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map images (N, C, H, W) to logits (N, K)."""
        logits: torch.Tensor = self.classifier(self.features(x).mean(dim=(2, 3)))
        return logits


def build(config: Config) -> nn.Module:
    """Return the network with fresh weights."""
    return MobileNet(config)
