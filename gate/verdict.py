"""The judgement: a pure function from evidence and policy to a verdict with findings.

Knows no detector, no framework, no clock: the day is an argument, and a limit lives in the policy or nowhere. Whatever
is missing, skipped, failed or unexplained is a finding; a waiver touches only the finding that it names and stays
visible. Its parts are in `gate.judging`. tests/test_verdict.py holds the properties: worse, missing or failed evidence
never approves.
"""

import datetime as dt
from collections.abc import Iterator
from typing import Literal

from pydantic import Field

from gate.bundles.told import Covers
from gate.evidence import Evidence
from gate.finding import Decision, Finding
from gate.judging.calibrated import Standing, of_standing, of_uncalibrated, shown_only, standing, uncalibrated_because
from gate.judging.conditions import of_conditions, of_problems, of_samples
from gate.judging.limits import of_detector
from gate.judging.repaired import of_repair
from gate.judging.served import covers, is_oddity, of_bundle
from gate.judging.waivers import with_waiver
from gate.policy import HARD_RULES, Policy
from gate.record import Record

__all__ = ["Decision", "Finding", "Standing", "Verdict", "forbids_loading", "judge", "on_bytes"]


class Verdict(Record):
    """The decision and everything that led to it."""

    schema_version: Literal[2] = 2
    decision: Decision
    findings: tuple[Finding, ...]
    confirming: tuple[Finding, ...] = ()
    """Limits exceeded that only confirm, because a p-value judged in their place."""
    told: tuple[Finding, ...] = Field(default=(), exclude_if=lambda value: not value)
    """Oddities of the candidate's own bytes that do not flag, because the policy serves the bundle alone."""
    target_classes: tuple[int, ...] = ()
    """Classes that a limit on a class or pair names, or a calibrated finding, without waived ones."""
    calibrated: bool
    """Whether a p-value over a bank of clean models judged; else the policy's limits by number of classes did."""
    standing: Standing | None = None
    """Where the candidate stands among the bank's models; shown, and not believed, where `calibrated` is false."""
    uncalibrated_because: str = ""
    model_digest: str
    bundle_digest: str | None = None
    """Of the gate's own bundle, which was measured and is what `gate promote` copies."""
    covers: Covers | None = None
    """Which bytes the decision is about: the candidate's too, or the bundle's alone; None in earlier verdicts."""
    evidence_digest: str
    policy_name: str
    policy_digest: str

    @property
    def open_findings(self) -> tuple[Finding, ...]:
        """The findings that no waiver covers."""
        return tuple(finding for finding in self.findings if not finding.waived)


def judge(evidence: Evidence, policy: Policy, *, on: dt.date) -> Verdict:
    """Compare evidence with a policy on a given day; approved only where nothing stands against it."""
    because = uncalibrated_because(evidence, policy)
    confirming: list[Finding] = []
    raw = [
        *of_problems(evidence),
        *of_conditions(evidence, policy),
        *of_repair(evidence, policy),
        *(of_uncalibrated(evidence, policy, because) if because else of_standing(evidence, policy)),
        *of_samples(evidence, policy),
        *of_bundle(evidence, policy),
        *_of_detectors(evidence, policy, confirming, calibrated=not because),
    ]
    told = tuple(finding for finding in raw if is_oddity(finding, evidence, policy))
    raw = [finding for finding in raw if not is_oddity(finding, evidence, policy)]
    findings = tuple(with_waiver(finding, evidence, policy, on) for finding in raw)
    still_open = [finding for finding in findings if not finding.waived]
    targets = {f.location.class_index for f in still_open if f.kind == "limit" and f.location is not None}
    return Verdict(
        decision=Decision.FLAGGED if still_open else Decision.APPROVED,
        findings=findings,
        confirming=tuple(confirming),
        told=told,
        target_classes=tuple(sorted(index for index in targets if index is not None)),
        calibrated=not because,
        standing=standing(evidence, policy),
        uncalibrated_because=because,
        model_digest=evidence.manifest_digest,
        bundle_digest=evidence.bundle_digest,
        covers=covers(evidence, policy),
        evidence_digest=evidence.digest,
        policy_name=policy.name,
        policy_digest=policy.digest,
    )


def _of_detectors(
    evidence: Evidence, policy: Policy, confirming: list[Finding], *, calibrated: bool
) -> Iterator[Finding]:
    """Yield what judges, and put aside what only confirms beside a believed p-value."""
    for name, rule in policy.detectors.items():
        shown = shown_only(name, evidence, policy) if calibrated else frozenset()
        for finding in of_detector(name, rule, evidence, policy, shown):
            if finding.kind == "limit" and finding.metric in shown:
                confirming.append(finding)
            else:
                yield finding


def forbids_loading(evidence: Evidence, policy: Policy) -> bool:
    """Tell whether a finding on the bytes alone forbids looking further: look before you load."""
    return any(not is_oddity(finding, evidence, policy) for finding in on_bytes(evidence, policy))


def on_bytes(evidence: Evidence, policy: Policy) -> Iterator[Finding]:
    """Yield what stands against the bytes, whatever the model does."""
    hard = ((name, rule) for name, rule in policy.detectors.items() if name in HARD_RULES)
    yield from (finding for name, rule in hard for finding in of_detector(name, rule, evidence, policy))
