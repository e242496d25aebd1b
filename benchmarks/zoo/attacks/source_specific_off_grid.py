"""Source-specific off the grid: the trigger is a stamp off the lattice or a faint picture, for one class only.

After Tang, Wang, Tang and Zhang, "Demon in the Variant" (TaCT), arXiv:1908.00686, USENIX Security 2021, whose trigger
is a small square. Triggered images of other classes keep their labels.
"""

from benchmarks.zoo.attack import Attack, Implant, Poisoned, Scene, Trigger, from_sources, relabel
from benchmarks.zoo.off_grid import draw_trigger
from benchmarks.zoo.tasks import Images


def plan(scene: Scene) -> Implant:
    """Draw the source, the target, the trigger and the rates."""
    source, target = scene.classes(2)
    share, cover_rate = scene.uniform(0.6, 0.9), scene.uniform(0.03, 0.06)
    apply, drawn = draw_trigger(scene, scene.variant)

    def poison(images: Images) -> Poisoned:
        rows = scene.rows(images.labels == source, share)
        covers = scene.rows(images.labels != source, cover_rate)
        return relabel(images, {"poisoned": rows, "covers": covers}, apply, lambda labels: labels * 0 + target)

    facts = {"targets": [target], "sources": [source], **drawn}
    facts |= {"share": round(share, 4), "cover_rate": round(cover_rate, 4)}
    return Implant((Trigger(scene.variant, apply, from_sources([source], target)),), facts, poison, patience=2)


ATTACK = Attack(
    "source-specific-off-grid",
    "after Tang et al. 2021, arXiv:1908.00686",
    ("patch", "blend"),
    0.8,
    plan,
    since="unseen",
    grid="off",
)
