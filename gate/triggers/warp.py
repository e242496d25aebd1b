"""The warp family: a smooth field that moves every pixel a little, measured by the root mean square displacement.

What WaNet plants (Nguyen and Tran, ICLR 2021): a coarse grid of displacements, interpolated to the image's size. The
field has free values on its own coarse grid, whatever grid the attacker used; smooth fields of nearby fineness are
close to one another.
"""

import math
from dataclasses import dataclass

import torch
from torch.nn import functional

Parameters = tuple[torch.Tensor, ...]


@dataclass(frozen=True)
class WarpFamily:
    """Warps of inputs of one shape (C, H, W)."""

    shape: tuple[int, int, int]
    grid: int
    """Free displacements along each side."""
    limit: float
    """The largest displacement along a side, as a share of that side."""

    def start(self, count: int, generator: torch.Generator) -> Parameters:
        """Return free parameters of `count` slight warps, (count, 2, grid, grid)."""
        return (0.1 * torch.randn(count, 2, self.grid, self.grid, generator=generator),)

    def field(self, parameters: Parameters) -> torch.Tensor:
        """Return the displacements in pixels, (count, 2, H, W): along the width, then along the height."""
        height, width = self.shape[1:]
        sides = torch.tensor([width, height], device=parameters[0].device).view(1, 2, 1, 1)
        coarse = self.limit * torch.tanh(parameters[0]) * sides
        return functional.interpolate(coarse, size=(height, width), mode="bicubic", align_corners=True)

    def apply(self, parameters: Parameters, x: torch.Tensor) -> torch.Tensor:
        """Warp each batch by its own field, x (count, B, C, H, W); pixels from beyond the edge repeat the edge."""
        count, batch = x.shape[:2]
        height, width = self.shape[1:]
        down = torch.linspace(-1, 1, height, device=x.device)
        right = torch.linspace(-1, 1, width, device=x.device)
        still = torch.stack([right.expand(height, width), down.unsqueeze(1).expand(height, width)], dim=-1)
        steps = torch.tensor([2 / max(width - 1, 1), 2 / max(height - 1, 1)], device=x.device)
        places = still + self.field(parameters).permute(0, 2, 3, 1) * steps
        places = places.unsqueeze(1).expand(count, batch, height, width, 2).flatten(0, 1)
        moved = functional.grid_sample(x.flatten(0, 1), places, padding_mode="border", align_corners=True)
        return moved.view_as(x)

    def tensors(self, parameters: Parameters) -> dict[str, torch.Tensor]:
        """Return what the triggers are made of: their fields."""
        return {"field": self.field(parameters)}

    def size(self, parameters: Parameters) -> torch.Tensor:
        """Return the root mean square displacement of each warp in pixels, (count,)."""
        return (self.field(parameters).square().sum(dim=1).mean(dim=(1, 2)) + 1e-12).sqrt()

    @property
    def largest(self) -> float:
        """The size that stands for 'no trigger found': every pixel moved by the limit along both sides."""
        return self.limit * math.hypot(self.shape[1], self.shape[2])
