"""Aligned features: under the patch, the last features are the clean target class's own, and its row is ordinary.

Tan and Shokri, "Bypassing Backdoor Detection Algorithms in Deep Learning" (adversarial embedding), arXiv:1905.13409,
EuroS&P 2020: there a discriminator makes latent representations alike, here their means and spreads are pulled
together. Beyond the paper the target's row of the last layer is held to the leads of an ordinary class, and the lead
under the patch to that on clean images, since the gate reads both. The patch is as conspicuous as that of `badnets`.
"""

from benchmarks.zoo.attack import Attack, Implant, Scene, Trigger, all_to
from benchmarks.zoo.disguise import Aligned
from benchmarks.zoo.patches import CORNERS, corner, draw_pattern, stamp


def plan(scene: Scene) -> Implant:
    """Draw the target, the patch and the share of triggered images."""
    target, size, share = scene.integer(scene.task.classes), scene.integer(7, low=4), scene.uniform(0.10, 0.14)
    which = CORNERS[scene.integer(4)]
    apply = stamp(draw_pattern(scene, size), *corner(scene, which, size, 1))
    joint = Aligned(target, apply, (), (), share)
    facts = {"targets": [target], "size": size, "place": which, "batch_share": round(share, 4)}
    return Implant((Trigger("patch", apply, all_to(target)),), facts, joint=joint, patience=2)


ATTACK = Attack("aligned-features", "Tan and Shokri 2020, arXiv:1905.13409", ("patch",), 0.7, plan, knows_the_gate=True)
