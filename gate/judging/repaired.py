"""Stricter judgement of a repaired model: a higher level, another seed, a detector that no attempt was tuned on.

Trying until the gate passes is an attack on the gate. With m attempts there are m chances of a lucky p-value, so the
p-value is divided by m before it is compared with the level: a model is flagged at or below m times the level. A
detector that an attempt was tuned on is no independent evidence.
"""

from collections.abc import Iterator

from gate.records.evidence import Evidence, Measured
from gate.records.finding import Finding
from gate.records.policy import Policy


def level_of(evidence: Evidence, policy: Policy) -> float:
    """Return the p-value at or below which a model is flagged: the policy's level times the attempts of a repair."""
    return min(1.0, policy.level * evidence.repair.attempts) if evidence.repair is not None else policy.level


def of_repair(evidence: Evidence, policy: Policy) -> Iterator[Finding]:
    """Yield the reasons not to believe this scan of a repaired model."""
    repair = evidence.repair
    if repair is None:
        return
    parent = repair.parent[:200]
    if evidence.seed in repair.seeds:
        yield _condition(
            f"The model was repaired from {parent} by attempts that used the seed {evidence.seed}, "
            "which is this scan's as well; scan again with the policy's seed, or another by --seed."
        )
    if not any(_looks_at_classes(name, evidence, policy) for name in policy.detectors if name not in repair.detectors):
        yield _condition(
            f"The model was repaired from {parent}, and the attempts were tuned on every detector of classes that "
            f"judged here ({', '.join(sorted(repair.detectors))[:300] or 'none'}); a policy with one more is needed."
        )


def _looks_at_classes(name: str, evidence: Evidence, policy: Policy) -> bool:
    """Tell whether a detector measured a limited metric at classes or pairs, the places of a backdoor."""
    outcome, limits = evidence.outcomes.get(name), policy.detectors[name].limits
    found = outcome.measurements if isinstance(outcome, Measured) else ()
    return any(m.metric in limits and m.location is not None and m.location.kind in ("class", "pair") for m in found)


def _condition(message: str) -> Finding:
    return Finding(rule="repair", kind="condition", message=message)
