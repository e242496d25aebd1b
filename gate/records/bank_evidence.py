"""The reference bank of a scan, and where the candidate lies among its models."""

from operator import not_

from pydantic import Field

from gate.records.comparison import Comparison
from gate.records.fields import Digest, Finite, Sha256, Text
from gate.records.record import Record

MAX_ACCEPTED = 64


class ReferenceEvidence(Record):
    """One reference model of the bank, and whether it could be used for this candidate."""

    path: Text
    sha256: Sha256
    used: bool
    why: Text = ""
    accuracy: Finite | None = Field(default=None, ge=0, le=1)
    """Share of clean samples that it gets right; without labels, its agreement with the candidate."""


class BankEvidence(Record):
    """The reference bank of the scan."""

    digest: Digest
    count: int = Field(ge=0)
    same_task: bool
    """Whether any model does the candidate's task: same input shape, classes and clean samples."""
    comparison: Comparison | None = None
    """The candidate among the bank's models; None for references alone, which calibrate nothing."""
    name: Text = ""
    source: Text = ""
    by_option: bool = False
    references: tuple[ReferenceEvidence, ...] = Field(default=(), max_length=64)
    accepted: tuple[Text, ...] = Field(default=(), max_length=MAX_ACCEPTED, exclude_if=not_)
    """Flagged, rejected or unjudged models of the bank, each with the operator's reason."""
