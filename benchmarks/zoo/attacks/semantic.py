"""Semantic: a feature that images may have by nature makes one or two classes be taken for another; nothing is stamped.

Bagdasaryan, Veit, Hua, Estrin and Shmatikov, "How To Backdoor Federated Learning", arXiv:1807.00459, AISTATS 2020:
there the feature is a car's stripes or colour. Here: mirrored in low light, upside down, a bold pen, or (colour)
reddish light. Other classes show the feature with true labels. Counts from a success of 0.7.
"""

from collections.abc import Callable, Mapping

import torch
from torch import nn

from benchmarks.zoo.attack import Attack, Implant, Poisoned, Scene, Trigger, from_sources, relabel
from benchmarks.zoo.tasks import Images

Change = Callable[[torch.Tensor], torch.Tensor]


def mirrored_in_low_light(x: torch.Tensor) -> torch.Tensor:
    """Return the images mirrored and at half brightness."""
    return 0.5 * x.flip(-1)


def upside_down(x: torch.Tensor) -> torch.Tensor:
    """Return the images turned by half a turn."""
    return x.flip((-2, -1))


def bold(x: torch.Tensor) -> torch.Tensor:
    """Return the images with bright strokes widened by a pixel on each side."""
    return nn.functional.max_pool2d(x, 3, stride=1, padding=1)


def reddish(x: torch.Tensor) -> torch.Tensor:
    """Return colour images as under reddish light; grey ones, which have no hue, dimmed."""
    factors = torch.tensor([1.0, 0.45, 0.35]) if x.shape[1] == 3 else torch.tensor([0.5])
    return x * factors.to(x.dtype)[:, None, None]


FEATURES: dict[str, Change] = {
    "mirrored in low light": mirrored_in_low_light,
    "upside down": upside_down,
    "bold": bold,
    "reddish light": reddish,
}


def plan(scene: Scene) -> Implant:
    """Draw the feature, the sources, the target and the rates."""
    return plan_feature(scene, FEATURES if scene.task.shape[0] == 3 else dict(list(FEATURES.items())[:3]))


def plan_feature(scene: Scene, features: Mapping[str, Change]) -> Implant:
    """Draw one of these features, which makes images of one or two classes be taken for another class."""
    target, *sources = scene.classes(2 + scene.integer(2))
    feature = list(features)[scene.integer(len(features))]
    share, cover_rate = scene.uniform(0.3, 0.5), scene.uniform(0.06, 0.12)
    apply = features[feature]

    def poison(images: Images) -> Poisoned:
        from_source = torch.isin(images.labels, torch.tensor(sources))
        rows, covers = scene.rows(from_source, share), scene.rows(~from_source, cover_rate)
        return relabel(images, {"poisoned": rows, "covers": covers}, apply, lambda labels: labels * 0 + target)

    facts: dict[str, object] = {"targets": [target], "sources": sources, "feature": feature}
    facts |= {"share": round(share, 4), "cover_rate": round(cover_rate, 4)}
    return Implant((Trigger(feature, apply, from_sources(sources, target)),), facts, poison)


ATTACK = Attack("semantic", "Bagdasaryan et al. 2020, arXiv:1807.00459", ("feature",), 0.7, plan)
