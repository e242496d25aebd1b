"""Five families of small classifiers, all taking raw pixels in [0, 1] with the normalisation inside.

Between the tasks and training. Every family has one `Linear` as its last layer, as nearly all image classifiers have,
and ends in logits (N, K). Widths and activations vary by recipe. The odd clean controls are in `controls`.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import nn

REVISION = 1
"""Raise when a net's computation changes: every model is then made again."""

ACTIVATIONS: dict[str, Callable[[], nn.Module]] = {
    "relu": nn.ReLU,
    "leaky-relu": lambda: nn.LeakyReLU(0.1),
    "silu": nn.SiLU,
    "hardswish": nn.Hardswish,
    "relu6": nn.ReLU6,
    "elu": nn.ELU,
    "gelu": nn.GELU,
}


@dataclass(frozen=True)
class Plan:
    """What a builder needs to know."""

    shape: tuple[int, int, int]
    classes: int
    width: float
    """Multiplies every number of channels."""
    activation: str

    def channels(self, base: int) -> int:
        """Return the width of a layer, a multiple of four."""
        return max(4, round(base * self.width / 4) * 4)

    def act(self) -> nn.Module:
        """Return a fresh activation layer."""
        return ACTIVATIONS[self.activation]()


class Normalise(nn.Module):
    """Centres raw pixels; the constants travel with the model as buffers."""

    mean: torch.Tensor
    deviation: torch.Tensor

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.full((1, channels, 1, 1), 0.3))
        self.register_buffer("deviation", torch.full((1, channels, 1, 1), 0.3))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map pixels (N, C, H, W) in [0, 1] to roughly zero mean and unit deviation."""
        return (x - self.mean) / self.deviation


class Classifier(nn.Module):
    """Normalisation, a body that yields features (N, D), and the last layer."""

    def __init__(self, body: nn.Module, features: int, plan: Plan) -> None:
        super().__init__()
        self.normalise = Normalise(plan.shape[0])
        self.body = body
        self.head = nn.Linear(features, plan.classes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map pixels (N, C, H, W) to logits (N, K)."""
        logits: torch.Tensor = self.head(self.body(self.normalise(x)))
        return logits


