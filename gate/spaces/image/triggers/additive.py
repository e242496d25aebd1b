"""The additive family: one bounded image that is added to every sample, measured by its root mean square.

To first order blended noise (Chen et al., 2017), sinusoids (Barni et al., ICIP 2019) and other faint, image-wide
triggers look like this: the universal perturbation of Moosavi-Dezfooli et al., CVPR 2017, with a small L2 norm. The
bound on each pixel (L∞) is held by tanh.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from gate.spaces.contract import TriggerFamily
from gate.spaces.image.cells import grid_of, pixels

if TYPE_CHECKING:
    import torch

    from gate.spaces.contract import Bounds, Parameters, Shape, Tensors


class Limited(Protocol):
    """The options of a search that the family reads."""

    @property
    def limit(self) -> float:
        """The largest change of a pixel, as a share of the range."""
        ...


def apply(tensors: Tensors, x: torch.Tensor, bounds: Bounds) -> torch.Tensor:
    """Add to each batch, x (count, B, C, H, W), its addition in shares of the range, and clip to the bounds."""
    least, greatest = bounds
    return (x + (greatest - least) * tensors["addition"].unsqueeze(1)).clamp(least, greatest)


@dataclass(frozen=True)
class Additions:
    """Additions to inputs of one shape (C, H, W) within bounds (least, greatest)."""

    shape: Shape
    bounds: Bounds
    limit: float
    """The largest change of a pixel, as a share of the range."""

    def start(self, count: int, generator: torch.Generator) -> Parameters:
        """Return free parameters of `count` faint additions, (count, C, h, w) in cells."""
        import torch

        return (0.1 * torch.randn(count, self.shape[0], *grid_of(self.shape), generator=generator),)

    def addition(self, parameters: Parameters) -> torch.Tensor:
        """Return what is added, (count, C, H, W), in shares of the range."""
        return pixels(self.limit * parameters[0].tanh(), self.shape)

    def tensors(self, parameters: Parameters) -> dict[str, torch.Tensor]:
        """Return the triggers' parts: what each adds, in shares of the range."""
        return {"addition": self.addition(parameters)}

    def apply(self, parameters: Parameters, x: torch.Tensor) -> torch.Tensor:
        """Add each trigger to its own batch, x (count, B, C, H, W), and clip to the bounds."""
        return apply(self.tensors(parameters), x, self.bounds)

    def size(self, parameters: Parameters) -> torch.Tensor:
        """Return the root mean square of each addition in shares of the range, (count,)."""
        # The small constant keeps the gradient finite at an addition of nothing.
        return (self.addition(parameters).square().mean(dim=(1, 2, 3)) + 1e-12).sqrt()

    @property
    def largest(self) -> float:
        """The size that stands for 'no trigger found': every pixel changed by the limit."""
        return self.limit


FAMILY: TriggerFamily[Limited] = TriggerFamily(
    id="additive",
    noun="addition",
    unit="share of range",
    size_means="Root mean square of the faintest addition",
    specificity=1,
    parts=lambda shape: {"addition": shape},
    over=lambda shape, bounds, settings: Additions(shape, bounds, settings.limit),
    apply=apply,
)
