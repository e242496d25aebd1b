"""Findings on one detector: a silence, or a measurement beyond a limit of the policy."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import assert_never

from gate.judging.completeness import of_gaps, rightly_idle, undefined_metrics
from gate.records.evidence import Evidence, Failed, Location, Measured, Measurement, Skipped
from gate.records.finding import Finding
from gate.records.limit import Limit
from gate.records.policy import Policy, Rule
from gate.records.sentences import begun

MAX_PLACES = 2000
"""Most places beyond one limit with a finding each, which bounds a verdict's size."""


def of_detector(
    name: str, rule: Rule, evidence: Evidence, policy: Policy, boundless: Collection[str] = ()
) -> Iterator[Finding]:
    """Yield the findings on one detector; limits in `boundless` need no bound for this number of classes."""
    outcome = evidence.outcomes.get(name)
    match outcome:
        case None:
            yield Finding(rule=name, kind="silence", message="There is no outcome of this detector in the evidence.")
        case Failed():
            yield Finding(rule=name, kind="silence", message=f"The detector failed: {outcome.error}")
        case Skipped():
            if (rule.required or outcome.short_of_time) and not rightly_idle(name, evidence, policy):
                yield Finding(rule=name, kind="silence", message=f"The detector was skipped: {outcome.reason}")
        case Measured():
            if dict(outcome.options) != dict(policy.options_of(name)):
                yield Finding(
                    rule=name,
                    kind="silence",
                    message="It was measured with other options than the policy states; scan again.",
                )
            yield from _of_measurements(name, rule, outcome, evidence, boundless)
            yield from of_gaps(name, rule, outcome, evidence, policy)
        case _:
            assert_never(outcome)


def _of_measurements(
    name: str, rule: Rule, outcome: Measured, evidence: Evidence, boundless: Collection[str]
) -> Iterator[Finding]:
    classes = evidence.facts.classes
    places = _by_place(outcome)
    undefined = undefined_metrics(outcome, classes)
    for metric, limit in rule.limits.items():
        found = [measurement for measurement in outcome.measurements if measurement.metric == metric]
        if not found and metric in undefined:
            continue
        if not found:
            why = next((f": {gap.reason}" for gap in outcome.unmeasured if gap.metric == metric), "")
            yield _not_judged(name, metric, limit, f"'{metric}' was not measured{why}.")
            continue
        try:
            limit.at(classes)
        except LookupError as error:
            if metric not in boundless:
                yield _not_judged(name, metric, limit, f"'{metric}' cannot be judged: {error}.")
            continue
        beyond = [m for m in found if limit.exceeded(m.value, classes) and not _excused(m, limit, places, classes)]
        yield from (_beyond_limit(name, limit, measurement, classes) for measurement in beyond[:MAX_PLACES])
        if others := beyond[MAX_PLACES:]:
            yield _not_judged(name, metric, limit, f"'{metric}' is beyond its limit at {len(others)} further places.")


_Places = Mapping[tuple[str, Location | None], Sequence[Measurement]]


def _by_place(outcome: Measured) -> _Places:
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
            continue  # a companion without a bound for this many classes excuses nothing
    return False


def _not_judged(name: str, metric: str, limit: Limit, message: str) -> Finding:
    return Finding(rule=name, kind="silence", metric=metric, limit=limit, message=message)


def _beyond_limit(name: str, limit: Limit, measurement: Measurement, classes: int | None) -> Finding:
    where = f" at {measurement.location}" if measurement.location else ""
    note = f" {begun(measurement.note).removesuffix('.')}." if measurement.note else ""
    return Finding(
        rule=name,
        kind="limit",
        metric=measurement.metric,
        location=measurement.location,
        value=measurement.value,
        limit=limit,
        message=f"{measurement.metric} {measurement.value:.3g}{where}; the limit is {limit.describe(classes)}.{note}",
    )
