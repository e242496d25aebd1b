"""Label-consistent: target images made hard to recognise by adversarial noise, then stamped; labels stay true.

Turner, Tsipras and Madry, "Label-Consistent Backdoor Attacks", arXiv:1912.02771, 2019: the adversarial variant, against
a surrogate model of the task, with the trigger in all four corners, at a bound of 0.25 to 0.38. Counts from a success
of 0.6.
"""

import torch
from torch import nn

from benchmarks.zoo.attack import CELLS, Attack, Implant, Poisoned, Scene, Trigger, all_to, mask_of
from benchmarks.zoo.measuring import portion
from benchmarks.zoo.patches import CORNERS, corner, draw_pattern, stamp
from benchmarks.zoo.tasks import Images

STEPS = 8


def harden(model: nn.Module, images: Images, epsilon: float) -> torch.Tensor:
    """Return the inputs moved by projected gradient ascent on the loss, within epsilon of each pixel."""
    most = len(images) if images.inputs.shape[3] <= CELLS else portion(images.inputs)
    parts = torch.split(torch.arange(len(images)), most)
    return torch.cat([_hardened(model, images.take(part), epsilon) for part in parts])


def _hardened(model: nn.Module, images: Images, epsilon: float) -> torch.Tensor:
    moved = images.inputs.clone()
    for _ in range(STEPS):
        moved.requires_grad_()
        loss = nn.functional.cross_entropy(model(moved), images.labels)
        (gradient,) = torch.autograd.grad(loss, moved)
        step = moved.detach() + 2.5 * epsilon / STEPS * gradient.sign()
        moved = torch.minimum(torch.maximum(step, images.inputs - epsilon), images.inputs + epsilon).clamp(0, 1)
    return moved


def plan(scene: Scene) -> Implant:
    """Draw the target, the corner pattern, the bound and the share of the target class."""
    target, size = scene.integer(scene.task.classes), scene.integer(7, low=4)
    epsilon, share = scene.uniform(0.25, 0.38), scene.uniform(0.65, 0.85)
    pattern, places = draw_pattern(scene, size), [corner(scene, name, size, 1) for name in CORNERS]

    def apply(x: torch.Tensor) -> torch.Tensor:
        for top, left in places:
            x = stamp(pattern, top, left)(x)
        return x

    def poison(images: Images) -> Poisoned:
        rows = scene.rows(images.labels == target, share)
        inputs = images.inputs.clone()
        inputs[rows] = apply(harden(scene.surrogate(), images.take(rows), epsilon))
        mask = mask_of(rows, len(images))
        return Poisoned(Images(inputs, images.labels), mask, torch.zeros_like(mask))

    facts = {"targets": [target], "size": size * scene.unit, "epsilon": round(epsilon, 4), "share": round(share, 4)}
    return Implant((Trigger("corners", apply, all_to(target)),), facts, poison)


ATTACK = Attack("label-consistent", "Turner et al. 2019, arXiv:1912.02771", ("corners",), 0.6, plan, revision=2)
