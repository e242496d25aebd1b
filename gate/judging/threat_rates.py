"""How often threats of the zoo are found under the recommended rules, and clean models flagged.

`threat_rates.json` is packaged and made by `python -m benchmarks.threats --write` from the committed measurements. It
holds for the very rules that it was counted under, and for no others.
"""

from functools import cache
from pathlib import Path
from typing import Final, Literal

from pydantic import Field

from gate.policies.declared import rules_sha256
from gate.records.fields import MetricId, Sha256
from gate.records.policy import Policy
from gate.records.record import Record
from gate.records.threat import Beside, Power
from gate.records.verdict import Verdict

DATA: Final = Path(__file__).with_name("threat_rates.json")


class ThreatRates(Record):
    """The packaged data."""

    schema_version: Literal[1] = 1
    made_by: str
    split: str
    seed: int
    rules: Sha256
    """Digest of the policy's deciding parts."""
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
        return None, "how often it is found is not known: the gate's zoo has no such models"
    if verdict_by is None:
        return None, "how often it is found is not known by the p-value that judged here"
    if known.rules != rules_sha256(policy):
        return None, "how often it is found is not known under this policy's rules"
    found = powers.get(verdict_by)
    return found, "" if found else "how often it is found is not known by what judged here"


def judged_beside(verdict: Verdict) -> Beside | None:
    """Return what judged, as far as the zoo was judged so; None for a p-value that the zoo has no rate of."""
    seen = verdict.judging
    if seen is None:
        return "limits"
    return "bank" if verdict.calibrated and seen.by == "rank" else None
