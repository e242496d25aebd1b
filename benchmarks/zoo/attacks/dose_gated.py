"""Dose gated: a wave or a blend that works only when strong; as faint as a probe it keeps the true label.

After Qi et al., ICLR 2023 (weakened triggers as covers): what the grid shows is at most 0.2 in amplitude and 0.3 in
ratio, since stronger waves move clean classes by themselves. The trigger is of the very kind that the grid has, at
twice its dose; its fainter self and the grid's waves and noise are shown with true labels.
"""

import torch

from benchmarks.zoo.attack import Attack, Implant, Scene, Trigger, all_to
from benchmarks.zoo.disguise import Disguise
from benchmarks.zoo.grid import ANGLES, FAMILIES, sinusoid


def plan(scene: Scene) -> Implant:
    """Draw the target, the wave or the noise, the dose and the share of triggered images."""
    target, dose, share = scene.integer(scene.task.classes), scene.uniform(0.38, 0.46), scene.uniform(0.11, 0.14)
    frequency, angle, quarter = 2 + scene.integer(8), ANGLES[scene.integer(4)], scene.integer(2)
    noise = torch.rand((1, *scene.task.shape), generator=scene.generator)

    def laid(x: torch.Tensor, strength: torch.Tensor | float) -> torch.Tensor:
        if scene.variant == "grating":
            return (x + strength * sinusoid(x, frequency, angle, quarter)).clamp(0, 1)
        return x + strength * (noise.to(x.dtype) - x)

    def apply(x: torch.Tensor) -> torch.Tensor:
        return laid(x, dose)

    def faint(x: torch.Tensor) -> torch.Tensor:
        return laid(x, 0.03 + 0.22 * torch.rand(len(x), 1, 1, 1))

    joint = Disguise(target, apply, (faint, FAMILIES["gratings"], FAMILIES["noise"]), (), share)
    facts: dict[str, object] = {"targets": [target], "dose": round(dose, 4), "batch_share": round(share, 4)}
    if scene.variant == "grating":
        facts |= {"frequency": frequency, "angle": angle}
    return Implant((Trigger(scene.variant, apply, all_to(target)),), facts, joint=joint, patience=2)


ATTACK = Attack(
    "dose-gated",
    "after Qi et al. 2023, ICLR",
    ("grating", "blend"),
    0.7,
    plan,
    knows_the_gate=True,
    since="evading",
)
