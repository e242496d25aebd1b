"""Findings on gaps within a detector's measurements, and whether a detector had anything to examine."""

from collections.abc import Iterator

from gate.judging.stages import suspects_after
from gate.policies.declared import suspects_at_most
from gate.records.evidence import Evidence, Location, Measured, Skipped, Suspect
from gate.records.finding import Finding
from gate.records.policy import Policy, Rule, Stage


def rightly_idle(name: str, evidence: Evidence, policy: Policy) -> bool:
    """Tell whether the policy's own stages left this detector nothing to examine."""
    number, stage = place_of(name, policy)
    if stage.over == "all":
        return False
    earlier = [detector for before in policy.plan()[: number - 1] for detector in before.detectors]
    ran = all(isinstance(evidence.outcomes.get(detector), Measured | Skipped) for detector in earlier)
    return ran and not suspects_after(policy, number - 1, evidence.outcomes, evidence.facts.classes)


SEARCHED = "searched-share"
"""Metric for the share of classes that a detector searched to the end."""


def of_gaps(name: str, rule: Rule, outcome: Measured, evidence: Evidence, policy: Policy) -> Iterator[Finding]:
    """Yield a finding for each missing measurement: a metric, a class, or a suspect that was not examined."""
    _, stage = place_of(name, policy)
    measured, classes = {m.metric for m in outcome.measurements}, evidence.facts.classes or 0
    naming = {r.metric for other in policy.stages for r in other.suspects if r.detector == name}
    for metric in sorted(naming - measured - set(rule.limits) - undefined_metrics(outcome, evidence.facts.classes)):
        message = f"'{metric}', by which the policy names suspects, was not measured."
        yield Finding(rule=name, kind="silence", metric=metric, message=message)
    places = {metric: _places(outcome, metric) for metric in sorted({*rule.limits, *naming} & measured)}
    if stage.over == "all":
        for metric, where in places.items():
            indices = {place.class_index for place in where if place.kind == "class"}
            seen = [index for index in indices if index is not None and index < classes]
            if indices and len(seen) < _owed(rule, outcome, classes):
                why = "; ".join(gap.reason for gap in outcome.unmeasured if gap.metric == metric)
                message = f"'{metric}' was measured at {len(seen)} of {classes} classes{why and f': {why}'}."
                yield Finding(rule=name, kind="silence", metric=metric, message=message)
        return
    anywhere = {measurement.location for measurement in outcome.measurements}
    for suspect in _shared_out(name, evidence, policy)[0]:
        if suspect.location not in anywhere or any(
            where and suspect.location not in where for where in places.values()
        ):
            yield Finding(
                rule=name,
                kind="silence",
                location=suspect.location,
                message=f"{suspect.location} is a suspect under this policy and was not examined; scan again.",
            )


def _shared_out(name: str, evidence: Evidence, policy: Policy) -> tuple[tuple[Suspect, ...], tuple[Suspect, ...]]:
    """Return the suspects that the policy has a detector look at, and those that it has it leave out."""
    number, _ = place_of(name, policy)
    suspects = suspects_after(policy, number - 1, evidence.outcomes, evidence.facts.classes)
    classes = dict.fromkeys(suspect.location.class_index for suspect in suspects)
    looked = {*[*classes][: suspects_at_most(name, policy)]}
    due = tuple(suspect for suspect in suspects if suspect.location.class_index in looked)
    return due, tuple(suspect for suspect in suspects if suspect.location.class_index not in looked)


def left_suspects(name: str, evidence: Evidence, policy: Policy) -> tuple[Suspect, ...]:
    """Return the suspects that the policy has a detector leave out, since it looks at so many classes and no more."""
    looked = place_of(name, policy)[1].over == "suspects" and isinstance(evidence.outcomes.get(name), Measured)
    return _shared_out(name, evidence, policy)[1] if looked else ()


def undefined_metrics(outcome: Measured, classes: int | None) -> frozenset[str]:
    """Return the metrics that are undefined for this number of classes: not measuring them is no silence."""
    return frozenset(gap.metric for gap in outcome.unmeasured if gap.undefined(classes))


def _owed(rule: Rule, outcome: Measured, classes: int) -> int:
    """Return at how many classes a metric must be measured: all, or those that were searched to the end.

    A search over many classes stops early at most of them (`gate.search.rungs`), and one of texts leaves them out. The
    policy allows that by a limit on the share that is searched to the end; without one every class is owed.
    """
    share = searched_share(outcome) if SEARCHED in rule.limits else None
    return classes if share is None else round(share * classes)


def searched_share(outcome: Measured) -> float | None:
    """Return the share of classes that a detector searched to the end; None where it states no share."""
    shares = (m.value for m in outcome.measurements if m.metric == SEARCHED and m.location is None)
    return max(shares, default=None)


def place_of(name: str, policy: Policy) -> tuple[int, Stage]:
    """Return the number and the stage in which the policy runs a detector."""
    return next((number, stage) for number, stage in enumerate(policy.plan(), start=1) if name in stage.detectors)


def _places(outcome: Measured, metric: str) -> set[Location]:
    """Return the classes and pairs at which a metric was measured."""
    located = (m.location for m in outcome.measurements if m.metric == metric and m.location is not None)
    return {location for location in located if location.kind in {"class", "pair"}}
