"""How often threats of the zoo are found under the recommended rules, and clean models flagged.

`threat_rates.json` is packaged and made by `python -m benchmarks.threats --write` from the committed measurements. It
holds for the very rules that it was counted under, and for no others.
"""

from functools import cache
from pathlib import Path
from typing import Final, Literal

from pydantic import Field

from gate.policies.declared import bank_rules_sha256, rules_sha256, within_rules_sha256
from gate.records.comparison import Comparison
from gate.records.evidence import Evidence
from gate.records.fields import MetricId, Sha256
from gate.records.policy import Policy
from gate.records.record import Record
from gate.records.threat import Beside, Power
from gate.records.verdict import Verdict

DATA: Final = Path(__file__).with_name("threat_rates.json")
_UNKNOWN: Final = "how often it is found is not known"


class ThreatRates(Record):
    """The packaged data."""

    schema_version: Literal[1] = 1
    made_by: str
    split: str
    seed: int
    rules: Sha256
    """Digest of the parts of the policy that decide by limits."""
    within_rules: Sha256
    """Digest of the parts that decide by a p-value within the model, the level too."""
    bank_rules: Sha256
    """Digest of the parts that decide beside a bank, the p-value's too."""
    compared: tuple[str, ...] = Field(max_length=200)
    """Statistics that the zoo's banks compared, as detector and metric."""
    classes: tuple[int, ...]
    """Numbers of classes of the zoo's models."""
    families: dict[MetricId, dict[Beside, Power]] = Field(max_length=64)


@cache
def packaged_rates() -> ThreatRates:
    """Return the packaged data."""
    return ThreatRates.from_file(DATA)


def power_of(family: str, policy: Policy, verdict_by: Beside | None) -> tuple[Power | None, str]:
    """Return what is known of a family under a policy's rules, or why nothing is."""
    known = packaged_rates()
    powers = known.families.get(family)
    if powers is None:
        return None, f"{_UNKNOWN}: the gate's zoo has no such models"
    if verdict_by is None:
        return None, f"{_UNKNOWN} by the p-value that judged here"
    if not _same_rules(known, policy, verdict_by):
        return None, f"{_UNKNOWN} under this policy's rules"
    found = powers.get(verdict_by)
    return found, "" if found else f"{_UNKNOWN} by what judged here"


def _same_rules(known: ThreatRates, policy: Policy, verdict_by: Beside) -> bool:
    match verdict_by:
        case "bank":
            return known.bank_rules == bank_rules_sha256(policy)
        case "within":
            return known.within_rules == within_rules_sha256(policy)
        case "limits":
            return known.rules == rules_sha256(policy)


def power_for(
    family: str, policy: Policy, evidence: Evidence, verdict: Verdict, judging: Comparison | None
) -> tuple[Power | None, str]:
    """Return what is known of a family under these rules and of a scan like this one, or why nothing is."""
    known, way = packaged_rates(), judged_beside(verdict, judging)
    power, unknown = power_of(family, policy, way)
    why = _unlike_the_zoo(known, evidence) if power else ""
    if power and not why and way == "bank" and (judging is None or judging.statistics != known.compared):
        why = f"{_UNKNOWN} by the statistics that were compared with this bank"
    return (None, why) if why else (power, unknown)


def _unlike_the_zoo(known: ThreatRates, evidence: Evidence) -> str:
    """Return how a scan differs from those that the zoo's rates were counted from; empty where it does not."""
    if evidence.seed != known.seed:
        return f"{_UNKNOWN} with seed {evidence.seed}: the gate's zoo was scanned with {known.seed}"
    classes, least, most = evidence.facts.classes, min(known.classes), max(known.classes)
    if classes is None or not least <= classes <= most:
        return f"{_UNKNOWN} for {classes} classes: the gate's zoo has models of {least} to {most}"
    return ""


def judged_beside(verdict: Verdict, judging: Comparison | None) -> Beside | None:
    """Return what judged, as far as the zoo was judged so; None for a p-value that the zoo has no rate of.

    The zoo's banks are of models that there were, of the candidate's own task, and compared by the fixed probes alone.
    """
    seen = verdict.judging
    if seen is None:
        return "limits"
    if verdict.within_judged:
        return "within"
    as_the_zoo = verdict.calibrated and seen.by == "rank" and seen.kind == "per-class" and not seen.copies
    return "bank" if as_the_zoo and not (judging and judging.secret_probes) else None
