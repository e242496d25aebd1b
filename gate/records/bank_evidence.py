"""Which reference bank stood beside a scan, and where the candidate lies among its models."""

from pydantic import Field

from gate.records.comparison import Comparison
from gate.records.fields import Digest, Finite, Text
from gate.records.record import Record

MAX_ACCEPTED = 64


class ReferenceEvidence(Record):
    """One reference model of the bank, and whether it could be used beside this candidate."""

    path: Text
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    used: bool
    why: Text = ""
    """Why it was not used."""
    accuracy: Finite | None = Field(default=None, ge=0, le=1)
    """Share of the clean samples that it gets right; without labels, on which it agrees with the candidate."""


class BankEvidence(Record):
    """Which reference bank stood beside the scan."""

    digest: Digest
    count: int = Field(ge=0)
    """How many models it holds."""
    same_task: bool
    """Whether any of them does the candidate's task: its input shape, its classes, its clean samples."""
    comparison: Comparison | None = None
    """The candidate among the bank's models; None for a bank of references alone, which calibrates nothing."""
    name: Text = ""
    source: Text = ""
    by_option: bool = False
    """True where `--bank` named it, and not the policy."""
    references: tuple[ReferenceEvidence, ...] = Field(default=(), max_length=64)
    accepted: tuple[Text, ...] = Field(default=(), max_length=MAX_ACCEPTED, exclude_if=lambda value: not value)
    """Models of the bank that were flagged, rejected or not judged, and the operator's reason for each."""
