"""Every limit of a policy as it was applied to a model: the bound for its classes, the worst value, what became of it.

A verdict lists what stands against approval. A signed statement lists the limits that held too, since a pass that does
not say what it compared cannot be told from a scan that compared nothing.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from gate.records.evidence import Evidence, Measured
from gate.records.finding import Finding
from gate.records.limit import Limit
from gate.records.policy import Policy
from gate.records.verdict import Verdict

Comparator = Literal["<=", ">="]


@dataclass(frozen=True)
class Applied:
    """One bound of the policy beside what was measured."""

    detector: str
    metric: str
    comparator: Comparator
    threshold: float | None
    """None where the policy states no bound for this number of classes."""
    worst: float | None
    """The value nearest to the bound or furthest beyond it, of all places; None where none was measured."""
    values: int
    """Number of values that were compared."""
    outcome: Literal["held", "exceeded", "waived", "not-judged"]
    confirms: bool = False
    """Whether a p-value judged in its place."""


def applied_limits(evidence: Evidence, verdict: Verdict, policy: Policy) -> Iterator[Applied]:
    """Yield the policy's limits in its own order; one with both bounds counts twice."""
    for name, rule in policy.detectors.items():
        for metric, limit in rule.limits.items():
            values = _values(evidence, name, metric)
            against = [f for f in verdict.findings if (f.rule, f.metric) == (name, metric)]
            confirms = any((f.rule, f.metric) == (name, metric) for f in verdict.confirming)
            for comparator, threshold in _bounds(limit, evidence.facts.classes):
                worst = (max if comparator == "<=" else min)(values, default=None)
                outcome = _outcome(against, comparator, threshold, worst)
                yield Applied(name, metric, comparator, threshold, worst, len(values), outcome, confirms)


def _values(evidence: Evidence, name: str, metric: str) -> list[float]:
    outcome = evidence.outcomes.get(name)
    measured = outcome.measurements if isinstance(outcome, Measured) else ()
    return [m.value for m in measured if m.metric == metric]


def _bounds(limit: Limit, classes: int | None) -> Iterator[tuple[Comparator, float | None]]:
    try:
        least, greatest = limit.at(classes)
    except LookupError:
        least = greatest = None
    if limit.min is not None:
        yield ">=", least
    if limit.max is not None:
        yield "<=", greatest


def _outcome(
    against: list[Finding], comparator: Comparator, threshold: float | None, worst: float | None
) -> Literal["held", "exceeded", "waived", "not-judged"]:
    """Return what became of a bound; the verdict's findings decide, since a companion metric may excuse a value."""
    beyond = [f for f in against if f.kind == "limit" and _is_beyond(f, comparator, threshold)]
    if any(not finding.waived for finding in beyond):
        return "exceeded"
    if beyond:
        return "waived"
    return "not-judged" if threshold is None or worst is None or against else "held"


def _is_beyond(finding: Finding, comparator: Comparator, threshold: float | None) -> bool:
    if finding.value is None or threshold is None:
        return True
    return finding.value > threshold if comparator == "<=" else finding.value < threshold
