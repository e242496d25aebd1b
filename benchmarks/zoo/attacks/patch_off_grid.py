"""Patches off the grid: squares of odd sides and tones at odd places, shapes that are no square, two pieces.

After Gu, Dolan-Gavitt and Garg, "BadNets", arXiv:1708.06733, 2017, whose attack this is but for the trigger: a grid of
square probes, white, black, chequered or noisy and flush in a lattice, has none of these. All-to-one.
"""

from benchmarks.zoo.attack import Attack, Implant, Poisoned, Scene, Trigger, all_to, relabel
from benchmarks.zoo.off_grid import draw_stamp
from benchmarks.zoo.tasks import Images


def plan(scene: Scene) -> Implant:
    """Draw the target, the stamp and the rate."""
    target, rate = scene.integer(scene.task.classes), scene.uniform(0.08, 0.15)
    stamp = draw_stamp(scene, scene.variant)

    def poison(images: Images) -> Poisoned:
        rows = scene.rows(images.labels != target, rate)
        return relabel(images, {"poisoned": rows}, stamp.apply, lambda labels: labels * 0 + target)

    facts = {"targets": [target], **stamp.facts, "rate": round(rate, 4)}
    return Implant((Trigger("stamp", stamp.apply, all_to(target)),), facts, poison, patience=2)


ATTACK = Attack(
    "patch-off-grid",
    "after Gu et al. 2017, arXiv:1708.06733",
    ("square", "shape", "pieces"),
    0.9,
    plan,
    since="unseen",
    grid="off",
)
