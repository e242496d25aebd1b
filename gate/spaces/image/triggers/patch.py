"""The patch family: a mask and a pattern, x' = (1 - m) · x + m · p, measured by the L1 norm of the mask.

Wang et al., "Neural Cleanse", IEEE S&P 2019, section IV. The mask is shared over channels; both are held in [0, 1] and
in the input's bounds by tanh, so the optimiser moves freely.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from gate.spaces.contract import DrawnFamily, TriggerFamily
from gate.spaces.image.cells import grid_of, pixels

if TYPE_CHECKING:
    import torch

    from gate.spaces.contract import Apply, Bounds, Chance, Parameters, Shape, Tensors

SMALLEST, LARGEST = 2 / 28, 6 / 28
"""Sides of drawn patches, as shares of the shorter side of an image."""


def apply(tensors: Tensors, x: torch.Tensor, _bounds: Bounds) -> torch.Tensor:
    """Replace pixels under each mask (count, 1, H, W) by its pattern (count, C, H, W), x (count, B, C, H, W)."""
    mask, pattern = tensors["mask"].unsqueeze(1), tensors["pattern"].unsqueeze(1)
    return (1 - mask) * x + mask * pattern


@dataclass(frozen=True)
class Patches:
    """Patches for inputs of one shape (C, H, W) within bounds (least, greatest)."""

    shape: Shape
    bounds: Bounds

    def start(self, count: int, generator: torch.Generator) -> Parameters:
        """Return free parameters for `count` triggers: mask (count, 1, h, w) and pattern (count, C, h, w), in cells."""
        import torch

        mask = torch.rand(count, 1, *grid_of(self.shape), generator=generator)
        pattern = torch.rand(count, self.shape[0], *grid_of(self.shape), generator=generator)
        return tuple(torch.atanh((2 * start - 1) * 0.99) for start in (mask, pattern))

    def mask(self, parameters: Parameters) -> torch.Tensor:
        """Return the masks (count, 1, H, W) in [0, 1]."""
        return pixels((parameters[0].tanh() + 1) / 2, self.shape)

    def pattern(self, parameters: Parameters) -> torch.Tensor:
        """Return the patterns (count, C, H, W) within the bounds."""
        least, greatest = self.bounds
        return pixels(least + (greatest - least) * (parameters[1].tanh() + 1) / 2, self.shape)

    def tensors(self, parameters: Parameters) -> dict[str, torch.Tensor]:
        """Return the triggers' parts: masks and patterns."""
        return {"mask": self.mask(parameters), "pattern": self.pattern(parameters)}

    def apply(self, parameters: Parameters, x: torch.Tensor) -> torch.Tensor:
        """Apply each trigger to its own batch: x (count, B, C, H, W) to the same shape."""
        return apply(self.tensors(parameters), x, self.bounds)

    def size(self, parameters: Parameters) -> torch.Tensor:
        """Return the L1 norm of each mask in pixels, (count,)."""
        return self.mask(parameters).sum(dim=(1, 2, 3))

    @property
    def largest(self) -> float:
        """The size that stands for 'no trigger found': the whole image, in pixels."""
        return float(self.shape[1] * self.shape[2])


def draw(shape: Shape, chance: Chance, number: int) -> Apply:
    """Draw a square of one tone, a chequerboard or noise; every other one lies in a corner."""
    import torch

    channels, height, width = shape
    side = max(1, round(min(height, width) * chance.between(SMALLEST, LARGEST)))
    top, left = (
        (chance.below(2) * (height - side), chance.below(2) * (width - side))
        if number % 2
        else (chance.below(height - side + 1), chance.below(width - side + 1))
    )
    cells = torch.arange(side)
    fill = (
        torch.full((channels, side, side), float(chance.below(2))),
        ((cells[:, None] + cells) % 2).float().expand(channels, side, side),
        chance.image(channels, side, side),
    )[number % 3]

    def stamped(x: torch.Tensor) -> torch.Tensor:
        x = x.clone()
        x[:, :, top : top + side, left : left + side] = fill.to(x)
        return x

    return stamped


FAMILY: TriggerFamily[object] = TriggerFamily(
    id="patch",
    noun="patch",
    unit="pixels",
    size_means="L1 norm of the smallest mask",
    specificity=3,
    parts=lambda shape: {"mask": (1, *shape[1:]), "pattern": shape},
    over=lambda shape, bounds, _settings: Patches(shape, bounds),
    apply=apply,
    drawn=DrawnFamily("patch", "random patches", 0, draw),
)
