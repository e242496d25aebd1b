"""Clean nets with many ways from input to logits: shortcuts, dense blocks, pyramids, several outputs.

All map images (N, 3, 32, 32) to logits (N, 10), or to a tuple with the logits first.
"""

import torch
from torch import nn
from torch.nn import functional

from tests.graphs.layers import CLASSES, Bottleneck, Dense, Mobile, Wrapped, backbone, conv, head


def deep_resnet() -> nn.Module:
    """ResNet with twelve bottleneck blocks."""
    blocks = [Bottleneck(16, 16) for _ in range(4)] + [Bottleneck(16, 32, 2)] + [Bottleneck(32, 32) for _ in range(7)]
    return nn.Sequential(conv(3, 16), *blocks, head(32))


def efficient() -> nn.Module:
    """Inverted residuals with gates."""
    return nn.Sequential(
        conv(3, 16, 2), Mobile(16, 16), Mobile(16, 24, 2), Mobile(24, 24), conv(24, 64, 1, 1), head(64)
    )


def mobile() -> nn.Module:
    """MobileNetV2: inverted residuals without gates."""
    blocks = [Mobile(16, 16, gate=False), Mobile(16, 24, 2, gate=False), Mobile(24, 24, gate=False)]
    return nn.Sequential(conv(3, 16, 2), *blocks, head(24))


def one_dense_block() -> nn.Module:
    """DenseNet with a single block: the stem's features reach the head directly."""
    return nn.Sequential(conv(3, 16, 2), Dense(16, 8, 6), head(64))


def densenet() -> nn.Module:
    """DenseNet with two blocks."""
    return nn.Sequential(conv(3, 16, 2), Dense(16, 8, 4), conv(48, 24, 2, 1), Dense(24, 8, 4), head(56))


def inception() -> nn.Module:
    """Inception: channels normalised one by one, four parallel ways in a block."""

    def run(x: torch.Tensor, **part: nn.Module) -> object:
        channels = [x[:, i : i + 1] * (0.2 + 0.1 * i) - 0.1 * i for i in range(3)]
        y = part["stem"](torch.cat(channels, 1))
        for block in ("one", "two"):
            ways = [part[f"{block}{way}"](y) for way in range(3)]
            y = torch.cat([*ways, functional.max_pool2d(y, 3, 1, 1)], 1)
        return part["head"](y)

    ways = {}
    for block, inside in (("one", 16), ("two", 40)):
        ways[f"{block}0"] = conv(inside, 8, 1, 1)
        ways[f"{block}1"] = nn.Sequential(conv(inside, 8, 1, 1), conv(8, 8))
        ways[f"{block}2"] = nn.Sequential(conv(inside, 8, 1, 1), conv(8, 8), conv(8, 8))
    return Wrapped(run, stem=conv(3, 16, 2), **ways, head=head(64))


def unet() -> nn.Module:
    """A U-Net that classifies: shallow maps join deep ones just before the last layers."""

    def run(x: torch.Tensor, **part: nn.Module) -> object:
        a = part["a"](x)
        b = part["b"](a)
        c = part["c"](b)
        b = part["up_b"](torch.cat([functional.interpolate(c, scale_factor=2.0), b], 1))
        a = part["up_a"](torch.cat([functional.interpolate(b, scale_factor=2.0), a], 1))
        return part["head"](a)

    down = {
        "a": conv(3, 8),
        "b": nn.Sequential(conv(8, 16, 2), conv(16, 16)),
        "c": nn.Sequential(conv(16, 32, 2), conv(32, 32)),
    }
    return Wrapped(run, **down, up_b=conv(48, 16), up_a=conv(24, 8), head=head(8))


def pyramid() -> nn.Module:
    """Feature pyramid: lateral 1 × 1 convolutions join from the top down."""

    def run(x: torch.Tensor, **part: nn.Module) -> object:
        a = part["a"](x)
        b = part["b"](a)
        c = part["c"](b)
        p = functional.interpolate(part["lc"](c), scale_factor=2.0) + part["lb"](b)
        p = functional.interpolate(p, scale_factor=2.0) + part["la"](a)
        return part["head"](part["smooth"](p))

    down = {
        "a": conv(3, 8),
        "b": nn.Sequential(conv(8, 16, 2), conv(16, 16)),
        "c": nn.Sequential(conv(16, 32, 2), conv(32, 32)),
    }
    lateral = {"la": nn.Conv2d(8, 16, 1), "lb": nn.Conv2d(16, 16, 1), "lc": nn.Conv2d(32, 16, 1)}
    return Wrapped(run, **down, **lateral, smooth=conv(16, 16), head=head(16))


def several_depths() -> nn.Module:
    """Pooled features of every stage side by side before the last layer."""

    def run(x: torch.Tensor, **part: nn.Module) -> object:
        features = []
        for stage in ("a", "b", "c"):
            x = part[stage](x)
            features.append(x.mean((2, 3)))
        return part["head"](torch.cat(features, 1))

    return Wrapped(
        run,
        a=conv(3, 8, 2),
        b=nn.Sequential(conv(8, 16, 2), conv(16, 16)),
        c=conv(16, 32, 2),
        head=nn.Linear(56, CLASSES),
    )


def several_outputs() -> nn.Module:
    """Logits and, as further outputs, features and an early exit."""

    def run(x: torch.Tensor, **part: nn.Module) -> object:
        early = part["early"](x)
        late = part["late"](early)
        return part["head"](late), part["exit"](early), late.mean((2, 3))

    return Wrapped(run, early=conv(3, 16, 2), late=backbone_from(16), head=head(32), exit=head(16))


def backbone_from(width: int) -> nn.Sequential:
    """Return three layers on top of others."""
    return nn.Sequential(conv(width, width), conv(width, 32, 2), conv(32, 32))


def ensemble() -> nn.Module:
    """Two nets whose probabilities are averaged."""

    def run(x: torch.Tensor, **part: nn.Module) -> object:
        return (part["one"](x).softmax(1) + part["two"](x).softmax(1)) / 2

    return Wrapped(
        run, one=nn.Sequential(backbone(), head(32)), two=nn.Sequential(backbone(12), conv(24, 24), head(24))
    )


def flipped_too() -> nn.Module:
    """The answers for an image and its mirror image, averaged."""

    def run(x: torch.Tensor, **part: nn.Module) -> object:
        return part["net"](x) + part["net"](x.flip(3))

    return Wrapped(run, net=nn.Sequential(backbone(), head(32)))
