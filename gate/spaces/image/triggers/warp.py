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


def still_places(height: int, width: int, device: torch.device | None = None) -> torch.Tensor:
    """Return where every pixel lies, (H, W, 2): along the width, then along the height, each from -1 to 1."""
    down, right = torch.linspace(-1, 1, height, device=device), torch.linspace(-1, 1, width, device=device)
    return torch.stack([right.expand(height, width), down.unsqueeze(1).expand(height, width)], dim=-1)


def moved_places(field: torch.Tensor) -> torch.Tensor:
    """Return where every pixel is taken from, (N, H, W, 2), under displacements in pixels (N, 2, H, W)."""
    height, width = field.shape[2:]
    steps = torch.tensor([2 / max(width - 1, 1), 2 / max(height - 1, 1)], device=field.device)
    return still_places(height, width, field.device) + field.permute(0, 2, 3, 1) * steps


def sampled(x: torch.Tensor, places: torch.Tensor) -> torch.Tensor:
    """Take the pixels of images (N, C, H, W) from places (N, H, W, 2); what lies beyond the edge repeats the edge."""
    return functional.grid_sample(x, places, padding_mode="border", align_corners=True)


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
        places = moved_places(self.field(parameters)).unsqueeze(1).expand(-1, x.shape[1], -1, -1, -1)
        return sampled(x.flatten(0, 1), places.flatten(0, 1)).view_as(x)

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
