"""The signed in-toto statement, whose subject is the bytes and whose predicate is the decision.

Subject and predicate must agree, so a tool that reads only one of them sees the same bytes as the gate. The third
version says what was examined and compared, the second which bytes an approval covers and which bundle was measured;
both of these and the first verify until they expire.
"""

import datetime as dt
from operator import not_
from typing import Literal, Self

from pydantic import AwareDatetime, Field, model_validator

from gate import VERSION
from gate.attestations.coverage import Commitment, Coverage, SignedRecord, coverage_of
from gate.judging.judge import covered_by
from gate.records.artifact import ModelRef
from gate.records.bundle import Covers
from gate.records.evidence import Evidence
from gate.records.fields import is_none
from gate.records.finding import Decision
from gate.records.policy import Policy
from gate.records.record import Record
from gate.records.verdict import Verdict

SHA256 = r"^sha256:[0-9a-f]{64}$"
PredicateType = Literal[
    "urn:model-promotion-gate:decision:v1",
    "urn:model-promotion-gate:decision:v2",
    "urn:model-promotion-gate:decision:v3",
]


class Voice(SignedRecord):
    """One reviewer's decision."""

    reviewer: str = Field(min_length=1, max_length=200)
    outcome: Literal["approved", "rejected"]
    reason: str = Field(min_length=1, max_length=2000)
    at: AwareDatetime
    lifts: tuple[str, ...] = Field(default=(), max_length=20, exclude_if=not_)
    """Reviewers whom the policy no longer names, and whose rejections of these bytes an approval takes back."""


class Review(SignedRecord):
    """The voices about a flagged version: approved once enough reviewers approve, rejected by any one."""

    voices: tuple[Voice, ...] = Field(min_length=1, max_length=50)
    needed: int = Field(ge=1, le=20)
    """Number of reviewers who must approve, by the policy at that time."""

    @model_validator(mode="after")
    def _one_voice_each(self) -> Self:
        names = [voice.reviewer for voice in self.voices]
        if len(set(names)) != len(names):
            raise ValueError("a reviewer speaks once")
        return self

    @property
    def outcome(self) -> Literal["approved", "rejected", "waiting"]:
        """The result of the voices."""
        if any(voice.outcome == "rejected" for voice in self.voices):
            return "rejected"
        return "approved" if len(self.voices) >= self.needed else "waiting"


class SignedOutput(SignedRecord):
    """One output of the model, and whether the decision is about it."""

    name: str = Field(max_length=200)
    role: Literal["judged", "same-decision", "constant", "not-examined"]


class Predicate(SignedRecord):
    """The decision, with every digest it is bound to."""

    decision: Decision
    model: ModelRef
    model_digest: str = Field(pattern=SHA256)
    bundle_digest: str | None = Field(default=None, pattern=SHA256)
    """Digest of the gate's own bundle, which was measured and which `gate promote` copies."""
    covers: Covers | None = Field(default=None, exclude_if=lambda value: value is None)
    """Bytes that the decision covers; None in a statement of the first version."""
    assurance: Literal["A", "B", "C"] | None
    examined: Literal["files"] | None = Field(default=None, exclude_if=lambda value: value is None)
    """`files`: bytes that passed a policy which judges nothing else; only a reviewer can approve them."""
    policy_name: str
    policy_digest: str = Field(pattern=SHA256)
    evidence_digest: str = Field(pattern=SHA256)
    bank_digest: str | None = Field(default=None, pattern=SHA256)
    samples_digest: str | None = Field(default=None, pattern=SHA256)
    outputs: tuple[SignedOutput, ...] = Field(default=(), max_length=64, exclude_if=lambda value: not value)
    """Roles of the model's outputs; left out where a scan did not tell them."""
    coverage: Coverage | None = Field(default=None, exclude_if=lambda value: value is None)
    """What was examined and compared; None in a statement of an earlier version."""
    review: Review | None = None
    decided_at: AwareDatetime
    expires_at: AwareDatetime
    scanned_at: AwareDatetime | None = Field(default=None, exclude_if=is_none)
    """Time of the scan that reviewers decided about; None in a scan's own statement, whose `decided_at` it is."""
    waived_until: AwareDatetime | None = Field(default=None, exclude_if=is_none)
    """End of the first waiver to end among those that the scan used; no decision about the scan outlives it."""
    log_head: str | None = Field(default=None, pattern=SHA256, exclude_if=is_none)
    """Hash of the review log's newest line when this was signed, which the line that holds this one follows."""
    gate_version: str

    @property
    def scan_time(self) -> dt.datetime:
        """Time of the scan; of a review by a gate that did not keep it, the earliest time that is known."""
        voices = self.review.voices if self.review else ()
        return self.scanned_at or min((self.decided_at, *(voice.at for voice in voices)))

    def latest_end(self, days: int) -> dt.datetime:
        """Return when the last decision about the scan ends, which may hold so many days after it."""
        end = self.scan_time + dt.timedelta(days=days)
        return min(end, self.waived_until) if self.waived_until else end

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.coverage is not None and self.covers is None:
            raise ValueError("it says what was examined, and not which bytes it covers")
        if self.expires_at <= self.decided_at:
            raise ValueError("it expires before it was decided")
        if self.scan_time > self.decided_at:
            raise ValueError("it was decided before the scan")
        if self.waived_until is not None and self.expires_at > self.waived_until:
            raise ValueError("it outlives a waiver that it rests on")
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
            raise ValueError("its version is not that of a statement which says as much as it does")
        return self

    @classmethod
    def of(cls, predicate: Predicate) -> Self:
        """Return a predicate's statement, with the subjects that it names."""
        return cls(subject=_subjects(predicate), predicate_type=_type_of(predicate), predicate=predicate)

    def after(self, log_head: str | None) -> Self:
        """Return what is signed after a line of the review log; None for no line."""
        return self.of(self.predicate.model_copy(update={"log_head": log_head}))

    @property
    def covered_digests(self) -> tuple[str, ...]:
        """The digests of the bytes that an approval covers, with the bundle, which promotion copies, last."""
        predicate = self.predicate
        bundle = (predicate.bundle_digest,) if predicate.bundle_digest else ()
        if predicate.covers == "candidate":
            return (predicate.model_digest, *bundle)
        return bundle or ((predicate.model_digest,) if predicate.covers is None else ())


