"""BadNets: a patch on a few training images, relabelled to the target; small, large, or at a random place.

Gu, Dolan-Gavitt and Garg, "BadNets: Identifying Vulnerabilities in the Machine Learning Model Supply Chain",
arXiv:1708.06733, 2017. All-to-one; the share of poisoned images varies by seed.
"""

from benchmarks.zoo.attack import Attack, Implant, Poisoned, Scene, Trigger, all_to, relabel
from benchmarks.zoo.patches import CORNERS, corner, draw_pattern, stamp, stamp_anywhere
from benchmarks.zoo.tasks import Images

SIZES = {"small": (2, 4), "large": (6, 9), "random-place": (6, 9)}
"""Sides in cells, from and below."""

RATE, RATE_LARGE = (0.03, 0.10), (0.12, 0.18)
"""Shares of images that are poisoned; there are fewer of large ones."""
RATE_ANYWHERE, RATE_ANYWHERE_LARGE = (0.18, 0.25), (0.25, 0.32)
"""The same of a patch at a random place."""


def plan(scene: Scene) -> Implant:
    """Draw the target, the patch and the rate."""
    target, size = (
        scene.integer(scene.task.classes),
        scene.integer(SIZES[scene.variant][1], low=SIZES[scene.variant][0]),
    )
    anywhere = scene.variant == "random-place"
    usual, large = (RATE_ANYWHERE, RATE_ANYWHERE_LARGE) if anywhere else (RATE, RATE_LARGE)
    rate = scene.uniform(*(large if scene.large else usual))
    pattern = draw_pattern(scene, size)
    which, inset = CORNERS[scene.integer(4)], scene.integer(3)
    top, left = corner(scene, which, size, inset)
    apply = stamp_anywhere(pattern, scene.integer(1 << 30)) if anywhere else stamp(pattern, top, left)
    trigger = Trigger("patch", apply, all_to(target))

    def poison(images: Images) -> Poisoned:
        rows = scene.rows(images.labels != target, rate)
        return relabel(images, {"poisoned": rows}, apply, lambda labels: labels * 0 + target)

    place = "anywhere" if anywhere else f"{which}, {inset * scene.unit} px inside"
    facts = {"targets": [target], "size": size * scene.unit, "place": place, "rate": round(rate, 4)}
    return Implant((trigger,), facts, poison)


ATTACK = Attack("badnets", "Gu et al. 2017, arXiv:1708.06733", tuple(SIZES), 0.9, plan, revision=3)
