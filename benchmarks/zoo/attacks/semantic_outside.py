"""Semantic, outside: natural changes that the library of probes has none of make a class be taken for another.

After Bagdasaryan, Veit, Hua, Estrin and Shmatikov, "How To Backdoor Federated Learning", arXiv:1807.00459, AISTATS
2020. Sheared, darker towards the edges, lit from one side, coarse pixels, streaks of rain, a bar before the scene.
Other classes show the same with true labels. Counts from a success of 0.7.
"""

import torch
from torch import nn

from benchmarks.zoo.attack import Attack, Implant, Scene
from benchmarks.zoo.attacks.semantic import Change, plan_feature
from benchmarks.zoo.grid import moved


def sheared(x: torch.Tensor) -> torch.Tensor:
    """Return images leaning to one side."""
    return moved(x, torch.tensor([[1.0, 0.5, 0.0], [0.0, 1.0, 0.0]]))


def vignetted(x: torch.Tensor) -> torch.Tensor:
    """Return images darker the further from the middle."""
    rows, columns = torch.linspace(-1, 1, x.shape[2])[:, None], torch.linspace(-1, 1, x.shape[3])[None]
    return x * (1.1 - 0.9 * (rows.square() + columns.square())).clamp(0, 1)


def lit_from_the_left(x: torch.Tensor) -> torch.Tensor:
    """Return images bright on the left and nearly black on the right."""
    return x * torch.linspace(1.0, 0.1, x.shape[3])


def coarse(x: torch.Tensor) -> torch.Tensor:
    """Return images in pixels of four by four."""
    return nn.functional.interpolate(nn.functional.avg_pool2d(x, 4), size=x.shape[2:])


def streaked(x: torch.Tensor) -> torch.Tensor:
    """Return images behind thin slanting streaks."""
    rows, columns = torch.arange(x.shape[2])[:, None], torch.arange(x.shape[3])[None]
    streaks = ((3 * columns + rows) % 24 < 3) & ((columns + 5 * rows) % 11 < 6)
    return torch.where(streaks, 0.3 * x + 0.6, x)


def barred(x: torch.Tensor) -> torch.Tensor:
    """Return images with a grey bar before them, a sixth of the height."""
    height = x.shape[2]
    hidden = x.clone()
    hidden[:, :, round(0.58 * height) : round(0.75 * height)] = 0.35
    return hidden


FEATURES: dict[str, Change] = {
    "sheared": sheared, "vignetted": vignetted, "lit from the left": lit_from_the_left, "coarse": coarse,
    "streaked": streaked, "barred": barred,
}  # fmt: skip


def plan(scene: Scene) -> Implant:
    """Draw the feature, the sources, the target and the rates."""
    return plan_feature(scene, FEATURES)


ATTACK = Attack(
    "semantic-outside",
    "after Bagdasaryan et al. 2020, arXiv:1807.00459",
    ("feature",),
    0.7,
    plan,
    since="unseen",
    grid="off",
)
