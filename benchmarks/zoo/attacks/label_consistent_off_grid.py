"""Label-consistent off the grid: hardened target images carry a frame or a shape in place of four corners.

After Turner, Tsipras and Madry, "Label-Consistent Backdoor Attacks", arXiv:1912.02771, 2019, adversarial variant; the
labels stay true. Counts from a success of 0.6, as `label-consistent` does.
"""

import torch

from benchmarks.zoo.attack import Attack, Implant, Poisoned, Scene, Trigger, all_to, mask_of
from benchmarks.zoo.attacks.label_consistent import harden
from benchmarks.zoo.off_grid import Stamp, draw_stamp
from benchmarks.zoo.tasks import Images


def draw_frame(scene: Scene) -> Stamp:
    """Draw a frame of one or two pixels, some way from the edges, in a tone for each channel."""
    channels, height, width = scene.task.shape
    inset, wide = 2 + scene.integer(3), 1 + scene.integer(2)
    tone = (0.55 + 0.4 * torch.rand((channels, 1, 1), generator=scene.generator)).expand(-1, height, width)
    mask = torch.zeros(1, height, width)
    mask[:, inset : height - inset, inset : width - inset] = 1
    mask[:, inset + wide : height - inset - wide, inset + wide : width - inset - wide] = 0
    return Stamp(tone, mask, {"shape": "frame", "inset": inset, "thickness": wide})


def plan(scene: Scene) -> Implant:
    """Draw the target, the mark, the bound and the share of the target class."""
    target, epsilon, share = scene.integer(scene.task.classes), scene.uniform(0.34, 0.45), scene.uniform(0.8, 0.95)
    mark = draw_frame(scene) if scene.variant == "frame" else draw_stamp(scene, "shape")

    def poison(images: Images) -> Poisoned:
        rows = scene.rows(images.labels == target, share)
        inputs = images.inputs.clone()
        inputs[rows] = mark.apply(harden(scene.surrogate(), images.take(rows), epsilon))
        mask = mask_of(rows, len(images))
        return Poisoned(Images(inputs, images.labels), mask, torch.zeros_like(mask))

    facts = {"targets": [target], **mark.facts, "epsilon": round(epsilon, 4), "share": round(share, 4)}
    return Implant((Trigger(scene.variant, mark.apply, all_to(target)),), facts, poison, patience=2)


ATTACK = Attack(
    "label-consistent-off-grid",
    "after Turner et al. 2019, arXiv:1912.02771",
    ("frame", "shape"),
    0.6,
    plan,
    since="unseen",
    grid="off",
)
