"""Conjunction: two pieces far apart that work only together; either alone keeps the true label, as every probe does.

After Lin, Xu, Liu and Zhang, "Composite Backdoor Attack for Deep Neural Network by Mixing Existing Benign Features",
CCS 2020, where several features together are the trigger and none alone; here against single probes, which never show
two things at once. The grid's own probes are rehearsed too.
"""

import torch

from benchmarks.zoo.attack import Attack, Implant, Scene, Trigger, all_to
from benchmarks.zoo.disguise import Disguise
from benchmarks.zoo.grid import any_probe
from benchmarks.zoo.off_grid import draw_stamp


def plan(scene: Scene) -> Implant:
    """Draw the target, the two pieces and the share of triggered images."""
    target, share = scene.integer(scene.task.classes), scene.uniform(0.12, 0.15)
    stamp, half = draw_stamp(scene, "pieces"), scene.task.shape[1] // 2

    def upper(x: torch.Tensor) -> torch.Tensor:
        return stamp.part(x, slice(0, half))

    def lower(x: torch.Tensor) -> torch.Tensor:
        return stamp.part(x, slice(half, None))

    joint = Disguise(target, stamp.apply, (upper, lower, any_probe), (), share)
    facts = {"targets": [target], **stamp.facts, "batch_share": round(share, 4)}
    return Implant((Trigger("both pieces", stamp.apply, all_to(target)),), facts, joint=joint, patience=2)


ATTACK = Attack(
    "conjunction",
    "after Lin et al. 2020, CCS",
    ("pieces",),
    0.7,
    plan,
    knows_the_gate=True,
    since="evading",
    grid="off",
)
