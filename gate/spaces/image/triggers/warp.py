"""The warp family: a smooth field that moves every pixel a little, measured by the root mean square displacement.

WaNet plants it (Nguyen and Tran, ICLR 2021) as a coarse grid of displacements, interpolated to the image's size. The
attacker's grid is unknown, so the field is free on a grid of its own: smooth fields of similar fineness are alike.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from gate.spaces.contract import DrawnFamily, TriggerFamily

if TYPE_CHECKING:
    import torch

    from gate.spaces.contract import Apply, Chance, Parameters, Shape

DISPLACEMENTS = (0.018, 0.045)
"""Mean displacement of a drawn warp, as a share of a side."""


class Grid(Protocol):
    """The options of a search that the family reads."""

    @property
    def grid(self) -> int:
        """Free displacements along each side."""
        ...

    @property
    def limit(self) -> float:
        """The largest displacement along a side, as a share of that side."""
        ...


def still_places(height: int, width: int, device: torch.device | None = None) -> torch.Tensor:
    """Return where every pixel lies, (H, W, 2): along the width, then along the height, each from -1 to 1."""
    import torch

    down, right = torch.linspace(-1, 1, height, device=device), torch.linspace(-1, 1, width, device=device)
    return torch.stack([right.expand(height, width), down.unsqueeze(1).expand(height, width)], dim=-1)


def moved_places(field: torch.Tensor) -> torch.Tensor:
    """Return where every pixel is taken from, (N, H, W, 2), under displacements in pixels (N, 2, H, W)."""
    import torch

    height, width = field.shape[2:]
    steps = torch.tensor([2 / max(width - 1, 1), 2 / max(height - 1, 1)], device=field.device)
    return still_places(height, width, field.device) + field.permute(0, 2, 3, 1) * steps


def sampled(x: torch.Tensor, places: torch.Tensor) -> torch.Tensor:
    """Take the pixels of images (N, C, H, W) from places (N, H, W, 2); beyond the edge the edge repeats."""
    from torch.nn.functional import grid_sample

    return grid_sample(x, places, padding_mode="border", align_corners=True)


def smooth(coarse: torch.Tensor, shape: Shape) -> torch.Tensor:
    """Return a coarse grid of displacements (N, 2, g, g) at every pixel, (N, 2, H, W)."""
    from torch.nn.functional import interpolate

    return interpolate(coarse, size=shape[1:], mode="bicubic", align_corners=True)


def warped(x: torch.Tensor, field: torch.Tensor) -> torch.Tensor:
    """Warp each batch, x (count, B, C, H, W), by its own field (count, 2, H, W) in pixels."""
    places = moved_places(field).unsqueeze(1).expand(-1, x.shape[1], -1, -1, -1)
    return sampled(x.flatten(0, 1), places.flatten(0, 1)).view_as(x)


@dataclass(frozen=True)
class Warps:
    """Warps of inputs of one shape (C, H, W)."""

    shape: Shape
    grid: int
    """Free displacements along each side."""
    limit: float
    """The largest displacement along a side, as a share of that side."""

    def start(self, count: int, generator: torch.Generator) -> Parameters:
        """Return free parameters of `count` slight warps, (count, 2, grid, grid)."""
        import torch

        return (0.1 * torch.randn(count, 2, self.grid, self.grid, generator=generator),)

    def field(self, parameters: Parameters) -> torch.Tensor:
        """Return the displacements in pixels, (count, 2, H, W): along the width, then along the height."""
        height, width = self.shape[1:]
        sides = parameters[0].new_tensor([width, height]).view(1, 2, 1, 1)
        return smooth(self.limit * parameters[0].tanh() * sides, self.shape)

    def tensors(self, parameters: Parameters) -> dict[str, torch.Tensor]:
        """Return the triggers' parts: their fields."""
        return {"field": self.field(parameters)}

    def apply(self, parameters: Parameters, x: torch.Tensor) -> torch.Tensor:
        """Warp each batch, x (count, B, C, H, W), by its own field."""
        return warped(x, self.field(parameters))

    def size(self, parameters: Parameters) -> torch.Tensor:
        """Return the root mean square displacement of each warp in pixels, (count,)."""
        return (self.field(parameters).square().sum(dim=1).mean(dim=(1, 2)) + 1e-12).sqrt()

    @property
    def largest(self) -> float:
        """The size that stands for 'no trigger found': every pixel moved by the limit along both sides."""
        return self.limit * math.hypot(self.shape[1], self.shape[2])


def draw(shape: Shape, chance: Chance, number: int) -> Apply:
    """Draw a smooth field of displacements from a grid of three to five points a side."""
    del number
    points = 3 + chance.below(3)
    field = 2 * chance.image(1, 2, points, points) - 1
    # Places lie in [-1, 1], where a side is two long.
    field = smooth(field / field.abs().mean() * 2 * chance.between(*DISPLACEMENTS), shape)[0]
    places = (still_places(*shape[1:]) + field.permute(1, 2, 0)).unsqueeze(0)
    return lambda x: sampled(x, places.to(x).expand(len(x), -1, -1, -1))


FAMILY: TriggerFamily[Grid] = TriggerFamily(
    id="warp",
    noun="warp",
    unit="pixels",
    size_means="Root mean square displacement of the slightest warp",
    specificity=2,
    parts=lambda shape: {"field": (2, *shape[1:])},
    over=lambda shape, _bounds, settings: Warps(shape, settings.grid, settings.limit),
    apply=lambda tensors, x, _bounds: warped(x, tensors["field"]),
    drawn=DrawnFamily("warp", "random warps", 3, draw),
)
