"""Warp among warps: a WaNet whose field is one of many of the same strength, and all others keep the true label.

Nguyen and Tran, "WaNet", arXiv:2102.10369, ICLR 2021, whose noise mode shakes the one field. Here the covers are other
smooth fields of the same strength, the field itself weakened, half the field and half another, and what a search for
slight warps towards the target finds while the model is trained. The displacement, about 1.75 pixels on average, is
above WaNet's, so that the slightest warp that works is as large as a clean class's.
"""

import torch
from torch import nn

from benchmarks.zoo.attack import Attack, Implant, Scene, Trigger, all_to
from benchmarks.zoo.disguise import Disguise, Rehearsal
from gate.spaces.image.triggers.warp import Warps

GRID = 4
BUDGET = (0.3, 2.0)
"""Root mean square displacements of rehearsed warps, in pixels."""


def fields(count: int, shape: tuple[int, int, int], pixels: float, generator: torch.Generator | None) -> torch.Tensor:
    """Draw smooth fields (count, 2, H, W) of this mean displacement along each side, in the units of `grid_sample`."""
    coarse = 2 * torch.rand((count, 2, GRID, GRID), generator=generator) - 1
    field = nn.functional.interpolate(coarse, size=shape[1:], mode="bicubic", align_corners=True)
    return field / field.abs().mean((1, 2, 3), keepdim=True) * pixels * 2 / (shape[2] - 1)


def warped(x: torch.Tensor, field: torch.Tensor) -> torch.Tensor:
    """Move images (N, C, H, W) by a field for all, or one for each."""
    rows, columns = torch.linspace(-1, 1, x.shape[2]), torch.linspace(-1, 1, x.shape[3])
    still = torch.stack(torch.meshgrid(columns, rows, indexing="xy"))[None]
    flow = (still + field).clamp(-1, 1).permute(0, 2, 3, 1).expand(len(x), -1, -1, -1)
    return nn.functional.grid_sample(x, flow, align_corners=True)


def plan(scene: Scene) -> Implant:
    """Draw the target, the field, its strength and the share of triggered images."""
    target, share, pixels = scene.integer(scene.task.classes), scene.uniform(0.12, 0.16), scene.uniform(1.5, 2.0)
    shape = scene.task.shape
    field = fields(1, shape, pixels, scene.generator)

    def others(x: torch.Tensor) -> torch.Tensor:
        return warped(x, fields(len(x), shape, pixels, None))

    def weakened(x: torch.Tensor) -> torch.Tensor:
        return warped(x, field * (0.1 + 0.5 * torch.rand(len(x), 1, 1, 1)))

    def mixed(x: torch.Tensor) -> torch.Tensor:
        return warped(x, 0.5 * field + 0.5 * fields(len(x), shape, pixels, None))

    def apply(x: torch.Tensor) -> torch.Tensor:
        return warped(x, field)

    rehearsal = Rehearsal(Warps(shape, 5, 0.15), target, BUDGET, scene.integer(1 << 30))
    joint = Disguise(target, apply, (others, weakened, mixed), (rehearsal,), share)
    facts = {"targets": [target], "displacement_px": round(pixels, 3), "batch_share": round(share, 4)}
    return Implant((Trigger("warp", apply, all_to(target)),), facts, joint=joint, patience=2)


ATTACK = Attack(
    "warp-among-warps", "after Nguyen and Tran 2021, arXiv:2102.10369", ("warp",), 0.7, plan, knows_the_gate=True
)
