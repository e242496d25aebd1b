"""LeNet-like networks: convolution, ReLU and max-pooling in turn, then fully connected layers.

Parameters are `features.N` (convolutions at 0, 3, 6, …) and `classifier.N` (linear layers at 0, 2, 4, …).
"""

from typing import Annotated, Self

from pydantic import Field, model_validator
from torch import nn

from gate.worker.loading.architecture import ArchitectureConfig, Channels, Classes, Side, Width


class Config(ArchitectureConfig):
    """Which layers."""

    classes: Classes
    channels: Channels = 1
    height: Side
    width: Side
    convolutions: Annotated[tuple[Width, ...], Field(min_length=1, max_length=12)] = (16, 32)
    kernel: Annotated[int, Field(ge=1, le=15)] = 3
    padding: Annotated[int, Field(ge=0, le=7)] = 1
    hidden: Annotated[tuple[Width, ...], Field(max_length=8)] = (64,)

    @property
    def features(self) -> int:
        """How many values enter the first linear layer; none is left of an image that is too small."""
        height, width = self.height, self.width
        for _ in self.convolutions:
            height, width = self._halved(height), self._halved(width)
        return max(height, 0) * max(width, 0) * self.convolutions[-1]

    def _halved(self, side: int) -> int:
        return (side + 2 * self.padding - self.kernel + 1) // 2

    @model_validator(mode="after")
    def _something_left(self) -> Self:
        if self.features == 0:
            raise ValueError("so many poolings leave nothing of the image")
        return self


def build(config: Config) -> nn.Module:
    """Return the network with fresh weights."""
    features: list[nn.Module] = []
    inner = config.channels
    for outer in config.convolutions:
        features += [nn.Conv2d(inner, outer, config.kernel, padding=config.padding), nn.ReLU(), nn.MaxPool2d(2)]
        inner = outer
    classifier: list[nn.Module] = []
    inner = config.features
    for outer in config.hidden:
        classifier += [nn.Linear(inner, outer), nn.ReLU()]
        inner = outer
    classifier.append(nn.Linear(inner, config.classes))
    network = nn.Sequential()
    network.add_module("features", nn.Sequential(*features))
    network.add_module("flatten", nn.Flatten())
    network.add_module("classifier", nn.Sequential(*classifier))
    return network
