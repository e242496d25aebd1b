"""The judgement: a pure function from evidence and policy to a verdict with findings.

Knows no detector, no framework, no clock: the day is an argument, and a limit lives in the policy or nowhere. Whatever
is missing, skipped, failed or unexplained is a finding; a waiver touches only the finding that it names and stays
visible. tests/test_verdict.py holds the properties: worse, missing or failed evidence never approves.
"""

import datetime as dt
from collections.abc import Iterator, Mapping, Sequence
from enum import StrEnum
from typing import Literal, assert_never

from gate.evidence import Evidence, Failed, Location, Measured, Measurement, Skipped, isolation_rank
from gate.policy import HARD_RULES, Limit, Policy, Rule, Stage, Waiver
from gate.record import Record
from gate.stages import suspects_after

MIN_CLASSES_IN_MODEL = 8
"""Below so many classes an outlier test inside one model has no power and no level (docs/contracts.md, section 7)."""

MAX_PLACES = 2000
"""So many places beyond one limit are named one by one; a verdict must stay small enough to be read again."""


class Decision(StrEnum):
    """The two words."""

    APPROVED = "approved"
    FLAGGED = "flagged"


class Finding(Record):
    """A broken limit or a silence."""

    rule: str
    """The detector's id, or what was judged: model, samples, scan, assurance, isolation, calibration."""
    kind: Literal["limit", "silence", "condition"]
    """A limit exceeded; something not measured; a condition of the check itself that does not hold."""
    message: str
    metric: str | None = None
    location: Location | None = None
    value: float | None = None
    limit: Limit | None = None
    waiver: Waiver | None = None

    @property
    def waived(self) -> bool:
        """Whether a waiver covers it."""
        return self.waiver is not None


class Verdict(Record):
    """The decision and everything that led to it."""

    schema_version: Literal[1] = 1
    decision: Decision
    findings: tuple[Finding, ...]
    target_classes: tuple[int, ...] = ()
    """Classes that a limit on a class or pair names, without waived ones."""
    calibrated: bool
    """False: no reference bank calibrated the scan; limits are those of the null distribution by class count."""
    model_digest: str
    bundle_digest: str | None = None
    """Under level B, what the verdict covers: the converted bundle and never the candidate's own bytes."""
    evidence_digest: str
    policy_name: str
    policy_digest: str

    @property
    def open_findings(self) -> tuple[Finding, ...]:
        """The findings that no waiver covers."""
        return tuple(finding for finding in self.findings if not finding.waived)


def judge(evidence: Evidence, policy: Policy, *, on: dt.date) -> Verdict:
    """Compare evidence with a policy on a given day; approved only where nothing stands against it."""
    raw = [
        *_of_problems(evidence),
        *_of_conditions(evidence, policy),
        *_of_samples(evidence, policy),
        *(finding for name, rule in policy.detectors.items() for finding in _of_detector(name, rule, evidence, policy)),
    ]
    findings = tuple(_with_waiver(finding, evidence, policy, on) for finding in raw)
    still_open = [finding for finding in findings if not finding.waived]
    targets = {f.location.class_index for f in still_open if f.kind == "limit" and f.location is not None}
    return Verdict(
        decision=Decision.FLAGGED if still_open else Decision.APPROVED,
        findings=findings,
        target_classes=tuple(sorted(index for index in targets if index is not None)),
        calibrated=_calibrated(evidence),
        model_digest=evidence.manifest_digest,
        bundle_digest=evidence.bundle_digest,
        evidence_digest=evidence.digest,
        policy_name=policy.name,
        policy_digest=policy.digest,
    )


def forbids_loading(evidence: Evidence, policy: Policy) -> bool:
    """Tell whether a finding on the bytes alone forbids looking further: look before you load."""
    hard = ((name, rule) for name, rule in policy.detectors.items() if name in HARD_RULES)
    return any(True for name, rule in hard for _ in _of_detector(name, rule, evidence, policy))


def _of_problems(evidence: Evidence) -> Iterator[Finding]:
    for problem in evidence.problems:
        yield Finding(rule="scan", kind="silence", message=problem)


def _calibrated(evidence: Evidence) -> bool:
    """Tell whether limits come from a bank's statistics; models for confirmation alone calibrate nothing."""
    return evidence.bank is not None and evidence.bank.calibrates


def _of_bank(evidence: Evidence, policy: Policy) -> Iterator[Finding]:
    """Yield a finding where the bank that the policy pins did not stand beside the scan."""
    if policy.bank is None:
        return
    if evidence.bank is None:
        message = "The policy names a reference bank, and none stood beside the scan; scan again."
        yield Finding(rule="calibration", kind="silence", message=message)
    elif evidence.bank.digest != f"sha256:{policy.bank.sha256}" and not evidence.bank.by_option:
        message = f"The bank beside the scan was {evidence.bank.digest}; the policy pins sha256:{policy.bank.sha256}."
        yield Finding(rule="calibration", kind="condition", message=message)


