"""The statement that is signed: an in-toto statement whose subject is the bytes and whose predicate is the decision.

A statement stands for itself: subject and predicate are compared when it is read, so that no tool that looks at one of
them sees another truth than the gate. Its version is its predicate type. The second says which bytes an approval covers
and, at every level, which bundle was measured; statements of the first verify until they expire.
"""

import datetime as dt
from typing import Literal, Self

from pydantic import AwareDatetime, ConfigDict, Field, model_validator

from gate import VERSION
from gate.records.artifact import ModelRef
from gate.records.bundle import Covers
from gate.records.evidence import Evidence
from gate.records.finding import Decision
from gate.records.record import Record
from gate.records.verdict import Verdict

SHA256 = r"^sha256:[0-9a-f]{64}$"
PredicateType = Literal["urn:model-promotion-gate:decision:v1", "urn:model-promotion-gate:decision:v2"]
MAX_REASON = 2000


class SignedRecord(Record):
    """A part of the statement, with in-toto's camelCase keys."""

    model_config = ConfigDict(
        alias_generator=lambda name: name.split("_")[0] + "".join(w.title() for w in name.split("_")[1:])
    )


class Voice(SignedRecord):
    """One reviewer's word."""

    reviewer: str = Field(min_length=1, max_length=200)
    outcome: Literal["approved", "rejected"]
    reason: str = Field(min_length=1, max_length=MAX_REASON)
    at: AwareDatetime


class Review(SignedRecord):
    """What reviewers said of a flagged version; approved once enough of them did, rejected by any one."""

    voices: tuple[Voice, ...] = Field(min_length=1, max_length=50)
    needed: int = Field(ge=1, le=20)
    """How many different reviewers must approve: the four-eyes count of the policy at that time."""

    @model_validator(mode="after")
    def _one_voice_each(self) -> Self:
        names = [voice.reviewer for voice in self.voices]
        if len(set(names)) != len(names):
            raise ValueError("a reviewer speaks once")
        return self

    @property
    def outcome(self) -> Literal["approved", "rejected", "waiting"]:
        """The sum of the voices."""
        if any(voice.outcome == "rejected" for voice in self.voices):
            return "rejected"
        return "approved" if len(self.voices) >= self.needed else "waiting"


class SignedOutput(SignedRecord):
    """One output of the model, and whether the decision is about it."""

    name: str = Field(max_length=200)
    role: Literal["judged", "same-decision", "constant", "not-examined"]


class Predicate(SignedRecord):
    """The decision and everything that it binds."""

    decision: Decision
    model: ModelRef
    model_digest: str = Field(pattern=SHA256)
    bundle_digest: str | None = Field(default=None, pattern=SHA256)
    """The gate's own bundle, which was measured and which `gate promote` copies."""
    covers: Covers | None = Field(default=None, exclude_if=lambda value: value is None)
    """Which bytes the decision is about; None in a statement of the first version."""
    assurance: Literal["A", "B", "C"] | None
    examined: Literal["files"] | None = Field(default=None, exclude_if=lambda value: value is None)
    """`files`: the bytes passed a policy that judges nothing else; a reviewer alone can approve them, as they lie."""
    policy_name: str
    policy_digest: str = Field(pattern=SHA256)
    evidence_digest: str = Field(pattern=SHA256)
    bank_digest: str | None = Field(default=None, pattern=SHA256)
    samples_digest: str | None = Field(default=None, pattern=SHA256)
    outputs: tuple[SignedOutput, ...] = Field(default=(), max_length=64, exclude_if=lambda value: not value)
    """Which output was judged, and what is known of the others; left out where a scan did not say."""
    review: Review | None = None
    decided_at: AwareDatetime
    expires_at: AwareDatetime
    gate_version: str

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.expires_at <= self.decided_at:
            raise ValueError("it expires before it was decided")
        if self.review is not None and (self.decision is Decision.APPROVED) != (self.review.outcome == "approved"):
            raise ValueError("the decision is not what the reviewers said")
        if self.decision is Decision.APPROVED and self.examined == "files":
            self._require_reviewed_files()
        elif self.decision is Decision.APPROVED:
            self._require_covered_bytes()
        return self

    def _require_reviewed_files(self) -> None:
        if self.review is None:
            raise ValueError("bytes whose behaviour nobody examined are approved by reviewers alone")
        if self.covers != "candidate" or self.bundle_digest is not None or self.assurance is not None:
            raise ValueError("an approval of bytes alone is about the candidate as it lies, and about no bundle")

    def _require_covered_bytes(self) -> None:
        if self.assurance not in {"A", "B"}:
            raise ValueError("only assurance levels A and B can be approved")
        if self.covers is None and (self.assurance == "B") != (self.bundle_digest is not None):
            raise ValueError("an approval of level B, and no other, names a bundle in the first version")
        if self.covers == "candidate" and self.assurance != "A":
            raise ValueError("only level A approves the candidate's own bytes")
        if self.covers == "bundle" and self.bundle_digest is None:
            raise ValueError("it approves a bundle and names none")


