"""The commitment of a check: which policy will judge which bytes and samples, signed before the first detector runs.

A policy that is named together with a result can have been chosen for it. A commitment is an in-toto statement of its
own, and a line of the review log, whose chain puts it before the decision.
"""

import datetime as dt
from operator import not_
from typing import Final, Literal, Self

from pydantic import AwareDatetime, Field, model_validator

from gate import VERSION
from gate.attestations.coverage import SignedRecord
from gate.attestations.envelope import MAX_ENVELOPE_BYTES, open_payload, sealed
from gate.attestations.keys import PublicKey, SigningKey
from gate.attestations.statement import Named, named_subject
from gate.records.artifact import ModelRef
from gate.records.fields import Digest, is_none
from gate.records.record import MalformedError, Record

PREDICATE: Final = "urn:model-promotion-gate:commitment:v1"


class Committed(SignedRecord):
    """What a check binds itself to."""

    model: ModelRef
    model_digest: Digest
    policy_name: str
    policy_digest: Digest
    samples_digest: Digest | None = Field(default=None, exclude_if=is_none)
    bank_digest: Digest | None = Field(default=None, exclude_if=is_none)
    """Digest of the bank that stands beside the scan; None where a later step names it, or there is none."""
    base_digest: Digest | None = Field(default=None, exclude_if=is_none)
    """Digest of the base that an adapter is compared with; None where the check names none."""
    seed: int | None = Field(default=None, ge=0, exclude_if=is_none)
    committed_at: AwareDatetime
    resumed: bool = Field(default=False, exclude_if=not_)
    """Whether measurements of an interrupted scan lay in the directory already."""
    log_head: Digest | None = Field(default=None, exclude_if=is_none)
    """Hash of the review log's newest line when this was signed, which the line that holds this one follows."""
    gate_version: str = VERSION

    def same(self, other: "Committed") -> bool:
        """Tell whether two bind the same, whenever they were made."""
        ignored = {"committed_at", "resumed", "log_head", "gate_version"}
        return self.model_dump(exclude=ignored) == other.model_dump(exclude=ignored)


class CommitmentStatement(Record):
    """An in-toto statement about bytes that nobody has measured yet."""

    type_: Literal["https://in-toto.io/Statement/v1"] = Field(default="https://in-toto.io/Statement/v1", alias="_type")
    subject: tuple[Named, ...]
    predicate_type: Literal["urn:model-promotion-gate:commitment:v1"] = Field(default=PREDICATE, alias="predicateType")
    predicate: Committed

    @model_validator(mode="after")
    def _one_truth(self) -> Self:
        if self.subject != (named_subject(str(self.predicate.model), self.predicate.model_digest),):
            raise ValueError("subject and predicate name different bytes")
        return self

    @classmethod
    def of(cls, committed: Committed) -> Self:
        """Return the statement of a commitment."""
        return cls(subject=(named_subject(str(committed.model), committed.model_digest),), predicate=committed)


def sign_commitment(committed: Committed, key: SigningKey) -> str:
    """Return the commitment's DSSE envelope as one line of JSON."""
    return sealed(CommitmentStatement.of(committed).canonical_json(), key)


def open_commitment(envelope: str, keys: tuple[PublicKey, ...]) -> Committed | None:
    """Return the commitment that one of these keys signed; None for anything else."""
    payload = open_payload(envelope, keys).payload
    if payload is None:
        return None
    try:
        return CommitmentStatement.from_json(payload, what="commitment", limit=MAX_ENVELOPE_BYTES).predicate
    except MalformedError:
        return None


def utc_now() -> dt.datetime:
    """Return the time by this machine's clock, never by the environment's."""
    return dt.datetime.now(dt.UTC)
