"""The p-value within the model, which judges where no bank's is believed (docs/explanation/calibration.md).

It is over clean models of other tasks that come with the gate, by detectors that this policy runs over every class. It
is believed where the candidate was measured as they were, has about as many classes, and where they are enough for the
level. Without one the policy's limits by number of classes judge, each by itself, as they do where none ship.
"""

from dataclasses import dataclass

from gate.judging.calibrated import standing
from gate.judging.calibration.within import compare_within, described, models_for, packaged
from gate.judging.completeness import place_of
from gate.records.comparison import Comparison
from gate.records.evidence import Evidence
from gate.records.policy import Policy
from gate.records.verdict import Calibration


@dataclass(frozen=True)
class WithinModel:
    """What is known of a candidate without a bank."""

    standing: Calibration | None = None
    judging: Comparison | None = None
    """The comparison, where its p-value judges."""
    why_not: str = ""
    """Why there is no p-value, as a sentence; empty where there is one, or where no clean models come with the gate."""


NONE = WithinModel()


def within_model(evidence: Evidence, policy: Policy) -> WithinModel:
    """Return the candidate's p-value within the model, for evidence beside which no bank's p-value is believed."""
    known = packaged()
    if known is None or policy.files_only or evidence.assurance is None or evidence.facts.beside_base:
        return NONE
    if evidence.facts.space != "images":
        return WithinModel(why_not="There is no p-value within the model either: the gate's clean models take images.")
    over_all = [name for name in policy.detectors if place_of(name, policy)[1].over == "all"]
    outcomes = {name: evidence.outcomes[name] for name in over_all if name in evidence.outcomes}
    seen = compare_within(outcomes, evidence.facts.classes, known)
    if why := seen.unusable or _too_few(seen, policy):
        return WithinModel(why_not=f"There is no p-value within the model either: {why}.")
    made_of = described(known, evidence.facts.classes or 0)
    return WithinModel(standing(seen, evidence, policy, made_of), seen if may_judge(policy) else None)


def _too_few(seen: Comparison, policy: Policy) -> str:
    least = 1 / (seen.models + 1)
    if least <= policy.level:
        return ""
    return f"{seen.models} clean models can give none below {least:.3g}, and the policy's level is {policy.level:g}"


def may_judge(policy: Policy) -> bool:
    """Tell whether the policy lets such a p-value decide."""
    return policy.uncalibrated == "judge" and policy.within == "judge"


def may_have_one(classes: int, policy: Policy) -> bool:
    """Tell whether a p-value may judge a model of so many classes without a bank, by the clean models that ship."""
    known = packaged()
    return known is not None and may_judge(policy) and bool(models_for(known, classes))
