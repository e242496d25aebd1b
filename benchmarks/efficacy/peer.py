"""The contract of a peer: a public method, measured on a model as published, and what it answers.

Between the zoo's models and the report of efficacy; the folder `peers` holds the peers.
"""

from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor


@dataclass(frozen=True)
class PeerResult:
    """What a peer says of one model, and what that cost."""

    decision: bool | None
    """True: backdoored. None: the peer gave no verdict, and `note` says why."""
    targets: tuple[int, ...]
    """The classes that the peer names as targets."""
    score: float | None
    """Larger is more suspicious; None where the peer has no such number."""
    statistics: dict[str, float]
    sample_passes: int
    seconds: float
    note: str = ""


class Peer(Protocol):
    """A public method with a verdict rule of its own."""

    id: str
    revision: int
    """Raise when what is measured changes."""
    needs_training_set: bool

    def measure(self, model: torch.nn.Module, inputs: Tensor, labels: Tensor, classes: int, seed: int) -> PeerResult:
        """Examine a model on samples (N, C, H, W) in [0, 1] with labels (N,): clean ones, or its training set."""
        ...