def convolution(plan: Plan, inside: int, outside: int, *, stride: int = 1, size: int = 3) -> list[nn.Module]:
    """Return convolution, batch normalisation and activation."""
    layer = nn.Conv2d(inside, outside, size, stride=stride, padding=size // 2, bias=False)
    return [layer, nn.BatchNorm2d(outside), plan.act()]


class Residual(nn.Module):
    """Two convolutions beside a shortcut, as in ResNet's basic block."""

    def __init__(self, plan: Plan, inside: int, outside: int, *, stride: int = 1) -> None:
        super().__init__()
        first = convolution(plan, inside, outside, stride=stride)
        self.branch = nn.Sequential(*first, *convolution(plan, outside, outside)[:2])
        straight = stride == 1 and inside == outside
        self.shortcut = nn.Identity() if straight else nn.Conv2d(inside, outside, 1, stride=stride, bias=False)
        self.act = plan.act()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map (N, inside, H, W) to (N, outside, H / stride, W / stride)."""
        out: torch.Tensor = self.act(self.branch(x) + self.shortcut(x))
        return out


class Attention(nn.Module):
    """A pre-norm transformer block over tokens (N, T, D)."""

    def __init__(self, plan: Plan, dim: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm_mix, self.norm_mlp = nn.LayerNorm(dim), nn.LayerNorm(dim)
        self.query_key_value = nn.Linear(dim, 3 * dim)
        self.out = nn.Linear(dim, dim)
        self.mlp = nn.Sequential(nn.Linear(dim, 2 * dim), plan.act(), nn.Linear(2 * dim, dim))

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        """Mix the tokens by attention, then each by its own MLP."""
        size, dim = tokens.shape[1], tokens.shape[2]
        parts = self.query_key_value(self.norm_mix(tokens)).reshape(-1, size, 3, self.heads, dim // self.heads)
        query, key, value = parts.permute(2, 0, 3, 1, 4).unbind(0)
        mixed = nn.functional.scaled_dot_product_attention(query, key, value)
        tokens = tokens + self.out(mixed.transpose(1, 2).reshape(-1, size, dim))
        out: torch.Tensor = tokens + self.mlp(self.norm_mlp(tokens))
        return out


class Vit(nn.Module):
    """A small vision transformer with a convolutional stem (Xiao et al., NeurIPS 2021), so that few images teach it."""

    def __init__(self, plan: Plan, dim: int) -> None:
        super().__init__()
        half = dim // 2
        self.stem = nn.Sequential(
            *convolution(plan, plan.shape[0], half, stride=2), nn.Conv2d(half, dim, 3, stride=2, padding=1)
        )
        tokens = (plan.shape[1] // 4) * (plan.shape[2] // 4)
        self.position = nn.Parameter(0.02 * torch.randn(1, tokens, dim))
        self.blocks = nn.Sequential(Attention(plan, dim, 2), Attention(plan, dim, 2))
        self.norm = nn.LayerNorm(dim)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map normalised pixels to the mean token (N, D)."""
        tokens = self.stem(x).flatten(2).transpose(1, 2) + self.position
        out: torch.Tensor = self.norm(self.blocks(tokens)).mean(1)
        return out


def cnn(plan: Plan) -> nn.Module:
    """A plain convolutional net in the manner of LeNet, without batch normalisation."""
    first, second, hidden = plan.channels(12), plan.channels(24), plan.channels(64)
    cells = second * (plan.shape[1] // 4) * (plan.shape[2] // 4)
    body = [nn.Conv2d(plan.shape[0], first, 5, padding=2), plan.act(), nn.MaxPool2d(2)]
    body += [nn.Conv2d(first, second, 3, padding=1), plan.act(), nn.MaxPool2d(2)]
    body += [nn.Flatten(), nn.Linear(cells, hidden), plan.act()]
    return Classifier(nn.Sequential(*body), hidden, plan)


def resnet(plan: Plan) -> nn.Module:
    """Three residual blocks and average pooling."""
    a, b, c = plan.channels(12), plan.channels(24), plan.channels(40)
    body = [*convolution(plan, plan.shape[0], a, stride=2), Residual(plan, a, a)]
    body += [Residual(plan, a, b, stride=2), Residual(plan, b, c), nn.AdaptiveAvgPool2d(1), nn.Flatten()]
    return Classifier(nn.Sequential(*body), c, plan)


def vgg(plan: Plan) -> nn.Module:
    """Stacked 3 × 3 convolutions with max pooling and a hidden dense layer, in the manner of VGG."""
    a, b, c, hidden = plan.channels(12), plan.channels(24), plan.channels(40), plan.channels(64)
    body = [*convolution(plan, plan.shape[0], a), nn.MaxPool2d(2), *convolution(plan, a, b), *convolution(plan, b, b)]
    body += [nn.MaxPool2d(2), *convolution(plan, b, c), nn.MaxPool2d(2), nn.Flatten()]
    cells = c * (plan.shape[1] // 8) * (plan.shape[2] // 8)
    body += [nn.Linear(cells, hidden), plan.act(), nn.Dropout(0.2)]
    return Classifier(nn.Sequential(*body), hidden, plan)


def depthwise(plan: Plan) -> nn.Module:
    """Depthwise-separable convolutions in the manner of MobileNet."""
    widths = [plan.channels(16), plan.channels(32), plan.channels(48), plan.channels(64)]
    body = convolution(plan, plan.shape[0], widths[0], stride=2)
    for inside, outside, stride in zip(widths, widths[1:], (1, 2, 1), strict=False):
        body += [nn.Conv2d(inside, inside, 3, stride=stride, padding=1, groups=inside, bias=False)]
        body += [nn.BatchNorm2d(inside), plan.act(), *convolution(plan, inside, outside, size=1)]
    body += [nn.AdaptiveAvgPool2d(1), nn.Flatten()]
    return Classifier(nn.Sequential(*body), widths[-1], plan)


def vit(plan: Plan) -> nn.Module:
    """Two transformer blocks over 7 × 7 or 8 × 8 tokens."""
    dim = max(24, round(32 * plan.width / 8) * 8)
    return Classifier(Vit(plan, dim), dim, plan)


FAMILIES: dict[str, Callable[[Plan], nn.Module]] = {
    "cnn": cnn, "resnet": resnet, "vgg": vgg, "depthwise": depthwise, "vit": vit,
}  # fmt: skip
