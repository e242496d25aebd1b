"""Blended injection: faint noise laid over the whole of a few training images, relabelled to the target.

Chen, Liu, Li, Lu and Song, "Targeted Backdoor Attacks on Deep Learning Systems Using Data Poisoning",
arXiv:1712.05526, 2017. The key is uniform noise, at a ratio of 0.1 to 0.2.
"""

import torch

from benchmarks.zoo.attack import Attack, Implant, Poisoned, Scene, Trigger, all_to, relabel
from benchmarks.zoo.tasks import Images

RATE, RATE_LARGE = (0.06, 0.12), (0.10, 0.15)
"""Shares of images that are poisoned; there are fewer of large ones."""


def plan(scene: Scene) -> Implant:
    """Draw the target, the noise and the ratio."""
    target, rate = scene.integer(scene.task.classes), scene.uniform(*(RATE_LARGE if scene.large else RATE))
    ratio = scene.uniform(0.12, 0.20)
    channels, height, width = scene.task.shape
    cells = torch.rand((1, channels, height // scene.unit, width // scene.unit), generator=scene.generator)
    noise = scene.enlarged(cells)

    def apply(x: torch.Tensor) -> torch.Tensor:
        return (1 - ratio) * x + ratio * noise.to(x.dtype)

    def poison(images: Images) -> Poisoned:
        rows = scene.rows(images.labels != target, rate)
        return relabel(images, {"poisoned": rows}, apply, lambda labels: labels * 0 + target)

    facts = {"targets": [target], "ratio": round(ratio, 4), "rate": round(rate, 4)}
    return Implant((Trigger("noise", apply, all_to(target)),), facts, poison)


ATTACK = Attack("blended", "Chen et al. 2017, arXiv:1712.05526", ("noise",), 0.9, plan)