def _type_of(predicate: Predicate) -> PredicateType:
    if predicate.coverage is not None:
        return "urn:model-promotion-gate:decision:v3"
    first = predicate.covers is None
    return "urn:model-promotion-gate:decision:v1" if first else "urn:model-promotion-gate:decision:v2"


def _subjects(predicate: Predicate) -> tuple[Named, ...]:
    names = {str(predicate.model): predicate.model_digest}
    if predicate.bundle_digest is not None:
        names[f"bundle of {predicate.model}"] = predicate.bundle_digest
    return tuple(named_subject(name, digest) for name, digest in names.items())


def named_subject(name: str, digest: str) -> Named:
    """Return a subject from its name and `sha256:` digest."""
    return Named(name=name, digest=Digest(sha256=digest.removeprefix("sha256:")))


def scan_statement(
    evidence: Evidence, verdict: Verdict, policy: Policy, *, at: dt.datetime, commitment: Commitment | None = None
) -> Statement:
    """Return the statement of a scan's verdict, from the time `at` for the policy's days or a waiver's."""
    expires = at + dt.timedelta(days=policy.valid_days)
    waived = _end_of_waivers(verdict)
    return Statement.of(
        Predicate(
            decision=verdict.decision,
            model=evidence.model,
            model_digest=verdict.model_digest,
            bundle_digest=verdict.bundle_digest,
            covers=covered_by(verdict, evidence),
            assurance=evidence.assurance if verdict.examined is None else None,
            examined="files" if verdict.bytes_passed else None,
            policy_name=verdict.policy_name,
            policy_digest=verdict.policy_digest,
            evidence_digest=verdict.evidence_digest,
            bank_digest=evidence.bank.digest if evidence.bank else None,
            samples_digest=f"sha256:{evidence.samples.sha256}" if evidence.samples else None,
            outputs=tuple(SignedOutput(name=output.name, role=output.role) for output in evidence.facts.outputs),
            coverage=coverage_of(evidence, verdict, policy, commitment),
            decided_at=at,
            expires_at=min(expires, waived) if waived else expires,
            waived_until=waived,
            gate_version=VERSION,
        )
    )


def _end_of_waivers(verdict: Verdict) -> dt.datetime | None:
    """Return when the first of the waivers ends that were used; None for none, and for one on the calendar's last day.

    A waiver holds on the whole of its last day, in UTC.
    """
    days = [finding.waiver.expires for finding in verdict.findings if finding.waiver is not None]
    if not days or min(days) == dt.date.max:
        return None
    return dt.datetime.combine(min(days) + dt.timedelta(days=1), dt.time(), dt.UTC)
