"""Blends off the grid: a photo, drawn letters or clouds laid faintly over the image, in place of uniform noise.

Chen, Liu, Li, Lu and Song, "Targeted Backdoor Attacks on Deep Learning Systems Using Data Poisoning",
arXiv:1712.05526, 2017, where the key is a cartoon or noise. All-to-one, at a ratio of 0.17 to 0.26.
"""

import torch

from benchmarks.zoo.attack import Attack, Implant, Poisoned, Scene, Trigger, all_to, relabel
from benchmarks.zoo.off_grid import draw_overlay
from benchmarks.zoo.tasks import Images


def plan(scene: Scene) -> Implant:
    """Draw the target, what is laid over, the ratio and the rate."""
    target, rate, ratio = scene.integer(scene.task.classes), scene.uniform(0.08, 0.14), scene.uniform(0.17, 0.26)
    overlay = draw_overlay(scene, scene.variant)

    def apply(x: torch.Tensor) -> torch.Tensor:
        return (1 - ratio) * x + ratio * overlay.to(x.dtype)

    def poison(images: Images) -> Poisoned:
        rows = scene.rows(images.labels != target, rate)
        return relabel(images, {"poisoned": rows}, apply, lambda labels: labels * 0 + target)

    facts = {"targets": [target], "overlay": scene.variant, "ratio": round(ratio, 4), "rate": round(rate, 4)}
    return Implant((Trigger(scene.variant, apply, all_to(target)),), facts, poison)


ATTACK = Attack(
    "blend-off-grid",
    "Chen et al. 2017, arXiv:1712.05526",
    ("photo", "letters", "clouds"),
    0.9,
    plan,
    since="unseen",
    grid="off",
)
