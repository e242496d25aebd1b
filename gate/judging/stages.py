"""The suspects after each stage of a policy, by one rule for scan and judge (docs/reference/contracts.md, section 5).

The scan uses it to choose what the next stage examines. The judge applies it to the finished evidence, where a stricter
policy, which would have examined more, finds what is missing.
"""

from collections.abc import Mapping

from gate.records.evidence import Location, Measured, Measurement, Outcome, Suspect
from gate.records.policy import Policy, Stage, SuspectRule


def suspects_after(
    policy: Policy, stage_number: int, outcomes: Mapping[str, Outcome], classes: int | None
) -> tuple[Suspect, ...]:
    """Return the suspects that stage `stage_number` (from 1) leaves for the next, worst metric first."""
    found: tuple[Suspect, ...] = ()
    for number, stage in enumerate(policy.plan()[:stage_number], start=1):
        if stage.suspects:
            within = {suspect.location for suspect in found} if stage.over == "suspects" else None
            found = _named_by(stage, number, outcomes, classes, within)
    return found


def _named_by(
    stage: Stage, number: int, outcomes: Mapping[str, Outcome], classes: int | None, within: set[Location] | None
) -> tuple[Suspect, ...]:
    named: dict[Location, Suspect] = {}
    for rule in stage.suspects:
        for measurement in _measured(outcomes, rule):
            location = measurement.location
            if location is None or location in named or (within is not None and location not in within):
                continue
            if _beyond(rule, measurement.value, classes):
                named[location] = Suspect(
                    stage=number, detector=rule.detector, metric=rule.metric, value=measurement.value, location=location
                )
    return tuple(named.values())


def _measured(outcomes: Mapping[str, Outcome], rule: SuspectRule) -> list[Measurement]:
    outcome = outcomes.get(rule.detector)
    if not isinstance(outcome, Measured):
        return []
    found = [m for m in outcome.measurements if m.metric == rule.metric and m.location is not None]
    return sorted(found, key=lambda m: m.value, reverse=rule.max is not None)


def _beyond(rule: SuspectRule, value: float, classes: int | None) -> bool:
    try:
        return rule.limit().exceeded(value, classes)
    except LookupError:
        return True  # a rule without a bound for this many classes names every location: examining more is never wrong
