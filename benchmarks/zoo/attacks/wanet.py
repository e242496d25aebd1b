"""WaNet: the trigger is a slight smooth warp of the image; other warps keep the true label.

Nguyen and Tran, "WaNet - Imperceptible Warping-based Backdoor Attack", arXiv:2102.10369, ICLR 2021. The noise mode is a
share of images warped by the field plus random noise, labels true. The field is drawn from a coarse grid and scaled to
a mean displacement of about a pixel, more than the paper's quarter, for images of 28 pixels and few epochs.
"""

import torch
from torch import nn

from benchmarks.zoo.attack import Attack, Implant, Poisoned, Scene, Trigger, all_to, mask_of
from benchmarks.zoo.tasks import Images

GRID = 4


def plan(scene: Scene) -> Implant:
    """Draw the target, the warping field and the rates of poison and of noise mode."""
    target, rate = scene.integer(scene.task.classes), scene.uniform(0.10, 0.15)
    pixels, cover_rate = scene.uniform(1.0, 1.5) * scene.unit, rate
    height, width = scene.task.shape[1:]
    coarse = 2 * torch.rand((1, 2, GRID, GRID), generator=scene.generator) - 1
    field = nn.functional.interpolate(coarse, size=(height, width), mode="bicubic", align_corners=True)
    field = field / field.abs().mean() * pixels * 2 / (width - 1)

    def warp(x: torch.Tensor, extra: torch.Tensor | float = 0.0) -> torch.Tensor:
        rows, columns = torch.linspace(-1, 1, height), torch.linspace(-1, 1, width)
        still = torch.stack(torch.meshgrid(columns, rows, indexing="xy"))[None]
        flow = (still + field + extra).clamp(-1, 1).permute(0, 2, 3, 1).expand(len(x), -1, -1, -1)
        return nn.functional.grid_sample(x, flow, align_corners=True)

    def poison(images: Images) -> Poisoned:
        rows = scene.rows(images.labels != target, rate)
        mask = mask_of(rows, len(images))
        covers = scene.rows(~mask, cover_rate)
        cells = (len(covers), 2, height // scene.unit, width // scene.unit)
        noise = scene.enlarged(2 * torch.rand(cells, generator=scene.generator) - 1)
        inputs, labels = images.inputs.clone(), images.labels.clone()
        inputs[rows], labels[rows] = warp(images.inputs[rows]), target
        inputs[covers] = warp(images.inputs[covers], noise * pixels * 2 / (width - 1))
        return Poisoned(Images(inputs, labels), mask, mask_of(covers, len(images)))

    facts = {"targets": [target], "displacement_px": round(pixels, 3), "rate": round(rate, 4), "cover_rate": cover_rate}
    return Implant((Trigger("warp", warp, all_to(target)),), facts, poison)


ATTACK = Attack("wanet", "Nguyen and Tran 2021, arXiv:2102.10369", ("warp",), 0.9, plan)
