"""What a detector may look at: the artifact's files, and as far as it asked, weights, graph, classifier and samples.

Arrays are torch tensors, but nothing here imports torch: detector specs must load in a process without it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from gate.records.evidence import Measurement, Picture, Projection, Unmeasured

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import torch

    from gate.programs.dataflow.graph import Graph
    from gate.records.artifact import Artifact
    from gate.records.bank import Bank
    from gate.records.evidence import Location
    from gate.records.run import Run
    from gate.spaces.contract import Apply, Bounds, Shape


class Classifier(Protocol):
    """A model that maps a batch of images in raw pixel space to logits; preprocessing is inside."""

    num_classes: int
    input_shape: Shape
    bounds: Bounds
    feature_layer: str
    """The name of the layer whose input `activations` returns."""
    sample_passes: int
    """How many samples have gone through the model so far, forward; the cost model of docs/explanation/detection.md."""

    def logits(self, x: torch.Tensor) -> torch.Tensor:
        """Map raw inputs (N, C, H, W) to logits (N, K), differentiable in x."""
        ...

    def activations(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Map raw inputs (N, C, H, W) to logits (N, K) and the activations (N, D) before the last layer."""
        ...


@dataclass(frozen=True)
class Head:
    """The last linear layer: class scores are `features @ weight.T + bias`."""

    weight: torch.Tensor
    """(K, D): one row a class."""
    bias: torch.Tensor
    """(K,); zeros where the layer has none."""
    layer: str
    """The qualified name of its weight."""


@dataclass(frozen=True)
class Samples:
    """Clean inputs in raw pixel space (N, C, H, W) and their labels (N,), on the scan's device."""

    inputs: torch.Tensor
    labels: torch.Tensor | None
    source: str


@dataclass(frozen=True)
class Found:
    """How a trigger was found, so that a later stage can look again and knows on which samples it has not been."""

    noun: str
    """What the report calls a trigger of its family, such as `patch` or `warp`."""
    size: float
    """In the family's unit."""
    largest: float
    """The size that stands for 'no trigger found'."""
    settings: str
    """Digest of the options of the search."""
    rows: torch.Tensor
    """Indices (M,) of the clean samples that the search was given."""
    again: Callable[[tuple[Location, ...], torch.Tensor, Run], tuple[Trigger, ...]]
    """Searches for triggers of the same family with the same settings: places, indices of samples, run."""
    detector: str = ""
    """Id of the detector that searched; the scan fills it in."""


@dataclass(frozen=True)
class Trigger:
    """A trigger that an earlier stage inverted for a class or pair."""

    location: Location
    attack_success_rate: float
    apply: Apply
    """Applies it to raw inputs (N, C, H, W)."""
    tensors: Mapping[str, torch.Tensor] = field(default_factory=dict)
    """What it is made of, by name: mask (1, H, W) and pattern (C, H, W), addition (C, H, W), field (2, H, W), …"""
    found: Found | None = None
    """None where it was not found by a search."""


@dataclass(frozen=True)
class Subject:
    """The candidate, filled only as far as a detector's needs ask."""

    artifact: Artifact
    weights: Mapping[str, torch.Tensor] | None = None
    """Parameters and buffers by their qualified names."""
    head: Head | None = None
    """None where no last linear layer was found."""
    graph: Graph | None = None
    """Of a code-free candidate; its shapes need no samples."""
    classifier: Classifier | None = None
    samples: Samples | None = None
    training_set: Samples | None = None
    suspects: tuple[Location, ...] | None = None
    """The classes or pairs to look at; None means all of them."""
    triggers: Mapping[Location, Trigger] = field(default_factory=dict)
    references: tuple[Classifier, ...] = ()
    """Clean models of the same task, from the bank."""
    bank: Bank | None = None


Yield = Measurement | Unmeasured | Picture | Projection | Trigger
"""What a detector may yield; a trigger is handed on to later stages and never leaves the worker."""
