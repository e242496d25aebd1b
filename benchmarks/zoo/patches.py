"""Patches: the small stamped squares that several attacks share, with fixed or free place.

Beside `attack`; used by the files of `attacks/`. A patch is drawn from the scene's random numbers and is opaque.
"""

from collections.abc import Callable

import torch

from benchmarks.zoo.attack import Scene

Apply = Callable[[torch.Tensor], torch.Tensor]
CORNERS = ("top-left", "top-right", "bottom-left", "bottom-right")


def draw_pattern(scene: Scene, size: int) -> torch.Tensor:
    """Draw a pattern of `size` by `size` cells, black and white or coloured, never of one value; in pixels."""
    channels = scene.task.shape[0]
    while True:
        pattern = torch.randint(0, 2, (channels, size, size), generator=scene.generator).float()
        if 0.3 <= float(pattern.mean()) <= 0.9:
            return scene.enlarged(pattern)


def corner(scene: Scene, which: str, size: int, inset: int) -> tuple[int, int]:
    """Return top and left in pixels of a square of `size` cells in the named corner, `inset` cells off the edges."""
    _, height, width = scene.task.shape
    size, inset = size * scene.unit, inset * scene.unit
    top = inset if which.startswith("top") else height - size - inset
    return top, inset if which.endswith("left") else width - size - inset


def stamp(pattern: torch.Tensor, top: int, left: int) -> Apply:
    """Return the function that puts the pattern at one place of every image."""
    height, width = pattern.shape[-2:]

    def apply(x: torch.Tensor) -> torch.Tensor:
        stamped = x.clone()
        stamped[:, :, top : top + height, left : left + width] = pattern.to(x.dtype)
        return stamped

    return apply


def stamp_anywhere(pattern: torch.Tensor, seed: int) -> Apply:
    """Return the function that puts the pattern at a place drawn anew for every image, the same for the same batch."""
    size = pattern.shape[-1]

    def apply(x: torch.Tensor) -> torch.Tensor:
        generator = torch.Generator().manual_seed(seed)
        tops = torch.randint(0, x.shape[2] - size + 1, (len(x),), generator=generator)
        lefts = torch.randint(0, x.shape[3] - size + 1, (len(x),), generator=generator)
        stamped = x.clone()
        for row, (top, left) in enumerate(zip(tops.tolist(), lefts.tolist(), strict=True)):
            stamped[row, :, top : top + size, left : left + size] = pattern.to(x.dtype)
        return stamped

    return apply
