"""The contract of a detector: a module with a docstring, an options record, a generator and one value `DETECTOR`.

A detector measures. It knows no limit, catches nothing, prints nothing, and leaves the model as it found it; `scan`
runs it, times it and files what it yields. No base class, no decorator: the folder `gate/detectors` is the registry.
Importing a detector must not import torch, so that policies validate and `gate explain` answers without it.
"""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from enum import Flag, auto
from typing import Generic, Literal, TypeVar

from pydantic import ConfigDict

from gate.errors import GateError
from gate.evidence import Measurement, Picture, Projection, Unmeasured
from gate.record import Record
from gate.subject import Subject, Trigger


class Need(Flag):
    """What of the subject a detector must have; each is filled only when asked for."""

    FILES = auto()
    WEIGHTS = auto()
    GRAPH = auto()
    MODEL = auto()
    SAMPLES = auto()
    TRAINING_SET = auto()
    REFERENCES = auto()


NOTHING = Need(0)


class Options(Record):
    """Settings of one detector, all with defaults; a policy may set them by their kebab-case names."""

    model_config = ConfigDict(alias_generator=lambda name: name.replace("_", "-"))


@dataclass(frozen=True)
class Metric:
    """A number that a detector may yield."""

    id: str
    unit: str
    worse: Literal["higher", "lower", "neither"]
    meaning: str
    """One sentence for the report and `gate explain`."""
    least_classes: int = 1
    """Of models with fewer classes it does not exist: a median of two sizes compares a class with itself. `scan`
    records that, and no measurement."""


class DeadlineReachedError(GateError):
    """The scan's time is up; what was left is recorded."""


@dataclass(frozen=True)
class Run:
    """The only source of randomness, time and place that a detector has."""

    seed: int
    device: str = "cpu"
    deadline: float = float("inf")
    """On the clock of `time.monotonic`."""
    progress: Callable[[int, int], None] = field(default=lambda _done, _total: None)
    max_batch: int = 2048
    """The most images in one pass through the model; memory is bounded by it."""

    def quiet(self) -> "Run":
        """Return the run without progress, for a search inside another, whose count it would upset."""
        return replace(self, progress=lambda _done, _total: None)

    def check_time(self) -> None:
        """Raise `DeadlineReachedError` when the time is up; detectors call it once a step."""
        if time.monotonic() > self.deadline:
            raise DeadlineReachedError("the deadline was reached")


Yield = Measurement | Unmeasured | Picture | Projection | Trigger
"""What a detector may yield; a trigger is handed on to later stages and never leaves the worker."""

OptionsT = TypeVar("OptionsT", bound=Options)


@dataclass(frozen=True)
class Detector(Generic[OptionsT]):
    """A detector's identity and its one function."""

    id: str
    """Kebab-case; the file's name, the policy's key, the report's rule and the test's name."""
    title: str
    needs: Need
    metrics: tuple[Metric, ...]
    options: type[OptionsT]
    measure: Callable[[Subject, OptionsT, Run], Iterator[Yield]]
    uses: Need = NOTHING
    """What it takes where it is there, and says that it did without where it is not."""

    def metric(self, metric_id: str) -> Metric | None:
        """Return the metric of that id, or None."""
        return next((metric for metric in self.metrics if metric.id == metric_id), None)
