"""The seam between the harness and the published detectors it is compared with.

A peer sees one model as a module and clean samples as tensors, and answers with what it found. The harness calls each
peer on the same models as the gate, keeps every answer, and knows none of them by name.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from torch import Tensor, nn


@dataclass(frozen=True)
class PeerResult:
    """What one peer said of one model, and what it cost."""

    decision: bool | None
    """Whether it calls the model backdoored, at its published threshold; None where it names no threshold."""

    targets: tuple[int, ...]
    """The classes it names as targets, the most suspicious first."""

    score: float | None
    """A number that is higher for a more suspicious model; None where it could not be computed."""

    statistics: dict[str, float]
    """Whatever else it computes, by name."""

    sample_passes: int
    """Samples through the model; forward alone and forward with backward count one each, as in the gate's evidence."""

    seconds: float
    note: str = ""
    """What a reader must know, for example why there is no score."""


class Peer(Protocol):
    """A published detector as the harness calls it."""

    id: str
    """Its name in the table, in kebab-case."""

    revision: int
    """Raised whenever the same model would be measured differently, so that old answers are set aside."""

    needs_training_set: bool
    """Whether `inputs` and `labels` must be what the model was trained on; else clean samples are handed over."""

    def measure(self, model: nn.Module, inputs: Tensor, labels: Tensor, classes: int, seed: int) -> PeerResult:
        """Examine `model`, in eval mode from (N, C, H, W) in [0, 1] to logits (N, K), on those samples."""
