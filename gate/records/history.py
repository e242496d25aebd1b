"""The decisions on earlier versions of a registered model that a trusted key signed: shown, and never judged."""

import hashlib
import json
from operator import not_
from typing import Literal

from pydantic import AwareDatetime, Field

from gate.records.fields import Digest, Finite, Text, is_none
from gate.records.record import Record

MAX_HISTORY = 20
By = Literal["p-value-bank", "p-value-within", "limits", "bytes"]
"""What decides about behaviour: a p-value beside a bank or within the model, or limits; `bytes` where nothing does."""


class PastDecision(Record):
    """The newest signed decision that is known of one earlier version; scores as they were signed then."""

    version: str = Field(pattern=r"^[0-9]{1,64}$")
    decision: Literal["approved", "flagged"]
    review: Literal["approved", "rejected", "waiting"] | None = Field(default=None, exclude_if=is_none)
    """Outcome of reviewers' voices; None where nobody reviewed it."""
    scanned_at: AwareDatetime
    by: By | None = None
    """None in a statement that does not say so."""
    score: Finite | None = Field(default=None, exclude_if=is_none)
    p_value: Finite | None = Field(default=None, exclude_if=is_none)
    level: Finite | None = Field(default=None, exclude_if=is_none)
    scale: Digest
    """Equal where scores can be held against each other."""


class History(Record):
    """The versions before a candidate, the oldest first."""

    why: Text = Field(default="", exclude_if=not_)
    """Reason why nothing, or not all, is known of them."""
    decisions: tuple[PastDecision, ...] = Field(default=(), max_length=MAX_HISTORY)
    unsigned: int = Field(default=0, ge=0)
    """Versions without a decision that a trusted key signed, among those that were looked at."""
    logged: bool = False
    """Whether a review log was asked; else a decision that was taken off a version does not show."""


def scale_of(by: By | None, bank: str | None, samples: str | None, policy: str, gate_version: str) -> str:
    """Return the digest of all that a score depends on besides the model: scores of one scale can be compared."""
    parts = json.dumps([by, bank, samples, policy, gate_version])
    return f"sha256:{hashlib.sha256(parts.encode()).hexdigest()}"
