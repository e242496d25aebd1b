"""A report in a few values for the next step of a pipeline: outputs of an action, variables of a job.

Every value is one line of a narrow alphabet: no name in a registry can become a command, a second variable or a shell
expansion. Empty means not measured.
"""

import re
from collections.abc import Iterator, Mapping

from gate.records.evidence import Measured
from gate.records.finding import Decision
from gate.records.report import Report

MAX_CLASSES = 100
"""Most target classes that are listed; report.json has all."""
_FOREIGN = re.compile(r"[^A-Za-z0-9._:/@+,=~#?&-]")


def headline(report: Report | None) -> Mapping[str, str]:
    """Return the values by output name; without a report the decision is flagged, and all else empty."""
    verdict = report.verdict if report and not report.error else None
    targets = ",".join(map(str, verdict.target_classes[:MAX_CLASSES])) if verdict else ""
    return {
        "decision": report.decision.value if report else Decision.FLAGGED.value,
        "anomaly-index": _greatest(report, "anomaly-index"),
        "silhouette": _greatest(report, "silhouette"),
        "p-value": _p_value(report),
        "target-classes": targets,
        "model-digest": _digest(report),
        "bundle-digest": (verdict.bundle_digest if verdict else "") or "",
        "covers": (verdict.covers if verdict else "") or "",
    }


def inert(value: str, limit: int = 2000) -> str:
    """Return a value with every character outside the narrow alphabet replaced, and cut."""
    return _FOREIGN.sub("_", value)[:limit]


def _values(report: Report | None, metric: str) -> Iterator[float]:
    """Yield a metric's values by the detectors whose limit it has; others measure it on other scales."""
    rules = report.policy.detectors if report else {}
    outcomes = report.evidence.outcomes if report and report.evidence else {}
    for name, outcome in outcomes.items():
        if isinstance(outcome, Measured) and name in rules and metric in rules[name].limits:
            yield from (found.value for found in outcome.measurements if found.metric == metric)


def _greatest(report: Report | None, metric: str) -> str:
    """Return a metric's greatest value among those that the policy judges."""
    return max((f"{value:.4g}" for value in _values(report, metric)), key=float, default="")


def _p_value(report: Report | None) -> str:
    """Return the p-value that judged; empty where no bank calibrated the scan."""
    verdict = report.verdict if report else None
    return f"{verdict.standing.p_value:.4g}" if verdict and verdict.calibrated and verdict.standing else ""


def _digest(report: Report | None) -> str:
    if report is None:
        return ""
    if report.verdict:
        return report.verdict.model_digest
    return report.manifest.digest if report.manifest else ""
