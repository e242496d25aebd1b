"""From a parent and the attempts to the report of a remediation; pure."""

from collections.abc import Sequence

from gate import VERSION
from gate.records.clock import now
from gate.records.evidence import Location
from gate.records.remediation import Attempt, Outcome, RemediationReport
from gate.records.repair import RepairBounds
from gate.remediation.parents import Parent
from gate.remediation.plan import seeds_of
from gate.remediation.suspicion import neurons_of, statistics_of, training_of

MAX_FINDINGS = 50


def build_report(
    parent: Parent,
    suspects: tuple[Location, ...],
    attempts: Sequence[Attempt],
    bounds: RepairBounds,
    planned: tuple[str, ...],
) -> RemediationReport:
    """Return the report as it stands before anything is registered."""
    policy, samples, verdict = parent.request.rules.policy, parent.pulled.samples, parent.verdict
    assert samples is not None
    return RemediationReport(
        gate_version=VERSION,
        made_at=now(),
        uri=parent.request.uri,
        parent=parent.ref,
        parent_digest=parent.pulled.digest,
        evidence_digest=parent.evidence.digest,
        policy=f"{policy.name}@{policy.digest}",
        level=policy.level,
        samples=samples.source[:2000],
        samples_sha256=samples.sha256,
        bounds=bounds,
        suspects=suspects,
        findings=tuple(f"{f.rule}: {f.message}"[:2000] for f in verdict.open_findings[:MAX_FINDINGS]),
        named=statistics_of(parent.evidence, suspects),
        neurons=neurons_of(parent.evidence),
        training=training_of(parent.evidence, verdict),
        pictures=tuple(picture for picture in parent.evidence.pictures if picture.location in suspects),
        planned=planned,
        seeds=seeds_of(policy.seed, len(planned)),
        attempts=tuple(attempts),
        outcome=_outcome(attempts),
    )


def _outcome(attempts: Sequence[Attempt]) -> Outcome:
    if any(not attempt.broken for attempt in attempts):
        return "repaired"
    if all(attempt.result.status == "does-not-fit" for attempt in attempts):
        return "does-not-fit"
    return "none-holds"
