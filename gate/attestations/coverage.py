"""What a signed statement says of the scan behind its decision: each detector, limit and threat, and who judged.

A verifier can refuse a pass that examined too little, without the report. Every list and text is bounded, so that the
envelope fits into a tag with room for reviews (docs/decisions/0044-the-whole-statement-in-the-tag.md).
"""

import datetime as dt
from collections.abc import Iterator
from operator import not_
from typing import Literal, Self

from pydantic import AwareDatetime, ConfigDict, Field, model_validator
from pydantic.alias_generators import to_camel

from gate import detectors
from gate.jail.inert import inert_line
from gate.judging.applied import Comparator, LimitOutcome, applied_limits
from gate.judging.completeness import place_of, rightly_idle, searched_share
from gate.judging.stages import suspects_after
from gate.policies.declared import digest_of
from gate.records.evidence import Evidence, Location, Measured, Outcome
from gate.records.fields import Digest, Finite, MetricId, is_none
from gate.records.history import By
from gate.records.policy import Policy
from gate.records.record import Record
from gate.records.threat import Power, Status, Threat
from gate.records.verdict import Verdict

MAX_COVERAGE_BYTES = 44_000
"""Largest canonical form: with the rest of a statement and some ten reviewers it stays within a tag."""
_LENGTHS = (300, 120, 40)
"""Characters that a reason may have; the first with which the whole fits."""
_UNPLANNED = "the policy does not run it"
_ABSENT = "there is no outcome of this detector in the evidence"
_IDLE = "the stages before it named no suspect"

DetectorId = MetricId


class SignedRecord(Record):
    """A part of a statement, with in-toto's camelCase keys."""

    model_config = ConfigDict(alias_generator=to_camel)


class SignedDetector(SignedRecord):
    """One detector of the gate: what became of it, and how much of what was planned it examined."""

    id: DetectorId
    status: Literal["measured", "skipped", "failed", "absent"]
    """`absent`: the policy runs it, and the evidence holds no outcome."""
    reason: str = Field(default="", max_length=300, exclude_if=not_)
    planned: bool
    """Whether the policy runs it."""
    required: bool
    """Whether the policy flags where it is skipped for a reason."""
    idle: bool = Field(default=False, exclude_if=not_)
    """Whether the policy's own stages left it nothing to examine."""
    options_digest: Digest | None = Field(default=None, exclude_if=is_none)
    """Digest of the options that it measured with, defaults included."""
    over: Literal["classes", "pairs", "suspects", "model"] | None = Field(default=None, exclude_if=is_none)
    """What `placesPlanned` and `placesExamined` count; `model` is a number about the whole."""
    places_planned: int | None = Field(default=None, ge=0, exclude_if=is_none)
    places_examined: int | None = Field(default=None, ge=0, exclude_if=is_none)
    searched_share: Finite | None = Field(default=None, ge=0, le=1, exclude_if=is_none)
    """Share of classes that a search went on with to its end."""
    sample_passes: int | None = Field(default=None, ge=0, exclude_if=is_none)


class SignedLimit(SignedRecord):
    """One limit of the policy, as it was applied."""

    detector: DetectorId
    metric: MetricId
    comparator: Comparator
    threshold: Finite | None
    """None where the policy states none for the model's number of classes."""
    worst: Finite | None
    values: int = Field(ge=0)
    """Number of values, one a place, that were compared."""
    outcome: LimitOutcome
    confirms: bool = Field(default=False, exclude_if=not_)
    """Whether a p-value judged in its place."""


class JudgedBy(SignedRecord):
    """What decided about behaviour: a p-value at a level, or limits."""

    by: By
    level: Finite | None = Field(default=None, exclude_if=is_none)
    """Level of the p-value that judged, after division for repeated repairs."""
    p_value: Finite | None = Field(default=None, exclude_if=is_none)
    score: Finite | None = Field(default=None, exclude_if=is_none)
    """Score behind the p-value; None in a statement of an earlier gate."""
    models: int | None = Field(default=None, ge=0, exclude_if=is_none)
    """Number of clean models that it is among."""
    classes: int | None = Field(default=None, ge=0, exclude_if=is_none)


class Commitment(SignedRecord):
    """The policy that was bound before the scan, in a statement that the decision's key signed."""

    policy_digest: Digest
    at: AwareDatetime
    scan_began: AwareDatetime
    signed: Digest
    """Digest of the commitment's own envelope, which the same key signed."""
    log_line: int | None = Field(default=None, ge=1, exclude_if=is_none)
    """Line of the review log that holds it."""
    resumed: bool = Field(default=False, exclude_if=not_)
    """Whether measurements of an interrupted scan lay there before it was made."""

    @property
    def before_the_scan(self) -> bool:
        """Whether it was made before the first detector ran."""
        return self.at <= self.scan_began and not self.resumed


class SignedPower(SignedRecord, Power):
    """The same numbers, with in-toto's keys."""


class SignedThreat(SignedRecord):
    """One kind of threat, and what the scan says of it; not detected is not absent."""

    id: MetricId
    status: Status
    by: tuple[str, ...] = Field(default=(), max_length=32, exclude_if=not_)
    without: tuple[str, ...] = Field(default=(), max_length=32, exclude_if=not_)
    reason: str = Field(default="", max_length=300, exclude_if=not_)
    power: SignedPower | None = Field(default=None, exclude_if=is_none)
    power_unknown: str = Field(default="", max_length=300, exclude_if=not_)
    waived_by: tuple[str, ...] = Field(default=(), max_length=32, exclude_if=not_)
    until: dt.date | None = Field(default=None, exclude_if=is_none)


