"""The reference bank of a scan, and where the candidate lies among its models."""

from operator import not_

from pydantic import Field

from gate.records.comparison import Comparison
from gate.records.fields import Digest, Finite, Sha256, Text, is_none
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


class SelfMadeEvidence(Record):
    """A bank's models are copies of a program that `gate bank make` trained."""

    whose: Text
    """The model whose program was copied; empty where it is the candidate itself."""
    data: Text
    """Name of the data that the copies were trained on, trusted by the word of whoever made the bank."""

    @property
    def named(self) -> str:
        """The copies, as they follow their number in a sentence."""
        program = f"the program of {self.whose}" if self.whose else "the candidate's own program"
        return f"of {program}, trained on {self.data}"


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
    self_made: SelfMadeEvidence | None = Field(default=None, exclude_if=is_none)
    """Origin of a self-made bank; None for a bank of models that there were."""
    accepted: tuple[Text, ...] = Field(default=(), max_length=MAX_ACCEPTED, exclude_if=not_)
    """Flagged, rejected or unjudged models of the bank, each with the operator's reason."""
