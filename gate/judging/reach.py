"""How bad a measured number could have been: a limit beyond that judges nothing (docs/decisions/0048)."""

from gate.policies.declared import bounded_metrics
from gate.records.evidence import Measured, Measurement, Outcome
from gate.records.limit import Limit


def reach_of(detector: str, one: Measurement) -> float | None:
    """Return the worst value that could have been measured there, or None where any could have been.

    Of a bounded metric in evidence that does not state its reach, which an earlier gate's does not, only the value
    itself is known to be possible.
    """
    if one.reach is None and (detector, one.metric) in bounded_metrics():
        return one.value
    return one.reach


def states_reach(detector: str, outcome: Outcome | None) -> bool:
    """Tell whether a detector measured a number that could not have been as bad as it likes."""
    return isinstance(outcome, Measured) and any(reach_of(detector, one) is not None for one in outcome.measurements)


def could_flag(detector: str, metric: str, limit: Limit, outcome: Outcome | None, classes: int | None) -> bool:
    """Tell whether a limit has a bound for these classes that a value of it could have been beyond.

    Of a detector that measured nothing, as the stages left it nothing to examine, any value could have been.
    """
    try:
        limit.at(classes)
    except LookupError:
        return False
    if not isinstance(outcome, Measured):
        return True
    reaches = [reach_of(detector, one) for one in outcome.measurements if one.metric == metric]
    return any(reach is None or limit.exceeded(reach, classes) for reach in reaches)
