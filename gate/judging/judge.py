"""The judgement: a pure function from evidence and policy to a verdict with findings.

It knows no detector, framework or clock: the day is an argument, and limits are the policy's. Everything missing,
skipped, failed or unexplained is a finding; a waiver covers only the finding that it names and stays visible.
tests/judging/test_verdict.py holds the properties: worse, missing or failed evidence never approves.
"""

import datetime as dt
from collections.abc import Collection, Iterator
from functools import partial
from itertools import filterfalse

from gate.judging.calibrated import (
    beside_bank,
    calibration,
    of_calibration,
    of_uncalibrated,
    shown_only,
    uncalibrated_because,
    uncalibrated_only,
)
from gate.judging.conditions import of_conditions, of_isolation, of_problems, of_samples
from gate.judging.elsewhere import follows, of_converted, of_other_policy, unlike
from gate.judging.limits import of_detector
from gate.judging.repaired import of_repair
from gate.judging.served import covers, is_oddity, of_bundle
from gate.judging.threats import threats_of
from gate.judging.unexamined import of_behaviour, of_flavour
from gate.judging.within import NONE, within_model
from gate.records.bundle import Covers
from gate.records.comparison import Comparison
from gate.records.evidence import Evidence
from gate.records.finding import Decision, Finding
from gate.records.policy import Policy
from gate.records.verdict import Verdict


def judge(evidence: Evidence, policy: Policy, *, on: dt.date) -> Verdict:
    """Compare evidence with a policy on a given day; approved only without an open finding."""
    because = uncalibrated_because(evidence, policy)
    within = within_model(evidence, policy) if because else NONE
    judging = within.judging if because else beside_bank(evidence)
    because = " ".join(filter(None, (because, within.why_not)))
    confirming: list[Finding] = []
    raw = _raw(evidence, policy, because, judging, confirming)
    odd = partial(is_oddity, evidence=evidence, policy=policy)
    raw += of_behaviour(evidence, policy, [*filterfalse(odd, raw)])
    findings = tuple(_waived(finding, evidence, policy, on) for finding in filterfalse(odd, raw))
    still_open = [finding for finding in findings if not finding.waived]
    targets = {f.location.class_index for f in still_open if f.kind == "limit" and f.location is not None}
    verdict = Verdict(
        decision=Decision.FLAGGED if still_open else Decision.APPROVED,
        findings=findings,
        confirming=tuple(confirming),
        told=tuple(filter(odd, raw)),
        target_classes=tuple(sorted(index for index in targets if index is not None)),
        calibrated=not because,
        standing=calibration(evidence, policy),
        within=within.standing,
        within_judged=within.judging is not None,
        uncalibrated_because=because,
        model_digest=evidence.manifest_digest,
        bundle_digest=None if policy.files_only else evidence.bundle_digest,
        covers=covers(evidence, policy),
        examined="files" if policy.files_only else None,
        evidence_digest=evidence.digest,
        policy_name=policy.name,
        policy_digest=policy.digest,
    )
    return verdict.model_copy(update={"threats": threats_of(evidence, verdict, policy, judging)})


def _raw(
    evidence: Evidence, policy: Policy, because: str, judging: Comparison | None, confirming: list[Finding]
) -> list[Finding]:
    """Return the findings before waivers; a model that no detector examines gets one finding alone."""
    others = unlike(evidence, policy)
    elsewhere = list(of_other_policy(evidence, policy, others))
    if policy.files_only:
        detectors = _of_detectors(evidence, policy, confirming, others, None)
        apart = (*elsewhere, *of_converted(evidence))
        return [*of_problems(evidence), *apart, *of_isolation(evidence, policy), *detectors]
    if evidence.assurance is None and evidence.facts.unexaminable:
        return list(of_flavour(evidence))
    if elsewhere and evidence.assurance is None and not evidence.problems:
        return elsewhere  # scanned by a policy for files alone: that nothing was loaded follows from it
    return [
        *of_problems(evidence),
        *elsewhere,
        *of_conditions(evidence, policy),
        *of_repair(evidence, policy),
        *(of_calibration(judging, evidence, policy) if judging else of_uncalibrated(evidence, policy, because)),
        *of_samples(evidence, policy),
        *of_bundle(evidence, policy),
        *_of_detectors(evidence, policy, confirming, others, judging),
    ]


def _of_detectors(
    evidence: Evidence,
    policy: Policy,
    confirming: list[Finding],
    others: frozenset[str],
    judging: Comparison | None,
) -> Iterator[Finding]:
    """Yield the findings on all detectors but `others`; `confirming` gets those that only confirm a p-value."""
    # Of too few classes the verdict has one finding, in place of one for each limit without a bank.
    once = judging is None and evidence.facts.few_classes
    for name, rule in policy.detectors.items():
        if name in others:
            continue
        shown = shown_only(name, judging, policy) if judging else frozenset()
        boundless = uncalibrated_only(name, policy) if once else shown
        for finding in of_detector(name, rule, evidence, policy, boundless):
            if follows(finding, others, policy):
                continue
            if finding.kind == "limit" and finding.metric in shown:
                confirming.append(finding)
            else:
                yield finding


def _waived(finding: Finding, evidence: Evidence, policy: Policy, on: dt.date) -> Finding:
    """Return a finding on a limit with the waiver in force for it and these bytes, any other as it is."""
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


def forbids_loading(evidence: Evidence, policy: Policy, before_loading: Collection[str]) -> bool:
    """Tell whether a finding on the bytes alone forbids loading the model."""
    return any(not is_oddity(finding, evidence, policy) for finding in on_bytes(evidence, policy, before_loading))


def on_bytes(evidence: Evidence, policy: Policy, before_loading: Collection[str]) -> Iterator[Finding]:
    """Yield the findings on the bytes: those of the detectors that run before loading."""
    for name, rule in policy.detectors.items():
        if name in before_loading:
            yield from of_detector(name, rule, evidence, policy)


def covered_by(verdict: Verdict, evidence: Evidence) -> Covers:
    """Return which bytes a decision is about; earlier gates did not record it, and meant the bundle only at level B."""
    return verdict.covers or ("bundle" if evidence.assurance == "B" else "candidate")


def approvable(verdict: Verdict, evidence: Evidence) -> bool:
    """Tell whether a reviewer could approve it: it was read without code, and what would be served exists."""
    free = verdict.bytes_passed if verdict.examined == "files" else evidence.assurance in ("A", "B")
    return free and (covered_by(verdict, evidence) == "candidate" or verdict.bundle_digest is not None)
