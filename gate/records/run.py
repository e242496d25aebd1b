"""A run: the only source of randomness, time and device that a detector or a repair method has."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from gate.records.errors import GateError


class DeadlineReachedError(GateError):
    """The scan's time is up; the evidence records what was not measured."""


@dataclass(frozen=True)
class Run:
    """Seed, device, deadline and progress of a detector or a repair method."""

    seed: int
    device: str = "cpu"
    deadline: float = float("inf")
    """Seconds on the clock of `time.monotonic`."""
    progress: Callable[[int, int], None] = field(default=lambda _done, _total: None)
    max_batch: int = 2048
    """The most images in one pass through the model, which bounds memory."""
    probe_seed: str | None = field(default=None, repr=False)
    """Seed of the secret probes; None where the operator has none, or the process may run the candidate's code."""

    def quiet(self) -> "Run":
        """Return the run without progress, for a search inside another, whose count it would upset."""
        return replace(self, progress=lambda _done, _total: None)

    def check_time(self) -> None:
        """Raise `DeadlineReachedError` when the time is up; detectors call it once a step."""
        if time.monotonic() > self.deadline:
            raise DeadlineReachedError("the deadline was reached")
