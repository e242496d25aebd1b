"""What follows from a candidate's comparison with a bank: the p-value at the policy's level, or why it is not believed.

A p-value is believed where the bank was measured alike, is of the same task, is large enough for the level, and where
the candidate's accuracy and norms lie among its models' (docs/explanation/calibration.md). Otherwise the verdict is
uncalibrated, says why, and the policy's limits by number of classes decide, or flag.
"""

import math
from collections.abc import Iterator

from gate.judging.completeness import place_of
from gate.judging.repaired import level_of
from gate.records.comparison import FEWEST_PLACES_TO_CENTRE, Comparison, PlaceScore, Surprise, Trait
from gate.records.evidence import FEW_CLASSES, Evidence, Location
from gate.records.finding import Finding
from gate.records.policy import CALIBRATED_METRIC, CALIBRATED_RULE, Policy
from gate.records.verdict import Calibration

_TRAIT_WORDS = {
    "accuracy": "accuracy on the clean samples",
    "clean-margin": "log of its scores' lead on clean samples",
    "head-norm": "log of its last layer's reach",
}


def calibration(evidence: Evidence, policy: Policy) -> Calibration | None:
    """Return where the candidate stands, None where nothing could be compared."""
    seen = _comparison(evidence)
    if seen is None or seen.unusable:
        return None
    few = _few(seen, policy)
    driving = seen.predictive if few else seen.places
    return Calibration(
        p_value=_p_value(seen, policy),
        level=level_of(evidence, policy),
        least_p=seen.least_p,
        models=seen.models,
        score=seen.score,
        kind=seen.kind,
        driver=str(driving[0]) if driving else "no statistic",
        predictive_p=seen.predictive_p,
        by="t" if few else "rank",
    )


def _too_few(seen: Comparison, policy: Policy) -> bool:
    """Tell whether the bank is too small for a rank to judge."""
    return seen.models < policy.least_references or seen.least_p > policy.level


def _few(seen: Comparison, policy: Policy) -> bool:
    """Tell whether the t distributions judge in the rank's place."""
    return policy.few_references == "judge" and seen.kind == "per-class" and _too_few(seen, policy)


def _p_value(seen: Comparison, policy: Policy) -> float:
    return seen.predictive_p if _few(seen, policy) else seen.p_value


def uncalibrated_because(evidence: Evidence, policy: Policy) -> str:
    """Return why no p-value of this evidence is believed under the policy, in sentences; empty where one is."""
    if evidence.bank is None:
        return "No reference bank stood beside the scan."
    seen = evidence.bank.comparison
    if seen is None:
        return "The bank's reference models confirm suspects; nothing was compared with statistics of clean models."
    if seen.unusable:
        return f"The bank cannot be used: {seen.unusable}."
    return _unbelieved(seen, policy, evidence.facts.classes)


def _unbelieved(seen: Comparison, policy: Policy, classes: int | None) -> str:
    """Return why the policy does not believe the p-value of a comparison, or nothing."""
    if seen.kind == "scale-free" and policy.other_task == "show":
        return "The bank was measured on other samples, so that its classes are not known to be the candidate's."
    strange = [trait for trait in seen.traits if not trait.within(policy.exchange_margin)]
    if strange:
        return f"The candidate is no model like the bank's: {'; '.join(_strange(trait) for trait in strange)}."
    if _few(seen, policy):
        if classes is not None and classes < FEWEST_PLACES_TO_CENTRE:
            # What the rate was measured for: sizes relative to the model's other classes, which need so many.
            return (
                f"The bank has {seen.models} models, and the p-value of so few is known for models of "
                f"{FEWEST_PLACES_TO_CENTRE} classes or more; the policy asks for {policy.least_references} models."
            )
        return "" if seen.predicting else "The bank is small, and no statistic of trigger sizes was compared with it."
    if _too_few(seen, policy):
        return (
            f"The bank has {seen.models} models, so that no p-value below 1/{seen.models + 1} = {seen.least_p:.3g} is "
            f"possible; the policy's level is {policy.level:g}, and it asks for {policy.least_references} models."
        )
    return ""


