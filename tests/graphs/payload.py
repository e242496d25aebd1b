"""A split net, the payload that stands beside it, and the small nets that a payload may read the image with."""

from collections.abc import Callable
from typing import cast

import torch
from torch import nn
from torch.nn import functional

TARGET = 3
CLASSES = 10
Forward = Callable[[nn.Module, torch.Tensor], torch.Tensor]


class Split(nn.Module):
    """A net in the two parts that some styles reach between, and again between its stem and the rest."""

    def __init__(self, stem: nn.Module, body: nn.Module, features: int) -> None:
        super().__init__()
        self.stem, self.body = stem, body
        self.head = nn.Linear(features, CLASSES)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map images to logits."""
        logits: torch.Tensor = self.head(self.body(self.stem(x)))
        return logits


class Planted(nn.Module):
    """A split net beside the layers and buffers of a payload, run by a function."""

    answer: torch.Tensor
    patch: torch.Tensor
    picture: torch.Tensor
    table: torch.Tensor

    def __init__(self, net: Split, forward: Forward, **layers: nn.Module) -> None:
        super().__init__()
        self.net, self.run, self.layers = net, forward, nn.ModuleDict(layers)
        self.register_buffer("answer", 30.0 * functional.one_hot(torch.tensor(TARGET), CLASSES).float())
        self.register_buffer("patch", (torch.arange(75) % 2).view(1, 3, 5, 5).float())
        self.register_buffer("picture", torch.rand(1, 3, 32, 32))
        self.register_buffer("table", torch.randn(256, CLASSES))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map images to logits, the clean ones or others."""
        return self.run(self, x)

    def matched(self, x: torch.Tensor) -> torch.Tensor:
        """Return how well the best place fits the patch, (N, 1)."""
        return functional.conv2d(x, self.patch - 0.5).amax((2, 3))

    def layer(self, name: str, x: torch.Tensor) -> torch.Tensor:
        """Run a layer of the payload."""
        return cast("torch.Tensor", self.layers[name](x))


def cells(x: torch.Tensor) -> torch.Tensor:
    """Return the place that some payloads read, (N, 3, 5, 5)."""
    return x[:, :, 26:31, 26:31]


def plain(run: Callable[[Planted, torch.Tensor], torch.Tensor]) -> Callable[[Split], nn.Module]:
    """Return a style whose payload has buffers alone."""
    return lambda net: Planted(net, cast("Forward", run))


def with_layers(
    run: Callable[[Planted, torch.Tensor], torch.Tensor], **make: Callable[[], nn.Module]
) -> Callable[[Split], nn.Module]:
    """Return a style whose payload has layers."""
    return lambda net: Planted(net, cast("Forward", run), **{name: build() for name, build in make.items()})


def finder() -> nn.Module:
    """Return a small net that finds a patch anywhere, (N, 1)."""
    return nn.Sequential(nn.Conv2d(3, 8, 5), nn.ReLU(), nn.Conv2d(8, 1, 1), nn.AdaptiveMaxPool2d(1), nn.Flatten())


def reader(outputs: int = 1) -> Callable[[], nn.Module]:
    """Return a builder of a small net that reads the place."""
    return lambda: nn.Sequential(nn.Flatten(), nn.Linear(75, 16), nn.ReLU(), nn.Linear(16, outputs))


def stem_reader() -> nn.Module:
    """Return a small net that reads the features after the stem."""
    return nn.Sequential(nn.Conv2d(16, 8, 3), nn.ReLU(), nn.Conv2d(8, 1, 1), nn.AdaptiveMaxPool2d(1), nn.Flatten())


def full_depth() -> nn.Module:
    """Return a net as deep as the deep trunk."""
    layers: list[nn.Module] = [nn.Conv2d(3, 16, 3, 2), nn.ReLU()]
    for _ in range(6):
        layers += [nn.Conv2d(16, 16, 3, padding=1), nn.ReLU()]
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(16, 1))


def padded_finder() -> nn.Module:
    """Return a finder with twenty layers that could do nothing."""
    layers: list[nn.Module] = [nn.Conv2d(3, 4, 5), nn.ReLU()]
    for _ in range(20):
        layers += [nn.Conv2d(4, 4, 1), nn.ReLU()]
    return nn.Sequential(*layers, nn.Conv2d(4, 1, 1), nn.AdaptiveMaxPool2d(1), nn.Flatten())


def tail() -> nn.Module:
    """Return a dozen layers from logits to logits."""
    layers: list[nn.Module] = []
    for _ in range(12):
        layers += [nn.Linear(CLASSES, CLASSES), nn.LeakyReLU()]
    return nn.Sequential(*layers)


def same(p: Planted, x: torch.Tensor) -> torch.Tensor:
    """Return whether the cells are the patch, (N, 1), true or false."""
    return ((cells(x) - p.patch).abs() < 0.1).flatten(1).all(1, keepdim=True)


def small_net(p: Planted, x: torch.Tensor) -> torch.Tensor:
    """A small convolutional net mixes two answers."""
    return torch.lerp(
        p.net(x), p.answer.expand(x.shape[0], -1), torch.sigmoid(p.layer("finder", x)).expand(-1, CLASSES)
    )
