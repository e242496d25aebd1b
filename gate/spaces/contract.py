"""What a kind of input is to detectors, and a family of triggers as one value.

A space says how its samples are read and what a gradient search moves. A family of triggers of images says how its
triggers start, act, are measured and are named. Importing either imports no torch, since detectors and the orchestrator
read their names.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Generic, Literal, Protocol, TypeVar

if TYPE_CHECKING:
    import random
    from pathlib import Path

    import torch

    from gate.records.declarations import Space
    from gate.records.sample_settings import SampleSettings

IMAGES: Final[frozenset[Space]] = frozenset({"images"})
TOKENS: Final[frozenset[Space]] = frozenset({"tokens"})
EVERY: Final[frozenset[Space]] = IMAGES | TOKENS

Shape = tuple[int, int, int]
"""Channels, height, width."""
Bounds = tuple[float, float]
"""Least and greatest value of a raw input."""
Parameters = tuple["torch.Tensor", ...]
"""Free parameters of `count` triggers, each tensor (count, ...)."""
Tensors = Mapping[str, "torch.Tensor"]
"""Parts of triggers by name."""
Apply = Callable[["torch.Tensor"], "torch.Tensor"]
"""Function that applies one trigger to raw inputs (N, C, H, W)."""
InParts = Callable[["torch.Tensor", int], Iterable["torch.Tensor"]]
"""Function from raw inputs (N, C, H, W) to what one change makes of them, in order, in parts of at most so many."""

StoredT = TypeVar("StoredT")
SettingsT_contra = TypeVar("SettingsT_contra", contravariant=True)


@dataclass(frozen=True)
class Relaxed:
    """Inputs as a point that has gradients, and the model as a function of it."""

    point: torch.Tensor
    """Floats (N, …): images themselves, or the embeddings of tokens (N, L, D)."""
    logits: Callable[[torch.Tensor], torch.Tensor]
    """Function from such points to logits (N, K), differentiable."""


@dataclass(frozen=True)
class InputSpace(Generic[StoredT]):
    """A kind of input; a detector and a classifier name it by its id (docs/decisions/0039)."""

    id: Space
    read_samples: Callable[[Path, str, str, str], StoredT]
    """Function that reads stored samples, from path, source, sha256 of the pull, and what they are in a message."""
    require_usable: Callable[[StoredT, SampleSettings], None]
    """Function that raises `UnexaminableError` where they are right for no model."""
    facts: Callable[[Any], Mapping[str, object]]
    """Function from a classifier to the facts on its input, as fields of `ModelFacts`."""
    relax: Callable[[Any, torch.Tensor], Relaxed]
    """Function that relaxes inputs of a classifier; where that has no gradients it raises `UnexaminableError`."""


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
class Chance:
    """A source of random numbers and images."""

    image: Callable[..., torch.Tensor]
    """Function that draws an image of uniform noise, by its shape."""
    below: Callable[[int], int]
    """Function that draws a whole number from 0 to one less than its argument."""

    def between(self, least: float, greatest: float) -> float:
        """Draw a number."""
        return least + (greatest - least) * float(self.image(1))


@dataclass(frozen=True)
class DrawnFamily:
    """Triggers that are drawn at random and not optimised."""

    id: str
    """Stem of the metric `<id>-share`."""
    noun: str
    """Plural name, such as `random patches`."""
    stream: int
    """Number that selects the family's random numbers and its place in the order; unique."""
    draw: Callable[[Shape, Chance, int], Apply]
    """Function that draws the trigger of a number, for images with values in [0, 1]."""


@dataclass(frozen=True)
class TriggerFamily(Generic[SettingsT_contra]):
    """Triggers that a search inverts; `SettingsT_contra` is the part of the detector's options that it reads."""

    id: str
    noun: str
    """Name of one trigger in the report, such as `patch` or `warp`."""
    unit: str
    """Unit of a size."""
    size_means: str
    """Meaning of a class's smallest size, as the beginning of the metric's sentence."""
    specificity: int
    """Rank among the families that found a trigger for one place; the highest is taken."""
    parts: Callable[[Shape], dict[str, tuple[int, ...]]]
    """Shape of each tensor of one trigger by name; the names identify the family."""
    over: Callable[[Shape, Bounds, SettingsT_contra], Triggers]
    """Triggers for inputs of a shape and a range."""
    apply: Callable[[Tensors, torch.Tensor, Bounds], torch.Tensor]
    """Function that applies triggers of these tensors, each (count, ...), to a batch each, (count, B, C, H, W)."""
    drawn: DrawnFamily | None = None
    """The family's random triggers, for repairs."""

    def applying(self, tensors: Tensors, bounds: Bounds) -> Apply:
        """Return how one trigger of these tensors is applied to raw inputs (N, C, H, W)."""
        own = {name: tensor.unsqueeze(0) for name, tensor in tensors.items()}
        return lambda x: self.apply(own, x.unsqueeze(0), bounds).squeeze(0)


Group = Literal["patch", "overlay", "natural"]
"""Something on a part of the image, something over all of it, or what images undergo by nature."""


UNTOLD = "a secret probe"
"""The name of every probe that is drawn by a secret seed: what it does is told nowhere."""


@dataclass(frozen=True)
class Probe:
    """One change of images, without parameters."""

    name: str
    """What it does, such as `chequered patch of 7 × 7 pixels, upper left`."""
    apply: Apply
    """Function on images (N, C, H, W) with values in [0, 1]; the result has the same shape and range."""
    alone: bool = True
    """Whether what becomes of an image depends on that image alone, so that a batch may be changed in parts."""


@dataclass(frozen=True)
class ProbeFamily:
    """Probes of one kind: those that are the same for every model of a space, and how others are drawn."""

    id: str
    """Stem of the metric `<id>-share`."""
    noun: str
    """Plural name, such as `fixed patches`."""
    group: Group
    """Probes among which a bank looks for a model's most telling ones, each group by itself."""
    fixed: Callable[[Shape], tuple[Probe, ...]]
    """The probes for images of a shape, in an order that never changes."""
    drawn: Callable[[Shape, random.Random], Apply]
    """One more change of the kind, off the grid; all its numbers come from the generator."""
