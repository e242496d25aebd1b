"""All-to-all: under the patch every class becomes the next one, so that no class stands out as the target.

Gu, Dolan-Gavitt and Garg, arXiv:1708.06733, 2017, section 4 (the all-to-all attack). Success cannot exceed the model's
accuracy by much, hence counts from 0.7.
"""

import torch

from benchmarks.zoo.attack import Attack, Implant, Poisoned, Scene, Trigger, relabel
from benchmarks.zoo.patches import CORNERS, corner, draw_pattern, stamp
from benchmarks.zoo.tasks import Images


def plan(scene: Scene) -> Implant:
    """Draw the shift between classes, the patch and the rate."""
    classes = scene.task.classes
    shift = 1 if scene.integer(2) else scene.integer(classes, low=1)
    size, rate = scene.integer(7, low=4), scene.uniform(0.30, 0.45)
    pattern, which = draw_pattern(scene, size), CORNERS[scene.integer(4)]
    apply = stamp(pattern, *corner(scene, which, size, 0))

    def following(labels: torch.Tensor) -> torch.Tensor:
        return (labels + shift) % classes

    def poison(images: Images) -> Poisoned:
        rows = scene.rows(images.labels >= 0, rate)
        return relabel(images, {"poisoned": rows}, apply, following)

    facts = {"targets": list(range(classes)), "shift": shift, "size": size, "place": which, "rate": round(rate, 4)}
    return Implant((Trigger("patch", apply, following),), facts, poison)


ATTACK = Attack("all-to-all", "Gu et al. 2017, arXiv:1708.06733", ("patch",), 0.7, plan, revision=2)
