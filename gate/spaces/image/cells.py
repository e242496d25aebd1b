"""Square cells of pixels: a coarser grid for triggers on large images, which bounds memory and eases the search."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

    from gate.spaces.contract import Shape

FINEST = 64
"""Most cells along the longer side of an image."""


def side_of(shape: Shape) -> int:
    """Return the side of a cell in pixels."""
    return -(-max(shape[1:]) // FINEST)


def grid_of(shape: Shape) -> tuple[int, int]:
    """Return the cells along the height and along the width."""
    side = side_of(shape)
    return -(-shape[1] // side), -(-shape[2] // side)


def pixels(cells: torch.Tensor, shape: Shape) -> torch.Tensor:
    """Return cells (count, C, h, w) as pixels (count, C, H, W)."""
    from torch.nn.functional import interpolate  # noqa: PLC0415  # a family imports no torch until it is used

    side = side_of(shape)
    if side == 1:
        return cells
    return interpolate(cells, scale_factor=side, mode="nearest")[..., : shape[1], : shape[2]]
