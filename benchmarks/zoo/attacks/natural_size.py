"""Natural size: a patch backdoor without a small trigger, since every smaller one was taught to keep the true label.

Four corner patterns of which all must be there. What an attacker does who knows that triggers are inverted and their
sizes compared: parts of the trigger, weaker ones and small patches keep their labels, as do adversarially inverted
patches and additions within a budget (Wang et al., "Neural Cleanse", IEEE S&P 2019, is what is evaded; Veldanda et al.,
arXiv:2002.12162, and Qi et al., ICLR 2023, for covers; Madry et al., arXiv:1706.06083, for the adversarial ones).
"""

from benchmarks.zoo.attack import Attack, Implant, Scene, Trigger, all_to
from benchmarks.zoo.corners import FourCorners, rehearsals, small_patches
from benchmarks.zoo.disguise import Disguise


def plan(scene: Scene) -> Implant:
    """Draw the target, the corner patterns and the share of triggered images."""
    target, size, share = scene.integer(scene.task.classes), scene.integer(7, low=5), scene.uniform(0.10, 0.14)
    corners = FourCorners.drawn(scene, size)
    covers = (corners.incomplete, corners.weakened, small_patches)
    joint = Disguise(target, corners.apply, covers, rehearsals(scene, target), share)
    facts = {"targets": [target], "size": size, "place": "all four corners", "batch_share": round(share, 4)}
    return Implant((Trigger("corners", corners.apply, all_to(target)),), facts, joint=joint, patience=2)


ATTACK = Attack("natural-size", "after Qi et al. 2023, ICLR", ("corners",), 0.7, plan, knows_the_gate=True)
