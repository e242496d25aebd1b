"""What a repair asks of the judging scan: a stricter level, another seed, and a detector that no attempt was tuned on.

Trying until the gate passes is an attack on the gate. Whoever makes m attempts gets m chances of a lucky p-value, so
that the p-value is divided by m before it is compared with the level; and what an attempt was tuned on is no
independent witness of it. Dividing the level itself would do the opposite: a p-value flags at or below it.
"""

from collections.abc import Iterator

from gate.records.evidence import Evidence, Measured
from gate.records.finding import Finding
from gate.records.policy import Policy


def level_of(evidence: Evidence, policy: Policy) -> float:
    """Return the p-value at and below which a model is flagged: the policy's level, times the attempts of a repair."""
    return min(1.0, policy.level * evidence.repair.attempts) if evidence.repair is not None else policy.level


def of_repair(evidence: Evidence, policy: Policy) -> Iterator[Finding]:
    """Yield what stands against believing this scan of a repaired model."""
    repair = evidence.repair
    if repair is None:
        return
    if evidence.seed in repair.seeds:
        yield _condition(
            f"The model was repaired from {_short(repair.parent)} by attempts that used the seed {evidence.seed}, "
            "which is this scan's as well; scan again with the policy's seed, or another by --seed."
        )
    if not any(_looks_at_classes(name, evidence, policy) for name in policy.detectors if name not in repair.detectors):
        yield _condition(
            f"The model was repaired from {_short(repair.parent)}, and the attempts were tuned on every detector of "
            f"classes that judged here ({', '.join(sorted(repair.detectors))[:300] or 'none'}); a policy with one more "
            "is needed."
        )


def _looks_at_classes(name: str, evidence: Evidence, policy: Policy) -> bool:
    """Tell whether a detector with a limit measured something of classes or pairs, the places of a backdoor."""
    outcome, limits = evidence.outcomes.get(name), policy.detectors[name].limits
    if not isinstance(outcome, Measured):
        return False
    return any(
        m.metric in limits and m.location is not None and m.location.kind in ("class", "pair")
        for m in outcome.measurements
    )


def _condition(message: str) -> Finding:
    return Finding(rule="repair", kind="condition", message=message)


def _short(reference: str) -> str:
    return reference[:200]
