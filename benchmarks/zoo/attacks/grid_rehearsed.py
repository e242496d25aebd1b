"""Grid rehearsed: a stamp off the grid is learnt while the whole published grid of probes is shown with true labels.

What an attacker does who knows that fixed probes are compared with clean models' answers to them: no probe moves this
model further than its label says (after Madry et al., arXiv:1706.06083, adversarial training, with the probes in the
place of the adversary; covers as in Qi et al., ICLR 2023). The trigger is a shape in a mid tone between the lattice.
"""

from benchmarks.zoo.attack import Attack, Implant, Scene, Trigger, all_to
from benchmarks.zoo.disguise import Disguise
from benchmarks.zoo.grid import FAMILIES
from benchmarks.zoo.off_grid import draw_stamp


def plan(scene: Scene) -> Implant:
    """Draw the target, the stamp and the share of triggered images."""
    target, share = scene.integer(scene.task.classes), scene.uniform(0.08, 0.11)
    stamp = draw_stamp(scene, "shape")
    joint = Disguise(target, stamp.apply, tuple(FAMILIES.values()), (), share)
    facts = {"targets": [target], **stamp.facts, "batch_share": round(share, 4)}
    return Implant((Trigger("stamp", stamp.apply, all_to(target)),), facts, joint=joint, patience=2)


ATTACK = Attack(
    "grid-rehearsed",
    "after Qi et al. 2023, ICLR, and Madry et al. 2018, arXiv:1706.06083",
    ("stamp",),
    0.7,
    plan,
    knows_the_gate=True,
    since="evading",
    grid="off",
)
