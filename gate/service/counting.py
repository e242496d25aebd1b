"""What a published verdict adds to the metrics, by the policy's own detectors and the gate's own words."""

from gate.records.evidence import Outcome, Skipped
from gate.records.report import Report
from gate.records.verdict import Verdict
from gate.service import metrics

MOST_SECONDS = 7 * 86400.0
"""Seconds that one detector is counted for at most: a worker that a candidate took over can tell any number."""


def count_verdict(verdict: Verdict, report: Report) -> None:
    """Count a verdict as it was signed, its reasons once each, and what became of each detector of its policy."""
    policy = metrics.policy_label(verdict.policy_name)
    metrics.VERDICTS.labels(policy, verdict.decision.value).inc()
    for kind, rule in sorted({(finding.kind, finding.rule) for finding in verdict.open_findings}):
        metrics.REASONS.labels(policy, kind, rule).inc()
    outcomes = report.evidence.outcomes if report.evidence else {}
    for name in report.policy.detectors:
        _count_detector(name, outcomes.get(name))


def _count_detector(name: str, outcome: Outcome | None) -> None:
    metrics.DETECTORS.labels(name, outcome.status if outcome else "absent").inc()
    if outcome is not None and not isinstance(outcome, Skipped):
        metrics.DETECTOR_SECONDS.labels(name).observe(min(outcome.seconds, MOST_SECONDS))