def _of_conditions(evidence: Evidence, policy: Policy) -> Iterator[Finding]:
    """Yield what stands against the check as a whole, whatever was measured."""
    if evidence.assurance is None:
        yield Finding(rule="assurance", kind="condition", message="The model was not loaded: nothing was assured.")
    elif evidence.assurance == "C":
        yield Finding(
            rule="assurance",
            kind="condition",
            message="Assurance level C, behaviour only: the candidate's own code was allowed to run, and could behave "
            "while watched.",
        )
    elif evidence.assurance > policy.assurance:
        yield Finding(
            rule="assurance",
            kind="condition",
            message=f"The candidate carries code. Only the code-free bundle of it (level {evidence.assurance}) was "
            f"examined and could be approved; the policy asks for level {policy.assurance}.",
        )
    if isolation_rank(evidence.isolation) < isolation_rank(policy.isolation):
        yield Finding(
            rule="isolation",
            kind="condition",
            message=f"The worker's isolation was '{evidence.isolation}'; the policy asks for '{policy.isolation}'.",
        )
    yield from _of_bank(evidence, policy)
    if not _calibrated(evidence) and policy.uncalibrated == "flag":
        yield Finding(
            rule="calibration",
            kind="condition",
            message="No reference bank calibrated the scan, and the policy flags uncalibrated verdicts.",
        )
    classes = evidence.facts.classes
    if not _calibrated(evidence) and classes is not None and classes < MIN_CLASSES_IN_MODEL:
        yield Finding(
            rule="calibration",
            kind="condition",
            message=f"The model has {classes} classes; below {MIN_CLASSES_IN_MODEL} no outlier test inside one model "
            "is used, and no reference bank calibrated the scan.",
        )


def _of_samples(evidence: Evidence, policy: Policy) -> Iterator[Finding]:
    """Yield findings where the clean samples are not what the policy pins, or the model does poorly on them."""
    samples, settings = evidence.samples, policy.samples.of(evidence.model.name)
    if samples is None:
        if not evidence.problems:  # otherwise a problem says why, or the detectors that need samples were skipped
            message = "There is no record of clean samples in the evidence, and so no behaviour is believed."
            yield Finding(rule="samples", kind="silence", message=message)
        return
    if settings.sha256 is not None and samples.sha256 != settings.sha256 and not samples.overridden:
        yield Finding(
            rule="samples",
            kind="condition",
            message=f"The samples' sha256 is {samples.sha256}; the policy pins {settings.sha256}.",
        )
    if samples.accuracy is None and settings.min_accuracy is not None:
        message = "The clean samples have no labels, and the policy asks for a least accuracy on them."
        yield Finding(rule="samples", kind="condition", metric="accuracy", message=message)
    if samples.accuracy is None or evidence.facts.classes is None:
        return
    least, why = settings.min_accuracy, "the policy's least"
    chance = 1 / evidence.facts.classes
    # Twice chance is out of reach with two classes; there, and with three, it is half the way from chance to perfect.
    if least is None or least < min(2 * chance, (1 + chance) / 2):
        least, why = min(2 * chance, (1 + chance) / 2), "what stands clear of chance"
    if samples.accuracy < least:
        yield Finding(
            rule="samples",
            kind="condition",
            metric="accuracy",
            value=samples.accuracy,
            message=f"The model gets {samples.accuracy:.1%} of the clean samples right, below {why} ({least:.1%}). "
            "The classic cause is a preprocessing mismatch: check bounds, layout, mean and std in the policy. "
            "Nothing measured on these samples is believed.",
        )


def _of_detector(name: str, rule: Rule, evidence: Evidence, policy: Policy) -> Iterator[Finding]:
    outcome = evidence.outcomes.get(name)
    match outcome:
        case None:
            yield Finding(rule=name, kind="silence", message="There is no outcome of this detector in the evidence.")
        case Failed():
            yield Finding(rule=name, kind="silence", message=f"The detector failed: {outcome.error}")
        case Skipped():
            if rule.required and not _rightly_idle(name, evidence, policy):
                yield Finding(rule=name, kind="silence", message=f"The detector was skipped: {outcome.reason}")
        case Measured():
            if dict(outcome.options) != dict(policy.options_of(name)):
                yield Finding(
                    rule=name,
                    kind="silence",
                    message="It was measured with other options than the policy states; scan again.",
                )
            yield from _of_measurements(name, rule, outcome, evidence)
            yield from _of_gaps(name, rule, outcome, evidence, policy)
        case _:
            assert_never(outcome)


def _rightly_idle(name: str, evidence: Evidence, policy: Policy) -> bool:
    """Tell whether the policy's own stages gave this detector nothing to look at."""
    number, stage = _place(name, policy)
    if stage.over == "all":
        return False
    earlier = [detector for before in policy.plan()[: number - 1] for detector in before.detectors]
    ran = all(isinstance(evidence.outcomes.get(detector), Measured | Skipped) for detector in earlier)
    return ran and not suspects_after(policy, number - 1, evidence.outcomes, evidence.facts.classes)