class Digest(Record):
    """A digest set of in-toto."""

    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")


class Named(Record):
    """A subject: a name and its digest."""

    name: str
    digest: Digest


class Statement(Record):
    """An in-toto statement about one model version."""

    type_: Literal["https://in-toto.io/Statement/v1"] = Field(default="https://in-toto.io/Statement/v1", alias="_type")
    subject: tuple[Named, ...]
    predicate_type: PredicateType = Field(alias="predicateType")
    predicate: Predicate

    @model_validator(mode="after")
    def _one_truth(self) -> Self:
        if self.subject != _subjects(self.predicate):
            raise ValueError("subject and predicate name different bytes")
        if self.predicate_type != _type_of(self.predicate):
            raise ValueError("a statement of the second version, and no other, says which bytes it covers")
        return self

    @classmethod
    def of(cls, predicate: Predicate) -> Self:
        """Return the statement that a predicate makes, with the subjects that it names."""
        return cls(subject=_subjects(predicate), predicate_type=_type_of(predicate), predicate=predicate)

    @property
    def covered_digests(self) -> tuple[str, ...]:
        """The digests of the bytes that an approval is about, those that promotion copies last."""
        said = self.predicate
        bundle = (said.bundle_digest,) if said.bundle_digest else ()
        if said.covers == "candidate":
            return (said.model_digest, *bundle)
        return bundle or ((said.model_digest,) if said.covers is None else ())


def _type_of(predicate: Predicate) -> PredicateType:
    first = predicate.covers is None
    return "urn:model-promotion-gate:decision:v1" if first else "urn:model-promotion-gate:decision:v2"


def _subjects(predicate: Predicate) -> tuple[Named, ...]:
    names = {str(predicate.model): predicate.model_digest}
    if predicate.bundle_digest is not None:
        names[f"bundle of {predicate.model}"] = predicate.bundle_digest
    return tuple(Named(name=name, digest=Digest(sha256=digest[7:])) for name, digest in names.items())


def scan_statement(evidence: Evidence, verdict: Verdict, *, at: dt.datetime, days: int) -> Statement:
    """Return what a scan's verdict says, from the time `at` for so many days."""
    return Statement.of(
        Predicate(
            decision=verdict.decision,
            model=evidence.model,
            model_digest=verdict.model_digest,
            bundle_digest=verdict.bundle_digest,
            covers=verdict.covers,
            assurance=evidence.assurance if verdict.examined is None else None,
            examined="files" if verdict.bytes_passed else None,
            policy_name=verdict.policy_name,
            policy_digest=verdict.policy_digest,
            evidence_digest=verdict.evidence_digest,
            bank_digest=evidence.bank.digest if evidence.bank else None,
            samples_digest=f"sha256:{evidence.samples.sha256}" if evidence.samples else None,
            outputs=tuple(SignedOutput(name=output.name, role=output.role) for output in evidence.facts.outputs),
            decided_at=at,
            expires_at=at + dt.timedelta(days=days),
            gate_version=VERSION,
        )
    )


def reviewed(scanned: Statement, voice: Voice, *, needed: int, days: int) -> Statement:
    """Return the statement after one more reviewer's voice, which replaces that reviewer's earlier one."""
    before = scanned.predicate.review
    others = tuple(v for v in (before.voices if before else ()) if v.reviewer != voice.reviewer)
    review = Review(voices=(*others, voice), needed=needed)
    changes = {
        "decision": Decision.APPROVED if review.outcome == "approved" else Decision.FLAGGED,
        "review": review,
        "decided_at": voice.at,
        "expires_at": voice.at + dt.timedelta(days=days),
        "gate_version": VERSION,
    }
    return Statement.of(Predicate.model_validate({**dict(scanned.predicate), **changes}))
