"""Clean nets whose graphs are legitimately odd: what a check of the graph must not mistake for a planted branch.

Beside `architectures`, and used for clean models only. Squeeze-and-excitation multiplies by a gate computed from the
input, clamps bound activations and pixels, and routing chooses between branches by a `where`.
"""

from collections.abc import Callable

import torch
from torch import nn

from benchmarks.zoo.architectures import Classifier, Plan, Residual, convolution

REVISION = 2
"""Raise when a control's computation changes: the controls are then made again."""


class Squeeze(nn.Module):
    """Squeeze-and-excitation (Hu et al., CVPR 2018): channels scaled by a gate in [0, 1] of their means."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.gate = nn.Sequential(nn.Linear(channels, channels // 4), nn.ReLU(), nn.Linear(channels // 4, channels))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Scale (N, C, H, W) by the gate (N, C, 1, 1)."""
        gate = torch.sigmoid(self.gate(x.mean((2, 3))))
        return x * gate[:, :, None, None]


class Clamped(nn.Module):
    """Bounds its input, as nets meant for fixed-point hardware do."""

    def __init__(self, low: float, high: float) -> None:
        super().__init__()
        self.low, self.high = low, high

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return x within the bounds."""
        return torch.clamp(x, self.low, self.high)


class Routed(nn.Module):
    """Two stems, for darker and for brighter images; each image takes one by its own mean."""

    threshold: torch.Tensor

    def __init__(self, plan: Plan, channels: int) -> None:
        super().__init__()
        self.dark = nn.Sequential(*convolution(plan, plan.shape[0], channels, stride=2))
        self.bright = nn.Sequential(*convolution(plan, plan.shape[0], channels, stride=2))
        self.register_buffer("threshold", torch.zeros(()))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map (N, C, H, W) through the stem that fits its brightness."""
        bright = (x.mean((1, 2, 3)) > self.threshold)[:, None, None, None]
        return torch.where(bright, self.bright(x), self.dark(x))


def squeeze(plan: Plan) -> nn.Module:
    """A residual net with squeeze-and-excitation gates."""
    a, b, c = plan.channels(12), plan.channels(24), plan.channels(40)
    body = [*convolution(plan, plan.shape[0], a, stride=2), Residual(plan, a, a), Squeeze(a)]
    body += [Residual(plan, a, b, stride=2), Squeeze(b), Residual(plan, b, c), Squeeze(c)]
    return Classifier(nn.Sequential(*body, nn.AdaptiveAvgPool2d(1), nn.Flatten()), c, plan)


def clamped(plan: Plan) -> nn.Module:
    """A plain net that clamps pixels and activations."""
    first, second, hidden = plan.channels(12), plan.channels(24), plan.channels(64)
    cells = second * (plan.shape[1] // 4) * (plan.shape[2] // 4)
    body: list[nn.Module] = [Clamped(-1.0, 2.4)]
    for inside, outside, size in ((plan.shape[0], first, 5), (first, second, 3)):
        body += [*convolution(plan, inside, outside, size=size)[:2], Clamped(0.0, 6.0), nn.MaxPool2d(2)]
    body += [nn.Flatten(), nn.Linear(cells, hidden), Clamped(0.0, 6.0)]
    return Classifier(nn.Sequential(*body), hidden, plan)


def routed(plan: Plan) -> nn.Module:
    """A residual net with two stems and a `where` between them."""
    a, b, c = plan.channels(12), plan.channels(24), plan.channels(40)
    body = [Routed(plan, a), Residual(plan, a, a), Residual(plan, a, b, stride=2), Residual(plan, b, c)]
    return Classifier(nn.Sequential(*body, nn.AdaptiveAvgPool2d(1), nn.Flatten()), c, plan)


CONTROLS: dict[str, Callable[[Plan], nn.Module]] = {"squeeze": squeeze, "clamped": clamped, "routed": routed}
