"""What a detector or a repair method declares in plain values: its settings, and the numbers that it may yield."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from pydantic import ConfigDict

from gate.records.record import Record

Space = Literal["images", "tokens"]
"""What a model takes: images in raw pixel space, or texts as tokens."""
LooksAt = Literal["bytes", "graph", "weights", "behaviour", "training"]
"""What a detector measures: the files, the program's graph, its weights, its answers, or its training set."""
Scale = Literal["log", "linear", "cells"]
Where = Literal["class", "pair", "model", "layer"]
Within = Literal["log", "linear"]


class Options(Record):
    """Settings of one detector, all with defaults; a policy sets them by their kebab-case names."""

    model_config = ConfigDict(alias_generator=lambda name: name.replace("_", "-"))

    retired: ClassVar[Mapping[str, Any]] = {}
    """Options that are gone, by kebab-case name, and the values that the detector now works with. They stay in the
    digest of its options: a bank of an earlier gate, measured with these values, can still be compared."""

    @property
    def suspects_at_most(self) -> int | None:
        """At how many classes of suspects, those named first, the detector looks in a stage over them; None: at all."""
        return None


@dataclass(frozen=True)
class Compared:
    """How a bank compares a metric between a candidate and its models; `Metric.worse` is the direction."""

    scale: Scale
    """Scale on which the metric varies from model to model; `cells`: it is made of all models' counts together."""
    at: Where
    """Class by class, layer by layer, at each model's worst pair, or as one number of the model."""


@dataclass(frozen=True)
class Metric:
    """A number that a detector may yield."""

    id: str
    unit: str
    worse: Literal["higher", "lower", "neither"]
    meaning: str
    """One sentence for the report and `gate explain`."""
    least_classes: int = 1
    """Fewest classes with which it exists: a median of two sizes compares a class with itself."""
    bounded: bool = False
    """Whether it cannot be as bad as it likes on every model, so that each measurement states its `reach`."""
    compared: Compared | None = None
    """How a bank compares it; None: no bank does."""
    within: Within | None = None
    """How a model's worst class is compared within the model: its logarithm beside the median class's or, of a number
    that compares classes itself, as it is. None: it has no part in a p-value within the model."""
    by_class: bool = False
    """Whether it is measured at classes or pairs of them, so that a policy's rule on it can name suspects."""
