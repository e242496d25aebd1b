"""Every limit of a policy as it was applied to a model: the bound for its classes, the worst value, what became of it.

A verdict lists what stands against approval. A signed statement lists the limits that held too, since a pass that does
not say what it compared cannot be told from a scan that compared nothing.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from gate.judging.elsewhere import unlike
from gate.judging.reach import reach_of
from gate.records.evidence import Evidence, Measured, Measurement
from gate.records.finding import Finding
from gate.records.limit import Limit
from gate.records.policy import Policy
from gate.records.verdict import Verdict

Comparator = Literal["<=", ">="]
LimitOutcome = Literal["held", "excused", "exceeded-confirms", "told", "exceeded", "waived", "not-judged"]
"""What became of a bound. `held`: every value that was compared keeps it, and nothing was silent. Beyond it, a value is
`exceeded` or `waived` in a finding; `exceeded-confirms` where a p-value judged in its place; `told` where it is an
oddity of bytes that are not served; `excused` where a companion metric of the limit kept its own bound."""


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
    outcome: LimitOutcome
    confirms: bool = False
    """Whether a p-value judged in its place."""


def applied_limits(evidence: Evidence, verdict: Verdict, policy: Policy) -> Iterator[Applied]:
    """Yield the policy's limits in its own order; one with both bounds counts twice."""
    others = unlike(evidence, policy)
    for name, rule in policy.detectors.items():
        for metric, limit in rule.limits.items():
            found = _measured(evidence, name, metric)
            values = [one.value for one in found]
            said = _said(name, metric, verdict, silent=name in others)
            for comparator, threshold in _bounds(limit, evidence.facts.classes):
                worst = (max if comparator == "<=" else min)(values, default=None)
                outcome = _outcome(said, limit, comparator, threshold, worst)
                if outcome == "held" and not any(_could_be_beyond(name, one, comparator, threshold) for one in found):
                    outcome = "not-judged"
                yield Applied(name, metric, comparator, threshold, worst, len(values), outcome, bool(said.confirming))


@dataclass(frozen=True)
class _Said:
    """What a verdict says of one limit."""

    findings: tuple[Finding, ...]
    confirming: tuple[Finding, ...]
    told: tuple[Finding, ...]
    silent: bool
    """Whether a value, a place or the whole detector is missing, so that nothing held."""


def _said(name: str, metric: str, verdict: Verdict, *, silent: bool) -> _Said:
    def about(findings: Iterable[Finding]) -> tuple[Finding, ...]:
        return tuple(f for f in findings if f.kind == "limit" and (f.rule, f.metric) == (name, metric))

    silences = [f for f in verdict.findings if f.kind == "silence" and f.rule == name and f.metric in (metric, None)]
    return _Said(about(verdict.findings), about(verdict.confirming), about(verdict.told), silent or bool(silences))


def _measured(evidence: Evidence, name: str, metric: str) -> list[Measurement]:
    outcome = evidence.outcomes.get(name)
    measured = outcome.measurements if isinstance(outcome, Measured) else ()
    return [one for one in measured if one.metric == metric]


def _could_be_beyond(name: str, one: Measurement, comparator: Comparator, threshold: float | None) -> bool:
    """Tell whether a value beyond the bound could have been measured there at all."""
    reach = reach_of(name, one)
    return reach is None or _is_beyond(reach, comparator, threshold)


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
    said: _Said, limit: Limit, comparator: Comparator, threshold: float | None, worst: float | None
) -> LimitOutcome:
    """Return what became of a bound; the verdict's findings decide what a value beyond it means."""

    def beyond(findings: Sequence[Finding]) -> list[Finding]:
        return [finding for finding in findings if _is_beyond(finding.value, comparator, threshold)]

    if found := beyond(said.findings):
        return "waived" if all(finding.waived for finding in found) else "exceeded"
    if beyond(said.confirming):
        return "exceeded-confirms"
    if beyond(said.told):
        return "told"
    if said.silent or threshold is None or worst is None:
        return "not-judged"
    if not _is_beyond(worst, comparator, threshold):
        return "held"
    return "excused" if limit.together_with else "not-judged"


def _is_beyond(value: float | None, comparator: Comparator, threshold: float | None) -> bool:
    if value is None or threshold is None:
        return True
    return value > threshold if comparator == "<=" else value < threshold