def _of_measurements(name: str, rule: Rule, outcome: Measured, evidence: Evidence) -> Iterator[Finding]:
    classes = evidence.facts.classes
    places = _by_place(outcome)
    for metric, limit in rule.limits.items():
        found = [measurement for measurement in outcome.measurements if measurement.metric == metric]
        if not found:
            yield _not_judged(name, metric, limit, f"'{metric}' was not measured.")
            continue
        try:
            limit.at(classes)
        except LookupError as error:
            yield _not_judged(name, metric, limit, f"'{metric}' cannot be judged: {error}.")
            continue
        beyond = [m for m in found if limit.exceeded(m.value, classes) and not _excused(m, limit, places, classes)]
        yield from (_beyond_limit(name, limit, measurement, classes) for measurement in beyond[:MAX_PLACES])
        if others := beyond[MAX_PLACES:]:
            yield _not_judged(name, metric, limit, f"'{metric}' is beyond its limit at {len(others)} further places.")


_Places = Mapping[tuple[str, Location | None], Sequence[Measurement]]


def _by_place(outcome: Measured) -> _Places:
    """Return the measurements by metric and location, so that looking beside one costs no search of all."""
    places: dict[tuple[str, Location | None], list[Measurement]] = {}
    for measurement in outcome.measurements:
        places.setdefault((measurement.metric, measurement.location), []).append(measurement)
    return places


def _excused(measurement: Measurement, limit: Limit, places: _Places, classes: int | None) -> bool:
    """Tell whether a companion metric of the limit was measured at the same place and keeps its own bound."""
    for metric, companion in limit.together_with.items():
        beside = places.get((metric, measurement.location), ())
        try:
            if beside and not any(companion.exceeded(m.value, classes) for m in beside):
                return True
        except LookupError:
            continue  # the companion says nothing for this many classes, and so excuses nothing
    return False


def _not_judged(name: str, metric: str, limit: Limit, message: str) -> Finding:
    return Finding(rule=name, kind="silence", metric=metric, limit=limit, message=message)


def _beyond_limit(name: str, limit: Limit, measurement: Measurement, classes: int | None) -> Finding:
    where = f" at {measurement.location}" if measurement.location else ""
    note = f" {measurement.note}" if measurement.note else ""
    return Finding(
        rule=name,
        kind="limit",
        metric=measurement.metric,
        location=measurement.location,
        value=measurement.value,
        limit=limit,
        message=f"{measurement.metric} {measurement.value:.3g}{where}; the limit is {limit.describe(classes)}.{note}",
    )


def _of_gaps(name: str, rule: Rule, outcome: Measured, evidence: Evidence, policy: Policy) -> Iterator[Finding]:
    """Yield what is missing among measurements that are there: a class, or a suspect that was not looked at."""
    number, stage = _place(name, policy)
    measured, classes = {m.metric for m in outcome.measurements}, evidence.facts.classes or 0
    naming = {r.metric for other in policy.stages for r in other.suspects if r.detector == name}
    for metric in sorted(naming - measured - set(rule.limits)):
        message = f"'{metric}', by which the policy names suspects, was not measured."
        yield Finding(rule=name, kind="silence", metric=metric, message=message)
    places = {metric: _places(outcome, metric) for metric in sorted({*rule.limits, *naming} & measured)}
    if stage.over == "all":
        for metric, where in places.items():
            indices = {place.class_index for place in where if place.kind == "class"}
            seen = [index for index in indices if index is not None and index < classes]
            if indices and len(seen) < classes:
                message = f"'{metric}' was measured at {len(seen)} of {classes} classes."
                yield Finding(rule=name, kind="silence", metric=metric, message=message)
        return
    anywhere = {measurement.location for measurement in outcome.measurements}
    for suspect in suspects_after(policy, number - 1, evidence.outcomes, evidence.facts.classes):
        if suspect.location not in anywhere or any(
            where and suspect.location not in where for where in places.values()
        ):
            yield Finding(
                rule=name,
                kind="silence",
                location=suspect.location,
                message=f"{suspect.location} is a suspect under this policy and was not examined; scan again.",
            )


def _place(name: str, policy: Policy) -> tuple[int, Stage]:
    return next((number, stage) for number, stage in enumerate(policy.plan(), start=1) if name in stage.detectors)


def _places(outcome: Measured, metric: str) -> set[Location]:
    """Return the classes and pairs at which a metric was measured."""
    located = (m.location for m in outcome.measurements if m.metric == metric and m.location is not None)
    return {location for location in located if location.kind in {"class", "pair"}}


def _with_waiver(finding: Finding, evidence: Evidence, policy: Policy, on: dt.date) -> Finding:
    """Attach the waiver that names this very finding, if one is in force for these bytes; only limits can be waived."""
    if finding.kind != "limit":
        return finding
    for waiver in policy.waivers:
        if (
            waiver.detector == finding.rule
            and waiver.metric == finding.metric
            and (waiver.location is None or waiver.location == str(finding.location))
            and waiver.model_digest == evidence.manifest_digest
            and waiver.expires >= on
        ):
            return finding.model_copy(update={"waiver": waiver})
    return finding
