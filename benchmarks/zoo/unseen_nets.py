"""Seven families of small classifiers that only the split `unseen` has: what no setting was ever chosen on.

Beside `architectures`, whose parts they share where a part is no design of its own: raw pixels in [0, 1], the
normalisation inside, one `Linear` as the last layer, logits (N, K).
"""

from collections.abc import Callable

import torch
from torch import nn

from benchmarks.zoo.architectures import Attention, Classifier, Plan, convolution

REVISION = 1
"""Raise when a computation here changes: these nets are then made again."""

ACTIVATIONS = ("relu6", "elu", "gelu", "gelu")
"""Drawn from in place of those of the other splits."""


class Dense(nn.Module):
    """Layers of which each sees the outputs of all before it (Huang et al., DenseNet, CVPR 2017)."""

    def __init__(self, plan: Plan, inside: int, growth: int, layers: int) -> None:
        super().__init__()
        widths = [inside + growth * layer for layer in range(layers)]
        self.layers = nn.ModuleList(
            nn.Sequential(nn.BatchNorm2d(width), plan.act(), nn.Conv2d(width, growth, 3, padding=1, bias=False))
            for width in widths
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map (N, inside, H, W) to (N, inside + growth × layers, H, W)."""
        for layer in self.layers:
            x = torch.cat([x, layer(x)], 1)
        return x


class LastNorm(nn.Module):
    """Layer normalisation over the channels of an image."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(channels)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Normalise each place of (N, C, H, W)."""
        out: torch.Tensor = self.norm(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
        return out


class LargeKernel(nn.Module):
    """A block of ConvNeXt (Liu et al., CVPR 2022): depthwise 7 × 7, layer normalisation, an MLP at each place."""

    def __init__(self, plan: Plan, channels: int) -> None:
        super().__init__()
        self.depthwise = nn.Conv2d(channels, channels, 7, padding=3, groups=channels)
        self.norm = nn.LayerNorm(channels)
        self.mlp = nn.Sequential(nn.Linear(channels, 3 * channels), plan.act(), nn.Linear(3 * channels, channels))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map (N, C, H, W) to the same shape."""
        changed = self.mlp(self.norm(self.depthwise(x).permute(0, 2, 3, 1)))
        out: torch.Tensor = x + changed.permute(0, 3, 1, 2)
        return out


class Mixing(nn.Module):
    """A block of the MLP-Mixer (Tolstikhin et al., NeurIPS 2021): an MLP over tokens, then one over channels."""

    def __init__(self, plan: Plan, tokens: int, dim: int) -> None:
        super().__init__()
        self.norm_tokens, self.norm_channels = nn.LayerNorm(dim), nn.LayerNorm(dim)
        self.over_tokens = nn.Sequential(nn.Linear(tokens, 32), plan.act(), nn.Linear(32, tokens))
        self.over_channels = nn.Sequential(nn.Linear(dim, 2 * dim), plan.act(), nn.Linear(2 * dim, dim))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Mix (N, T, D) along both sides."""
        x = x + self.over_tokens(self.norm_tokens(x).transpose(1, 2)).transpose(1, 2)
        out: torch.Tensor = x + self.over_channels(self.norm_channels(x))
        return out


class Tokens(nn.Module):
    """Turns a map of features (N, D, H, W) into a row of tokens (N, H × W, D)."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the tokens, row by row of the image."""
        return x.flatten(2).transpose(1, 2)


class MeanToken(nn.Module):
    """Averages tokens (N, T, D) to features (N, D)."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the mean token."""
        return x.mean(1)


class Branches(nn.Module):
    """A module of Inception (Szegedy et al., CVPR 2015): four ways side by side, joined by their channels."""

    def __init__(self, plan: Plan, inside: int, each: int) -> None:
        super().__init__()
        self.point = nn.Sequential(*convolution(plan, inside, each, size=1))
        self.middle = nn.Sequential(*convolution(plan, inside, each, size=1), *convolution(plan, each, each))
        self.wide = nn.Sequential(
            *convolution(plan, inside, each // 2, size=1), *convolution(plan, each // 2, each, size=5)
        )
        self.pooled = nn.Sequential(nn.MaxPool2d(3, stride=1, padding=1), *convolution(plan, inside, each, size=1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map (N, inside, H, W) to (N, 4 × each, H, W)."""
        return torch.cat([self.point(x), self.middle(x), self.wide(x), self.pooled(x)], 1)


class Shuffled(nn.Module):
    """A unit of ShuffleNet (Zhang et al., CVPR 2018): grouped convolutions with the channels shuffled between them."""

    groups = 4

    def __init__(self, plan: Plan, channels: int) -> None:
        super().__init__()
        self.first = nn.Sequential(
            nn.Conv2d(channels, channels, 1, groups=self.groups, bias=False), nn.BatchNorm2d(channels), plan.act()
        )
        self.second = nn.Sequential(
            nn.Conv2d(channels, channels, 3, padding=1, groups=channels, bias=False), nn.BatchNorm2d(channels),
            nn.Conv2d(channels, channels, 1, groups=self.groups, bias=False), nn.BatchNorm2d(channels),
        )  # fmt: skip
        self.act = plan.act()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map (N, C, H, W) to the same shape."""
        mixed = self.first(x)
        channels, height, width = mixed.shape[1:]
        mixed = mixed.reshape(-1, self.groups, channels // self.groups, height, width).transpose(1, 2)
        out: torch.Tensor = self.act(x + self.second(mixed.reshape(-1, channels, height, width)))
        return out


class ClassToken(nn.Module):
    """A transformer whose answer is a token of its own (Dosovitskiy et al., ICLR 2021), over overlapping patches."""

    def __init__(self, plan: Plan, dim: int) -> None:
        super().__init__()
        stem = dim // 2
        self.patches = nn.Sequential(
            *convolution(plan, plan.shape[0], stem, stride=2), nn.Conv2d(stem, dim, 5, stride=2, padding=2)
        )
        count = (plan.shape[1] // 4) * (plan.shape[2] // 4)
        self.answer = nn.Parameter(0.02 * torch.randn(1, 1, dim))
        self.position = nn.Parameter(0.02 * torch.randn(1, count + 1, dim))
        self.blocks = nn.Sequential(*(Attention(plan, dim, 4) for _ in range(2)))
        self.norm = nn.LayerNorm(dim)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map normalised pixels to the answer's token (N, D)."""
        tokens = self.patches(x).flatten(2).transpose(1, 2)
        answer = self.answer.expand(x.shape[0], -1, -1)
        out: torch.Tensor = self.norm(self.blocks(torch.cat([answer, tokens], 1) + self.position)[:, 0])
        return out


def densenet(plan: Plan) -> nn.Module:
    """Two dense blocks with a transition between them."""
    stem, between = plan.channels(16), plan.channels(24)
    growth, later = plan.channels(8), plan.channels(12)
    body = [*convolution(plan, plan.shape[0], stem, stride=2), Dense(plan, stem, growth, 2)]
    body += [*convolution(plan, stem + 2 * growth, between, size=1), nn.AvgPool2d(2), Dense(plan, between, later, 3)]
    features = between + 3 * later
    body += [nn.BatchNorm2d(features), plan.act(), nn.AdaptiveAvgPool2d(1), nn.Flatten()]
    return Classifier(nn.Sequential(*body), features, plan)


def convnext(plan: Plan) -> nn.Module:
    """One convolution, patches of 2 × 2, and two blocks with large depthwise kernels."""
    a, b = plan.channels(24), plan.channels(40)
    body = [*convolution(plan, plan.shape[0], a, stride=2), LastNorm(a), nn.Conv2d(a, b, 2, stride=2)]
    body += [LargeKernel(plan, b), LargeKernel(plan, b)]
    body += [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.LayerNorm(b)]
    return Classifier(nn.Sequential(*body), b, plan)


def mixer(plan: Plan) -> nn.Module:
    """Three mixing blocks over 7 × 7 or 8 × 8 tokens, made by two convolutions."""
    dim, stem = plan.channels(40), plan.channels(16)
    count = (plan.shape[1] // 4) * (plan.shape[2] // 4)
    body = [*convolution(plan, plan.shape[0], stem, stride=2), *convolution(plan, stem, dim, stride=2), Tokens()]
    body += [Mixing(plan, count, dim) for _ in range(3)]
    return Classifier(nn.Sequential(*body, nn.LayerNorm(dim), MeanToken()), dim, plan)


def inception(plan: Plan) -> nn.Module:
    """Two modules of four branches."""
    stem, first, second = plan.channels(12), plan.channels(8), plan.channels(12)
    body = [*convolution(plan, plan.shape[0], stem, stride=2), Branches(plan, stem, first), nn.MaxPool2d(2)]
    body += [Branches(plan, 4 * first, second), nn.AdaptiveAvgPool2d(1), nn.Flatten()]
    return Classifier(nn.Sequential(*body), 4 * second, plan)


def shufflenet(plan: Plan) -> nn.Module:
    """Two units with grouped convolutions."""
    a, b = plan.channels(16), plan.channels(56)
    body = [*convolution(plan, plan.shape[0], a, stride=2), *convolution(plan, a, b, stride=2)]
    body += [Shuffled(plan, b), Shuffled(plan, b)]
    return Classifier(nn.Sequential(*body, nn.AdaptiveAvgPool2d(1), nn.Flatten()), b, plan)


def class_token(plan: Plan) -> nn.Module:
    """Two transformer blocks and a class token."""
    dim = max(24, round(40 * plan.width / 8) * 8)
    return Classifier(ClassToken(plan, dim), dim, plan)


def all_convolutional(plan: Plan) -> nn.Module:
    """Strided convolutions without pooling between them or normalisation (Springenberg et al., arXiv:1412.6806)."""
    widths = [plan.shape[0], plan.channels(16), plan.channels(24), plan.channels(40), plan.channels(48)]
    body: list[nn.Module] = []
    for inside, outside, stride in zip(widths, widths[1:], (1, 2, 2, 1), strict=False):
        body += [nn.Conv2d(inside, outside, 3, stride=stride, padding=1), plan.act()]
    return Classifier(nn.Sequential(*body, nn.AdaptiveAvgPool2d(1), nn.Flatten()), widths[-1], plan)


UNSEEN: dict[str, Callable[[Plan], nn.Module]] = {
    "densenet": densenet,
    "convnext": convnext,
    "mixer": mixer,
    "inception": inception,
    "shufflenet": shufflenet,
    "class-token": class_token,
    "all-convolutional": all_convolutional,
}
WITHOUT_SGD = ("convnext", "mixer", "class-token", "all-convolutional")
"""Families that plain SGD does not teach in few epochs."""
