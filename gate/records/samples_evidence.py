"""Which clean samples a scan used, how the model does on them, and under the usual mistakes with samples."""

from typing import Literal

from pydantic import Field

from gate.records.class_names import ClassNames
from gate.records.fields import Finite, Text
from gate.records.record import Record

Change = Literal[
    "labels-minus-one",
    "labels-plus-one",
    "divided-by-255",
    "times-255",
    "not-normalised",
    "imagenet-statistics",
    "to-minus-one-and-one",
    "standardised",
    "channels-reversed",
    "axes-exchanged",
    "inverted",
    "classes-renumbered",
]
"""A usual mistake with samples, undone; `gate.judging.accuracy` says each in words."""


class Trial(Record):
    """How the model does on clean samples that were changed as somebody may have forgotten to change them."""

    change: Change
    accuracy: Finite = Field(ge=0, le=1)


class SamplesEvidence(Record):
    """Which clean samples were used, and how the model does on them."""

    source: Text
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    count: int = Field(ge=0)
    classes_present: int = Field(ge=0)
    accuracy: Finite | None = Field(default=None, ge=0, le=1)
    """Share of samples on which the model's first choice is their label; None without labels."""
    overridden: bool = False
    """True where `--samples` took the place of what the policy pins."""
    class_names: ClassNames = Field(default_factory=dict, exclude_if=lambda value: not value)
    """What the file or its folders call the classes; shown and never relied on."""
    reading: str | None = Field(default=None, pattern=r"^[0-9a-f]{64}$", exclude_if=lambda value: value is None)
    """Of the policy's settings by which they were read (`SampleSettings.reading`); None in earlier evidence."""
    greatest: Finite | None = Field(default=None, exclude_if=lambda value: value is None)
    """The greatest value in the inputs; stated where changes were tried."""
    tried: tuple[Trial, ...] = Field(default=(), max_length=16, exclude_if=lambda value: not value)
    """Where the accuracy is below the rule: what it is under the usual changes of samples or labels."""
