"""The clean samples of a scan, and how the model does on them, also with the usual mistakes undone."""

from operator import not_
from typing import Literal

from pydantic import Field

from gate.records.class_names import ClassNames
from gate.records.fields import Finite, Sha256, Text, is_none
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
    """Accuracy on clean samples with one usual mistake undone."""

    change: Change
    accuracy: Finite = Field(ge=0, le=1)


class SamplesEvidence(Record):
    """The clean samples that were used, and how the model does on them."""

    source: Text
    sha256: Sha256
    count: int = Field(ge=0)
    classes_present: int = Field(ge=0)
    accuracy: Finite | None = Field(default=None, ge=0, le=1)
    """Share of samples on which the model's first choice is their label; None without labels."""
    overridden: bool = False
    """Whether `--samples` took the place of the samples that the policy pins."""
    class_names: ClassNames = Field(default_factory=dict, exclude_if=not_)
    """Class names in the file or its folders; shown and never relied on."""
    cut: int = Field(default=0, ge=0, exclude_if=not_)
    """Number of texts of which the model is given the beginning alone, since it takes no longer ones."""
    reading: Sha256 | None = Field(default=None, exclude_if=is_none)
    """Digest of the settings they were read by (`SampleSettings.reading`); None in earlier evidence."""
    greatest: Finite | None = Field(default=None, exclude_if=is_none)
    """The greatest value in the inputs; stated where changes were tried."""
    tried: tuple[Trial, ...] = Field(default=(), max_length=16, exclude_if=not_)
    """Accuracy with each usual mistake undone, where the accuracy is below the rule."""