class Coverage(SignedRecord):
    """What was examined, what was compared, and who judged."""

    detectors: tuple[SignedDetector, ...] = Field(min_length=1, max_length=64)
    limits: tuple[SignedLimit, ...] = Field(default=(), max_length=160)
    judged: JudgedBy
    threats: tuple[SignedThreat, ...] = Field(default=(), max_length=64)
    commitment: Commitment | None = None

    @model_validator(mode="after")
    def _within_a_tag(self) -> Self:
        size = len(self.canonical_json())
        if size > MAX_COVERAGE_BYTES:
            raise ValueError(f"the account of the scan has {size} bytes; a statement has room for {MAX_COVERAGE_BYTES}")
        return self


def coverage_of(evidence: Evidence, verdict: Verdict, policy: Policy, commitment: Commitment | None = None) -> Coverage:
    """Return the account of a scan, with reasons as long as all of it fits."""

    def with_reasons(length: int) -> Coverage:
        return Coverage.model_construct(
            detectors=tuple(_detector(name, evidence, policy, length) for name in _names(policy)),
            limits=tuple(SignedLimit(**vars(one)) for one in applied_limits(evidence, verdict, policy)),
            judged=judged_by(evidence, verdict),
            threats=tuple(_threat(threat, length) for threat in verdict.threats),
            commitment=commitment,
        )

    made = (with_reasons(length) for length in _LENGTHS)
    fits = next((one for one in made if len(one.canonical_json()) <= MAX_COVERAGE_BYTES), with_reasons(_LENGTHS[-1]))
    return Coverage.model_validate(dict(fits))


def _names(policy: Policy) -> Iterator[str]:
    """Yield the policy's detectors in its order, then those of the gate that it does not run."""
    yield from policy.detectors
    yield from (name for name in detectors.names() if name not in policy.detectors)


def judged_by(evidence: Evidence, verdict: Verdict) -> JudgedBy:
    """Return which p-value or limits decided."""
    classes, by, seen = evidence.facts.classes, verdict.judged_by, verdict.judging
    if seen is None:
        return JudgedBy(by=by, classes=None if by == "bytes" else classes)
    models = seen.models + seen.others
    return JudgedBy(by=by, level=seen.level, p_value=seen.p_value, score=seen.score, models=models, classes=classes)


def _threat(threat: Threat, length: int) -> SignedThreat:
    power = SignedPower.model_validate(dict(threat.power)) if threat.power else None
    return SignedThreat(
        id=threat.id,
        status=threat.status,
        by=threat.by,
        without=threat.without,
        reason=inert_line(threat.reason, limit=length),
        power=power,
        power_unknown=threat.power_unknown,
        waived_by=tuple(inert_line(name, limit=min(length, 100)) for name in threat.waived_by),
        until=threat.until,
    )


def _detector(name: str, evidence: Evidence, policy: Policy, length: int) -> SignedDetector:
    if name not in policy.detectors:
        return SignedDetector(id=name, status="skipped", reason=_UNPLANNED, planned=False, required=False)
    outcome = evidence.outcomes.get(name)
    idle = outcome is not None and not isinstance(outcome, Measured) and rightly_idle(name, evidence, policy)
    reason = _reason(outcome) or (_IDLE if idle else "")
    return SignedDetector(
        id=name,
        status=outcome.status if outcome else "absent",
        reason=inert_line(reason, limit=length),
        planned=True,
        required=policy.detectors[name].required,
        idle=idle,
        **_done(name, outcome, evidence, policy),
    )


def _reason(outcome: Outcome | None) -> str:
    if outcome is None:
        return _ABSENT
    return getattr(outcome, "reason", "") or getattr(outcome, "error", "")


def _done(name: str, outcome: Outcome | None, evidence: Evidence, policy: Policy) -> dict[str, object]:
    """Return what a detector examined of what was planned; nothing for one that measured nothing."""
    if not isinstance(outcome, Measured):
        return {}
    places = {m.location for m in outcome.measurements if m.location is not None}
    number, stage = place_of(name, policy)
    found: dict[str, object] = {
        "options_digest": _options_digest(name, outcome, policy),
        "searched_share": searched_share(outcome),
        "sample_passes": outcome.sample_passes,
    }
    if stage.over == "suspects":
        named = {s.location for s in suspects_after(policy, number - 1, evidence.outcomes, evidence.facts.classes)}
        examined = {"places_planned": len(named), "places_examined": len(named & places)}
        return found | {"over": "suspects"} | examined
    return found | _of_all(places, evidence.facts.classes)


def _options_digest(name: str, outcome: Measured, policy: Policy) -> str | None:
    """Return the digest of the policy's options; None for a worker's claim of others, which the verdict flags."""
    options = dict(policy.options_of(name))
    return f"sha256:{digest_of(name, options)}" if dict(outcome.options) == options else None


def _of_all(places: set[Location], classes: int | None) -> dict[str, object]:
    indices = {place.class_index for place in places if place.kind == "class"}
    if indices and classes is not None:
        seen = sum(index is not None and index < classes for index in indices)
        return {"over": "classes", "places_planned": classes, "places_examined": seen}
    if pairs := sum(place.kind == "pair" for place in places):
        return {"over": "pairs", "places_examined": pairs}
    return {"over": "model"}
