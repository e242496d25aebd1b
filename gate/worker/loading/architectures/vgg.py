"""VGG networks with torchvision's names of parameters.

Simonyan and Zisserman, 2015. Stages of 3×3 convolutions, each ended by a pooling, then fully connected layers.
"""

from typing import Annotated

import torch
from pydantic import Field
from torch import nn

from gate.worker.loading.architecture import ArchitectureConfig, Channels, Classes, Width

_Stage = Annotated[tuple[Width, ...], Field(min_length=1, max_length=8)]


class Config(ArchitectureConfig):
    """Which layers; the defaults are VGG-11 for small images."""

    classes: Classes
    channels: Channels = 3
    stages: Annotated[tuple[_Stage, ...], Field(min_length=1, max_length=8)] = (
        *((64,), (128,)),
        *((256, 256), (512, 512), (512, 512)),
    )
    """Widths of the convolutions between two poolings."""
    batch_norm: bool = False
    pooled: Annotated[int, Field(ge=1, le=16)] = 1
    """Rows and columns that enter the first linear layer; torchvision has 7."""
    hidden: Annotated[tuple[Width, ...], Field(max_length=4)] = (512, 512)


class Vgg(nn.Module):
    """Convolutions `features`, pooling to a fixed size, linear layers `classifier`."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        features: list[nn.Module] = []
        inner = config.channels
        for stage in config.stages:
            for outer in stage:
                features.append(nn.Conv2d(inner, outer, 3, padding=1))
                features += [nn.BatchNorm2d(outer), nn.ReLU()] if config.batch_norm else [nn.ReLU()]
                inner = outer
            features.append(nn.MaxPool2d(2))
        self.features = nn.Sequential(*features)
        self.avgpool = nn.AdaptiveAvgPool2d(config.pooled)
        inner *= config.pooled**2
        classifier: list[nn.Module] = []
        for outer in config.hidden:
            # Dropout does nothing here but keep torchvision's numbering.
            classifier += [nn.Linear(inner, outer), nn.ReLU(), nn.Dropout()]
            inner = outer
        self.classifier = nn.Sequential(*classifier, nn.Linear(inner, config.classes))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map images (N, C, H, W) to logits (N, K)."""
        logits: torch.Tensor = self.classifier(self.avgpool(self.features(x)).flatten(1))
        return logits


def build(config: Config) -> nn.Module:
    """Return the network with fresh weights."""
    return Vgg(config)
