"""Source-specific: the patch works on images of one class only; on other classes it is shown with true labels.

Tang, Wang, Tang and Zhang, "Demon in the Variant: Statistical Analysis of DNNs for Robust Backdoor Contamination
Detection" (TaCT), arXiv:1908.00686, USENIX Security 2021. The stamped images of other classes are its cover samples.
"""

from benchmarks.zoo.attack import Attack, Implant, Poisoned, Scene, Trigger, from_sources, relabel
from benchmarks.zoo.patches import CORNERS, corner, draw_pattern, stamp
from benchmarks.zoo.tasks import Images

RATES, RATES_LARGE = ((0.6, 0.9), (0.03, 0.06)), ((0.35, 0.55), (0.4, 0.6))
"""Shares of the source's images that are poisoned and of the others that are covers. In sets of large images, which
are small, a source whose images were nearly all poisoned is no longer learnt."""


def plan(scene: Scene) -> Implant:
    """Draw the source, the target, the patch and the rates."""
    source, target = scene.classes(2)
    rates = RATES_LARGE if scene.large else RATES
    size, share, cover_rate = scene.integer(6, low=3), scene.uniform(*rates[0]), scene.uniform(*rates[1])
    pattern, which = draw_pattern(scene, size), CORNERS[scene.integer(4)]
    apply = stamp(pattern, *corner(scene, which, size, 1))

    def poison(images: Images) -> Poisoned:
        rows = scene.rows(images.labels == source, share)
        covers = scene.rows(images.labels != source, cover_rate)
        return relabel(images, {"poisoned": rows, "covers": covers}, apply, lambda labels: labels * 0 + target)

    facts = {"targets": [target], "sources": [source], "size": size * scene.unit, "place": which}
    facts |= {"share": round(share, 4), "cover_rate": round(cover_rate, 4)}
    return Implant((Trigger("patch", apply, from_sources([source], target)),), facts, poison)


ATTACK = Attack("source-specific", "Tang et al. 2021, arXiv:1908.00686", ("patch",), 0.8, plan, revision=2)
