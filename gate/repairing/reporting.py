"""From a parent and the attempts to the report of a remediation; pure."""

from collections.abc import Sequence

from gate.clock import now
from gate.evidence import Location
from gate.remediation_report import Attempt, Outcome, RemediationReport
from gate.repair import RepairBounds
from gate.repairing.parents import Parent
from gate.repairing.plan import seeds_of
from gate.repairing.suspicion import neurons_of, statistics_of, training_of
from gate.version import VERSION

MAX_FINDINGS = 50


def build_report(
    parent: Parent,
    suspects: tuple[Location, ...],
    attempts: Sequence[Attempt],
    bounds: RepairBounds,
    planned: tuple[str, ...],
) -> RemediationReport:
    """Return the report as it stands before anything is registered."""
    policy, samples, verdict = parent.request.policy, parent.pulled.samples, parent.verdict
    assert samples is not None
    return RemediationReport(
        gate_version=VERSION,
        made_at=now(),
        uri=parent.request.pull.uri,
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
