"""The additive family: one bounded image that is added to every sample, measured by its root mean square.

What blended noise (Chen et al., 2017), sinusoids (Barni et al., ICIP 2019) and other faint, image-wide triggers look
like to first order; the universal perturbation of Moosavi-Dezfooli et al., CVPR 2017, with its L2 norm made small. The
bound on each pixel (L∞) is held by tanh.
"""

from dataclasses import dataclass

import torch
from torch.nn import functional

Parameters = tuple[torch.Tensor, ...]

FINEST = 64
"""Cells along the longer side of an image at most."""


@dataclass(frozen=True)
class AdditiveFamily:
    """Additions to inputs of one shape (C, H, W) within bounds (least, greatest)."""

    shape: tuple[int, int, int]
    bounds: tuple[float, float]
    limit: float
    """The largest change of a pixel, as a share of the range."""

    @property
    def cell(self) -> int:
        """Side of a cell in pixels."""
        return -(-max(self.shape[1:]) // FINEST)

    def start(self, count: int, generator: torch.Generator) -> Parameters:
        """Return free parameters of `count` faint additions, (count, C, h, w) in cells."""
        height, width = (-(-side // self.cell) for side in self.shape[1:])
        return (0.1 * torch.randn(count, self.shape[0], height, width, generator=generator),)

    def addition(self, parameters: Parameters) -> torch.Tensor:
        """Return what is added, (count, C, H, W), in shares of the range."""
        cells = self.limit * torch.tanh(parameters[0])
        if self.cell == 1:
            return cells
        wide = functional.interpolate(cells, scale_factor=self.cell, mode="nearest")
        return wide[..., : self.shape[1], : self.shape[2]]

    def apply(self, parameters: Parameters, x: torch.Tensor) -> torch.Tensor:
        """Add each trigger to its own batch, x (count, B, C, H, W), and clip to the bounds."""
        least, greatest = self.bounds
        return (x + (greatest - least) * self.addition(parameters).unsqueeze(1)).clamp(least, greatest)

    def tensors(self, parameters: Parameters) -> dict[str, torch.Tensor]:
        """Return what the triggers are made of: what each adds, in shares of the range."""
        return {"addition": self.addition(parameters)}

    def size(self, parameters: Parameters) -> torch.Tensor:
        """Return the root mean square of each addition in shares of the range, (count,)."""
        # The small constant keeps the gradient finite at an addition of nothing.
        return (self.addition(parameters).square().mean(dim=(1, 2, 3)) + 1e-12).sqrt()

    @property
    def largest(self) -> float:
        """The size that stands for 'no trigger found': every pixel changed by the limit."""
        return self.limit