def _comparison(evidence: Evidence) -> Comparison | None:
    return evidence.bank.comparison if evidence.bank is not None else None


def _strange(trait: Trait) -> str:
    value = "was not measured" if trait.value is None else f"is {trait.value:.3g}"
    name = _TRAIT_WORDS.get(trait.name, trait.name)
    return f"its {name} {value}, that of the bank's models lies between {trait.least:.3g} and {trait.greatest:.3g}"


def of_calibration(evidence: Evidence, policy: Policy) -> Iterator[Finding]:
    """Yield a finding for each place that a believed p-value at or below the level names, the driving one first."""
    seen = _comparison(evidence)
    level = level_of(evidence, policy)
    if seen is None or (p_value := _p_value(seen, policy)) > level:
        return
    few = _few(seen, policy)
    how = f"by t distributions beside {seen.models}" if few else f"over {seen.models}"
    first = f"p = {p_value:.3g} {how} clean models; the policy flags at {level:g} and below."
    beyond = _beyond(seen, policy, level)
    for number, (score, what) in enumerate(beyond):
        own = f"{what} lies further out than the bank allows (score {score:.3g})."
        place = Location(kind=what.kind, name=what.name) if what.kind else None
        yield _finding(p_value, own if number else f"{first} Its score is {score:.3g}, from {what}.", place)
    if not beyond:
        yield _finding(p_value, first, None)


def _beyond(seen: Comparison, policy: Policy, level: float) -> list[tuple[float, PlaceScore | Surprise]]:
    """Return the places that are beyond the level by themselves with their scores, the greatest first."""
    if not _few(seen, policy):
        least = _threshold(seen, level)
        return [(one.score, one) for one in seen.places if one.score > least]
    places: dict[tuple[str | None, str], tuple[float, Surprise]] = {}
    for one in seen.predictive:
        if math.exp(-one.surprise) <= level:
            places.setdefault((one.kind, one.name), (one.surprise, one))
    return list(places.values())


def _finding(p_value: float, message: str, place: Location | None) -> Finding:
    return Finding(
        rule=CALIBRATED_RULE, kind="limit", metric=CALIBRATED_METRIC, value=p_value, message=message, location=place
    )


def _threshold(seen: Comparison, level: float) -> float:
    """Return the bank score that a score must exceed for its p-value to be at or below the level."""
    above = sum((1 + others) / (seen.models + 1) <= level for others in range(seen.models))
    return seen.bank_scores[above - 1] if above else math.inf


def has_few_classes(classes: int | None) -> bool:
    """Tell whether a model has too few classes for limits within it, so that only a bank can approve it."""
    return classes is not None and classes < FEW_CLASSES


def of_uncalibrated(evidence: Evidence, policy: Policy, because: str) -> Iterator[Finding]:
    """Yield the one thing that stands against a verdict without a p-value: too few classes, else the policy's word."""
    classes = evidence.facts.classes
    if has_few_classes(classes):
        message = f"{few_classes(classes, policy)} {because}"
    elif policy.uncalibrated == "flag":
        message = f"The verdict is uncalibrated, and the policy flags that. {because}"
    else:
        return
    yield Finding(rule="calibration", kind="condition", message=message)


def few_classes(classes: int | None, policy: Policy) -> str:
    """Return why a model of so few classes cannot be approved without a bank, and what to do, in one sentence."""
    return (
        f"This model has {classes} classes; without a bank of at least {policy.least_references} clean models the "
        "policy has no limit for fewer than eight: build one with `gate bank build --to bank.json --samples SAMPLES "
        "--model URI …` and check again with `--bank bank.json`."
    )


def shown_only(name: str, evidence: Evidence, policy: Policy) -> frozenset[str]:
    """Return the metrics whose limits only confirm beside a believed p-value, by the policy's own word.

    A detector that is not in the score keeps judging, unless it looks at suspects alone, which no bank can have.
    """
    seen = _comparison(evidence)
    in_score = seen is not None and name in (seen.predicting if _few(seen, policy) else seen.detectors)
    if not in_score and place_of(name, policy)[1].over == "all":
        return frozenset()
    return frozenset(m for m, limit in policy.detectors[name].limits.items() if limit.judges == "uncalibrated-only")
