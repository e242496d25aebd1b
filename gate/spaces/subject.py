"""The subject of a detector: the artifact's files and, as far as it asked, weights, graph, classifier and samples.

Arrays are torch tensors, but nothing here imports torch: detector specs must load in a process without it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol, cast

from gate.records.counts import Counts
from gate.records.evidence import Excerpt, Measurement, Picture, Projection, Unmeasured
from gate.records.secret_counts import SecretCounts

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

    import torch

    from gate.formats.adapters.adapter import Adapter
    from gate.formats.adapters.base import BaseModel
    from gate.formats.language.whole import WholeModel
    from gate.programs.dataflow.graph import Graph
    from gate.programs.program import Program
    from gate.records.artifact import Artifact
    from gate.records.bank import Bank
    from gate.records.declarations import Space
    from gate.records.evidence import Location, LocationKind
    from gate.records.passes import Passes
    from gate.records.run import Run
    from gate.spaces.contract import Apply, Bounds, Shape
    from gate.spaces.text.continuing import BesideBase
    from gate.spaces.text.inserting import Typed


class Classifier(Protocol):
    """A model that maps a batch of inputs of one space to logits; what comes before its network is inside."""

    num_classes: int
    feature_layer: str
    """Name of the layer whose input `activations` returns."""
    sample_passes: int
    """Samples through the model so far, forward: the cost in docs/explanation/detection.md."""

    @property
    def gradient_passes(self) -> int:
        """Those of the samples that went back to the inputs too."""
        ...

    @property
    def space(self) -> Space:
        """What it takes: images (N, C, H, W) in raw pixel space, or tokens (N, L)."""
        ...

    @property
    def arithmetic(self) -> str:
        """How `quick_logits` runs the model; empty where as `logits` does."""
        ...

    def logits(self, x: torch.Tensor) -> torch.Tensor:
        """Map inputs (N, …) to logits (N, K), differentiable in images."""
        ...

    def quick_logits(self, x: torch.Tensor) -> torch.Tensor:
        """Do the same in the quickest form that agrees within rounding, for results that are measured again."""
        ...

    def activations(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Map inputs (N, …) to logits (N, K) and the activations (N, D) before the last layer."""
        ...


class ImageClassifier(Classifier, Protocol):
    """A classifier of images in raw pixel space; preprocessing is inside."""

    input_shape: Shape
    bounds: Bounds


@dataclass(frozen=True)
class Head:
    """The last linear layer: class scores are `features @ weight.T + bias`."""

    weight: torch.Tensor
    """Rows by class, (K, D)."""
    bias: torch.Tensor
    """Biases (K,); zeros where the layer has none."""
    layer: str
    """Qualified name of the weight."""


@dataclass(frozen=True)
class Samples:
    """Clean inputs (N, …) of the model's space and their labels (N,), on the scan's device."""

    inputs: torch.Tensor
    labels: torch.Tensor | None
    source: str
    texts: tuple[str, ...] = ()
    """The N texts of tokens; empty for images."""


@dataclass(frozen=True)
class Found:
    """The search that found a trigger, for a later stage to search again or to test on other samples."""

    noun: str
    """Name of one trigger in the report, such as `patch` or `warp`."""
    size: float
    """Size in the family's unit."""
    largest: float
    """Size that stands for 'no trigger found'."""
    settings: str
    """Digest of the search's options."""
    rows: torch.Tensor
    """Indices (M,) of the clean samples that the search was given."""
    again: Callable[[tuple[Location, ...], torch.Tensor, Run], tuple[Trigger, ...]]
    """The same search anew, by places, indices of samples, and run."""
    passes_again: Callable[[LocationKind, int], Passes]
    """Passes of that, by kind and number of the places."""
    detector: str = ""
    """Id of the detector that searched; the scan fills it in."""


@dataclass(frozen=True)
class Trigger:
    """A trigger that an earlier stage inverted for a class or pair."""

    location: Location
    attack_success_rate: float
    apply: Apply
    """Function that applies the trigger to raw inputs (N, C, H, W); one of words is never applied to tokens."""
    tensors: Mapping[str, torch.Tensor] = field(default_factory=dict)
    """Parts by name: mask (1, H, W) and pattern (C, H, W), addition (C, H, W), field (2, H, W), …"""
    found: Found | None = None
    """The search that found it; None where none did."""
    typed: Typed | None = None
    """What is typed into a text; None for images."""


@dataclass(frozen=True)
class Version:
    """One version of the model as far as two are compared; it was read without code."""

    classifier: Classifier
    program: Program | None
    """Its graph; None where it brings none of its own."""
    head: Head | None
    values: Callable[[torch.Tensor, Collection[str]], Mapping[str, torch.Tensor]]
    """Function from raw inputs (N, C, H, W) and names of the graph's values to these, each with N first."""


@dataclass(frozen=True)
class Previous:
    """The versions beside the candidate."""

    own: Version
    """The candidate itself."""
    serving: Version
    """The version that serves now."""
    approved: tuple[Callable[[], Version], ...] = ()
    """Readers of the approved versions, the oldest first, the one that serves among them; one is held at a time."""
    closed: list[int] = field(default_factory=list)
    """Sample passes of versions that are no longer held."""


@dataclass(frozen=True)
class Subject:
    """The candidate, as far as detectors need it."""

    artifact: Artifact
    space: Space | None = None
    """What the model takes; None where it was not read."""
    weights: Mapping[str, torch.Tensor] | None = None
    """Parameters and buffers by their qualified names."""
    head: Head | None = None
    """None where no last linear layer was found."""
    graph: Graph | None = None
    """Graph of a code-free candidate; its shapes need no samples."""
    classifier: Classifier | None = None
    samples: Samples | None = None
    training_set: Samples | None = None
    suspects: tuple[Location, ...] | None = None
    """Classes or pairs to look at; None: all."""
    triggers: Mapping[Location, Trigger] = field(default_factory=dict)
    """Those of the suspects."""
    earlier: Mapping[tuple[str, str], Trigger] = field(default_factory=dict)
    """All triggers that earlier detectors found, by detector and place."""
    references: tuple[Classifier, ...] = ()
    """Clean models of the same task, from the bank."""
    bank: Bank | None = None
    previous: Previous | None = None
    """None where no version serves, or it cannot be compared."""
    adapter: Adapter | None = None
    """None where the artifact is none, or one that cannot be read."""
    language: WholeModel | None = None
    """None where the artifact is no whole language model, or one that cannot be read."""
    base: BaseModel | None = None
    """What the operator named as the base of either; None without it."""
    beside: BesideBase | None = None
    """The networks of either and of its base, to be run; None where they were not loaded."""

    @property
    def images(self) -> ImageClassifier:
        """The classifier for a detector of images; the scan gives it no other."""
        assert self.classifier is not None
        return cast("ImageClassifier", self.classifier)


Yield = Measurement | Unmeasured | Counts | SecretCounts | Picture | Excerpt | Projection | Trigger
"""What a detector may yield; a trigger goes to later stages and never leaves the worker."""
