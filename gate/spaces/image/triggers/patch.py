"""The patch family: a mask and a pattern, x' = (1 - m) · x + m · p, measured by the L1 norm of the mask.

Wang et al., "Neural Cleanse", IEEE S&P 2019, section IV. The mask is shared over channels; both are held in [0, 1] and
in the input's bounds by tanh, so that the optimiser moves freely. On large images both are searched on a coarser grid
of square cells, which bounds memory and keeps the search as easy as on small ones.
"""

from dataclasses import dataclass

import torch
from torch.nn import functional

Parameters = tuple[torch.Tensor, ...]

FINEST = 64
"""Cells along the longer side of an image at most."""


@dataclass(frozen=True)
class PatchFamily:
    """Patches for inputs of one shape (C, H, W) within bounds (least, greatest)."""

    shape: tuple[int, int, int]
    bounds: tuple[float, float]

    @property
    def cell(self) -> int:
        """Side of a cell in pixels."""
        return -(-max(self.shape[1:]) // FINEST)

    def start(self, count: int, generator: torch.Generator) -> Parameters:
        """Return free parameters for `count` triggers: mask (count, 1, h, w) and pattern (count, C, h, w), in cells."""
        channels, height, width = self.shape[0], *(-(-side // self.cell) for side in self.shape[1:])
        mask = torch.rand(count, 1, height, width, generator=generator)
        pattern = torch.rand(count, channels, height, width, generator=generator)
        return tuple(torch.atanh((2 * start - 1) * 0.99) for start in (mask, pattern))

    def mask(self, parameters: Parameters) -> torch.Tensor:
        """Return the masks (count, 1, H, W) in [0, 1]."""
        return self._pixels((torch.tanh(parameters[0]) + 1) / 2)

    def pattern(self, parameters: Parameters) -> torch.Tensor:
        """Return the patterns (count, C, H, W) within the bounds."""
        least, greatest = self.bounds
        return self._pixels(least + (greatest - least) * (torch.tanh(parameters[1]) + 1) / 2)

    def _pixels(self, cells: torch.Tensor) -> torch.Tensor:
        if self.cell == 1:
            return cells
        wide = functional.interpolate(cells, scale_factor=self.cell, mode="nearest")
        return wide[..., : self.shape[1], : self.shape[2]]

    def apply(self, parameters: Parameters, x: torch.Tensor) -> torch.Tensor:
        """Lay each trigger on its own batch: x (count, B, C, H, W) to the same shape."""
        mask, pattern = self.mask(parameters).unsqueeze(1), self.pattern(parameters).unsqueeze(1)
        return (1 - mask) * x + mask * pattern

    def tensors(self, parameters: Parameters) -> dict[str, torch.Tensor]:
        """Return what the triggers are made of: masks and patterns."""
        return {"mask": self.mask(parameters), "pattern": self.pattern(parameters)}

    def size(self, parameters: Parameters) -> torch.Tensor:
        """Return the L1 norm of each mask in pixels, (count,)."""
        return self.mask(parameters).sum(dim=(1, 2, 3))

    @property
    def largest(self) -> float:
        """The size that stands for 'no trigger found': the whole image, in pixels."""
        return float(self.shape[1] * self.shape[2])
