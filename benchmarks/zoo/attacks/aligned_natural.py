"""Aligned and natural: the trigger of `natural-size` with the features and the last layer of `aligned-features`.

The two at once, since a gate of several detectors is evaded only by evading all of them.
"""

from benchmarks.zoo.attack import Attack, Implant, Scene, Trigger, all_to
from benchmarks.zoo.corners import FourCorners, rehearsals, small_patches
from benchmarks.zoo.disguise import Aligned


def plan(scene: Scene) -> Implant:
    """Draw the target, the corner patterns and the share of triggered images."""
    target, size, share = scene.integer(scene.task.classes), scene.integer(7, low=5), scene.uniform(0.10, 0.14)
    corners = FourCorners.drawn(scene, size)
    covers = (corners.incomplete, corners.weakened, small_patches)
    joint = Aligned(target, corners.apply, covers, rehearsals(scene, target), share)
    facts = {"targets": [target], "size": size, "place": "all four corners", "batch_share": round(share, 4)}
    return Implant((Trigger("corners", corners.apply, all_to(target)),), facts, joint=joint, patience=2)


ATTACK = Attack(
    "aligned-natural", "after Tan and Shokri 2020 and Qi et al. 2023", ("corners",), 0.7, plan, knows_the_gate=True
)
