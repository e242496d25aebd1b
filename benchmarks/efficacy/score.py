"""One number for a model, higher for more suspicious: how far its worst measurement lies beyond the policy's limit.

Pure, over evidence and policy. Beside a usable bank of references it is the logarithm of one and the fused score of
`gate.judging.calibration`, or BOUND where a limit is exceeded that judges beside the p-value too (of files and graphs:
no statistic of behaviour). Without a bank it is the same of the score within the model, where that p-value judges. Else
it is the greatest signed log-ratio of value to limit over all limits that the
policy judges: nought at a limit, above it beyond. A limit that holds together with others counts as far as the least
of them.
"""

import math
from collections.abc import Iterator, Mapping, Sequence

from gate.judging.within import within_model
from gate.records.evidence import Evidence, Location, Measured, Measurement
from gate.records.limit import Limit
from gate.records.policy import Policy, Rule

BOUND = math.log(1000.0)
"""Beyond this a ratio says nothing more."""


def score(evidence: Evidence, policy: Policy) -> float:
    """Return the log of one and the score beside a bank or within the model, else the greatest log-ratio to a limit.

    All lie within ± log 1000; -log 1000 says that nothing was measured.
    """
    seen = evidence.bank.comparison if evidence.bank else None
    if seen is None or seen.unusable:
        seen = within_model(evidence, policy).judging
    if seen is None:
        return max(_all_ratios(evidence, policy, beside_p=False), default=-BOUND)
    if max(_all_ratios(evidence, policy, beside_p=True), default=-BOUND) > 0:
        return BOUND
    return min(BOUND, math.log1p(max(0.0, seen.score)))


def _all_ratios(evidence: Evidence, policy: Policy, *, beside_p: bool) -> Iterator[float]:
    """Yield the signed log-ratios of all limits, or of those alone that judge beside a p-value."""
    for name, rule in policy.detectors.items():
        if isinstance(outcome := evidence.outcomes.get(name), Measured):
            limits = {m: one for m, one in rule.limits.items() if not beside_p or one.judges == "always"}
            yield from _ratios(rule.model_copy(update={"limits": limits}), outcome, evidence.facts.classes)


_Placed = Mapping[tuple[str, Location | None], Sequence[Measurement]]


def _ratios(rule: Rule, outcome: Measured, classes: int | None) -> Iterator[float]:
    placed: dict[tuple[str, Location | None], list[Measurement]] = {}
    for measurement in outcome.measurements:
        placed.setdefault((measurement.metric, measurement.location), []).append(measurement)
    for metric, limit in rule.limits.items():
        for measurement in outcome.measurements:
            if measurement.metric == metric:
                yield from _joint(measurement, limit, placed, classes)


def _joint(measurement: Measurement, limit: Limit, placed: _Placed, classes: int | None) -> Iterator[float]:
    """Yield how far a measurement and the companions of its limit at the same place are beyond, as far as the least."""
    try:
        parts = [beyond(measurement.value, limit, classes)]
        for metric, companion in limit.together_with.items():
            others = placed.get((metric, measurement.location), ())
            beside = [beyond(other.value, companion, classes) for other in others]
            parts += [max(beside)] if beside else []
    except LookupError:
        return  # the limit says nothing for so many classes: the judge flags that as a silence
    yield min(parts)


def beyond(value: float, limit: Limit, classes: int | None) -> float:
    """Return the log-ratio by which a value exceeds a limit, negative below it."""
    least, greatest = limit.at(classes)
    parts = []
    if greatest is not None:
        # A count whose limit is nought is either there, and then plainly so, or not.
        parts.append(_log_ratio(value, greatest) if greatest > 0 else (BOUND if value > greatest else -BOUND))
    if least is not None:
        parts.append(_log_ratio(least, value) if least > 0 else (BOUND if value < least else -BOUND))
    return max(parts)


def _log_ratio(above: float, below: float) -> float:
    if above <= 0:
        return -BOUND
    return BOUND if below <= 0 else max(-BOUND, min(BOUND, math.log(above / below)))
