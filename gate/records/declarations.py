"""What a detector or a repair method declares in plain values: its settings, and the numbers that it may yield."""

from dataclasses import dataclass
from typing import Literal

from pydantic import ConfigDict

from gate.records.record import Record


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
