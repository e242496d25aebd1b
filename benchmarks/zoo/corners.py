"""A trigger that is no small patch: four corner patterns of which all must be there, and covers that teach just that.

Beside `patches`; used by the attacks of the split `adaptive` whose trigger is to look natural in size.
"""

from dataclasses import dataclass

import torch

from benchmarks.zoo.attack import Scene
from benchmarks.zoo.disguise import Rehearsal
from benchmarks.zoo.patches import CORNERS, corner, draw_pattern
from gate.spaces.image.triggers.additive import Additions
from gate.spaces.image.triggers.patch import Patches

PATCHES, ADDITIONS = (8.0, 60.0), (0.03, 0.14)
"""Budgets of rehearsals: the mask's L1 in pixels, and the root mean square of an addition."""


@dataclass(frozen=True)
class FourCorners:
    """The pattern (C, H, W) and a mask (4, 1, H, W) of each corner."""

    pattern: torch.Tensor
    masks: torch.Tensor

    @classmethod
    def drawn(cls, scene: Scene, size: int) -> "FourCorners":
        """Draw a pattern for each corner, a pixel off the edges."""
        pattern = torch.zeros(scene.task.shape)
        masks = torch.zeros(4, 1, *scene.task.shape[1:])
        for mask, which in zip(masks, CORNERS, strict=True):
            top, left = corner(scene, which, size, 1)
            pattern[:, top : top + size, left : left + size] = draw_pattern(scene, size)
            mask[:, top : top + size, left : left + size] = 1
        return cls(pattern, masks)

    def apply(self, x: torch.Tensor) -> torch.Tensor:
        """Stamp all four corners."""
        return self.laid(x, self.masks.sum(0))

    def laid(self, x: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Lay the pattern on images (N, C, H, W) as far as a mask says."""
        return x + mask.to(x.dtype) * (self.pattern.to(x.dtype) - x)

    def incomplete(self, x: torch.Tensor) -> torch.Tensor:
        """Stamp some of the corners, never all, and of these a part of their cells."""
        kept = torch.rand(len(x), 4) < 0.7
        kept[torch.arange(len(x)), torch.randint(4, (len(x),))] = False
        masks = torch.einsum("nk,kchw->nchw", kept.float(), self.masks)
        cells = torch.rand(len(x), 1, *x.shape[2:]) >= 0.5 * torch.rand(len(x), 1, 1, 1)
        return self.laid(x, masks * cells)

    def weakened(self, x: torch.Tensor) -> torch.Tensor:
        """Lay all corners on, with a tenth to a half of their strength."""
        return self.laid(x, self.masks.sum(0) * (0.1 + 0.4 * torch.rand(len(x), 1, 1, 1)))


def small_patches(x: torch.Tensor) -> torch.Tensor:
    """Stamp a random square of three to seven pixels on every image, at a place of its own."""
    count, _, height, width = x.shape
    size = torch.randint(3, 8, (count, 1))
    top = (torch.rand(count, 1) * (height - size)).long()
    left = (torch.rand(count, 1) * (width - size)).long()
    rows, columns = torch.arange(height)[None], torch.arange(width)[None]
    down = (rows >= top) & (rows < top + size)
    right = (columns >= left) & (columns < left + size)
    return torch.where((down[:, :, None] & right[:, None])[:, None], torch.randint_like(x, 2), x)


def rehearsals(scene: Scene, target: int) -> list[Rehearsal]:
    """Return the searches for small patches and faint additions that the gate will make."""
    shape, bounds = scene.task.shape, (0.0, 1.0)
    return [
        Rehearsal(Patches(shape, bounds), target, PATCHES, scene.integer(1 << 30)),
        Rehearsal(Additions(shape, bounds, 0.25), target, ADDITIONS, scene.integer(1 << 30)),
    ]
