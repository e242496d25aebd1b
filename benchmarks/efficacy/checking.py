"""Measures a random few models again, from nothing, and compares with what is committed.

Beside `running`; writes nothing. On the machine that measured first the numbers are the same; another processor rounds
otherwise, and then the policy's decision and the places that it names must be.
"""

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from benchmarks.efficacy import summaries
from benchmarks.efficacy.keys import reduced
from benchmarks.efficacy.scanning import Bench, Scan
from benchmarks.efficacy.summaries import Summary
from benchmarks.zoo.store import Entry
from gate.judging.judge import judge
from gate.records.evidence import Evidence, Measured
from gate.records.policy import Policy

TOLERANCE = 1e-4
"""Relative; summaries hold six digits."""


@dataclass(frozen=True)
class Comparison:
    """What became of one model when it was measured again."""

    entry: Entry
    outcome: Literal["identical", "equivalent", "different"]
    largest_difference: float
    """Relative, over all measurements."""
    why: str = ""


def chosen(committed: Sequence[Summary], share: float, seed: int) -> list[Summary]:
    """Return that share of the summaries, at least one where there are any, drawn from the seed."""
    count = min(len(committed), max(1, round(share * len(committed))))
    return random.Random(seed).sample(list(committed), count)


def check(bench: Bench, pairs: Sequence[tuple[Entry, Summary]], scan_once: Scan) -> Iterator[Comparison]:
    """Measure these models again for everything that is committed about them, and yield each comparison."""
    for entry, summary in pairs:
        before = summaries.evidence_of(summary)
        known = [name for name in bench.policy.detectors if name in before.outcomes]
        before = before.model_copy(update={"outcomes": {name: before.outcomes[name] for name in known}})
        policy = reduced(bench.policy, known, deadline=bench.budget)
        yield compare(entry, before, scan_once(entry, policy, bench.conditions(entry)), policy)


def compare(entry: Entry, before: Evidence, after: Evidence, policy: Policy) -> Comparison:
    """Compare two measurements of one model."""
    if before.manifest_digest != after.manifest_digest:
        return Comparison(entry, "different", 0.0, "it is not the model that was measured before")
    first, second = _values(before), _values(after)
    if first.keys() == second.keys() and _statuses(before) == _statuses(after):
        largest = max((_difference(value, second[place]) for place, value in first.items()), default=0.0)
        if largest <= TOLERANCE:
            return Comparison(entry, "identical", largest)
    else:
        largest = 1.0
    one, other = (judge(evidence, policy, on=summaries.ANY_DAY) for evidence in (before, after))
    if (one.decision, one.target_classes) == (other.decision, other.target_classes):
        return Comparison(entry, "equivalent", largest)
    why = f"{one.decision.value} {one.target_classes} before, {other.decision.value} {other.target_classes} now"
    return Comparison(entry, "different", largest, why)


def _values(evidence: Evidence) -> dict[tuple[str, str, str, int], float]:
    """Return every measurement by detector, metric, place and how often that place came before."""
    found: dict[tuple[str, str, str, int], float] = {}
    for detector, outcome in evidence.outcomes.items():
        for measurement in outcome.measurements if isinstance(outcome, Measured) else ():
            place = (detector, measurement.metric, str(measurement.location))
            count = sum(key[:3] == place for key in found) if (*place, 0) in found else 0
            found[*place, count] = measurement.value
    return found


def _statuses(evidence: Evidence) -> dict[str, str]:
    return {name: outcome.status for name, outcome in evidence.outcomes.items()}


def _difference(first: float, second: float) -> float:
    scale = max(abs(first), abs(second))
    return abs(first - second) / scale if scale else 0.0
