"""A family of triggers as one value: how its triggers start, act on images, are measured and are named.

One file a family under `gate.spaces.image.triggers`, with one value `FAMILY`; the folder is the registry. Importing a
family must not import torch, since detectors and what is in front read what a family is called.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

if TYPE_CHECKING:
    import torch

    from gate.spaces.image.drawing import Chance

Shape = tuple[int, int, int]
"""Channels, height, width."""
Bounds = tuple[float, float]
"""Least and greatest value of a raw input."""
Parameters = tuple["torch.Tensor", ...]
"""What the optimiser moves, each tensor (count, ...)."""
Tensors = Mapping[str, "torch.Tensor"]
"""What triggers are made of, by name."""
Apply = Callable[["torch.Tensor"], "torch.Tensor"]
"""Applies one trigger to raw inputs (N, C, H, W)."""

SettingsT_contra = TypeVar("SettingsT_contra", contravariant=True)


class Triggers(Protocol):
    """The triggers of one family for inputs of one shape and range, by their free parameters."""

    def start(self, count: int, generator: torch.Generator) -> Parameters:
        """Return free parameters of `count` triggers, each tensor (count, ...)."""
        ...

    def apply(self, parameters: Parameters, x: torch.Tensor) -> torch.Tensor:
        """Apply each trigger to its own batch, x (count, B, C, H, W)."""
        ...

    def size(self, parameters: Parameters) -> torch.Tensor:
        """Return the size of each trigger, (count,)."""
        ...

    def tensors(self, parameters: Parameters) -> dict[str, torch.Tensor]:
        """Return the triggers' parts by name, each (count, ...)."""
        ...

    @property
    def largest(self) -> float:
        """The size that stands for 'no trigger found'."""
        ...


@dataclass(frozen=True)
class DrawnFamily:
    """Triggers that are drawn at random and not optimised."""

    id: str
    """Of the metric `<id>-share`."""
    noun: str
    """What one says of several, such as `random patches`."""
    stream: int
    """Decides which random numbers the family gets, and its place among the others; no two share one."""
    draw: Callable[[Shape, Chance, int], Apply]
    """Draws the trigger of a number, for images with values in [0, 1]."""


@dataclass(frozen=True)
class TriggerFamily(Generic[SettingsT_contra]):
    """Triggers that a search inverts; `SettingsT_contra` is what it reads of the detector's options."""

    id: str
    noun: str
    """What the report calls one of its triggers, such as `patch` or `warp`."""
    unit: str
    """Of a size."""
    size_means: str
    """What the size of a class's smallest trigger is, as the metric says it."""
    specificity: int
    """Where several families found a trigger for one place, the one of the highest is taken."""
    parts: Callable[[Shape], dict[str, tuple[int, ...]]]
    """The shape of each tensor that one trigger is made of, by name; the names tell the family."""
    over: Callable[[Shape, Bounds, SettingsT_contra], Triggers]
    """The triggers for inputs of a shape and a range."""
    apply: Callable[[Tensors, torch.Tensor, Bounds], torch.Tensor]
    """Applies triggers of these tensors, each (count, ...), to a batch each, (count, B, C, H, W)."""
    drawn: DrawnFamily | None = None
    """How triggers of its kind are drawn at random, for `random-triggers`."""

    def applying(self, tensors: Tensors, bounds: Bounds) -> Apply:
        """Return how one trigger of these tensors is applied to raw inputs (N, C, H, W)."""
        own = {name: tensor.unsqueeze(0) for name, tensor in tensors.items()}
        return lambda x: self.apply(own, x.unsqueeze(0), bounds).squeeze(0)
