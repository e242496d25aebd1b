"""The judgement by a p-value, and why a bank's is not believed (docs/explanation/calibration.md).

A p-value is believed where the bank has the same settings and task, is large enough for the level, and where the
candidate's accuracy and norms are within its models' range. Otherwise the verdict is uncalibrated and gives the reason;
a p-value within the model decides (`gate.judging.within`), else the policy's limits by number of classes; or it flags.
"""

import math
from collections.abc import Iterator, Sequence

from gate.judging.calibration.tables import is_compared
from gate.judging.completeness import place_of
from gate.judging.repaired import level_of
from gate.policies.declared import compared_statistics
from gate.records.comparison import FEWEST_PLACES_TO_CENTRE, Comparison, PlaceScore, Surprise, Trait
from gate.records.evidence import Evidence, Location
from gate.records.facts import FEW_CLASSES
from gate.records.finding import Finding
from gate.records.policy import CALIBRATED_METRIC, CALIBRATED_RULE, Policy
from gate.records.verdict import Calibration

_TRAIT_WORDS = {
    "accuracy": "accuracy on the clean samples",
    "clean-margin": "log of its scores' lead on clean samples",
    "head-norm": "log of its last layer's reach",
}


def calibration(evidence: Evidence, policy: Policy) -> Calibration | None:
    """Return the candidate's p-value beside a bank and its background; None where nothing could be compared."""
    seen = beside_bank(evidence)
    return None if seen is None or seen.unusable else standing(seen, evidence, policy)


def beside_bank(evidence: Evidence) -> Comparison | None:
    """Return the comparison with the bank that stood beside the scan; None without one."""
    return evidence.bank.comparison if evidence.bank else None


def standing(seen: Comparison, evidence: Evidence, policy: Policy, made_of: str = "") -> Calibration:
    """Return a comparison's p-value and its background; `made_of` says so of clean models that come with the gate."""
    few, scores = _few(seen, policy), _ranked(seen, policy)
    driving = seen.predictive if few else seen.places
    return Calibration(
        p_value=_p_value(seen, policy),
        level=level_of(evidence, policy),
        least_p=_least_p(seen, policy),
        models=seen.models,
        others=0 if few else len(scores) - seen.models,
        score=seen.score,
        kind=seen.kind,
        driver=str(driving[0]) if driving else "no statistic",
        predictive_p=seen.predictive_p if _has_sizes(seen) else None,
        by="t" if few else "rank",
        copies=_copies(seen, evidence),
        made_of=made_of,
    )


def _copies(seen: Comparison, evidence: Evidence) -> str:
    """Return of what a self-made bank's models are copies; empty for models that there were."""
    made = evidence.bank.self_made if evidence.bank and seen.kind != "within" else None
    return made.named if made else ""


def _ranked(seen: Comparison, policy: Policy) -> tuple[float, ...]:
    """Return the scores that the candidate's is ranked among, greatest first: the bank's, and others if alike."""
    others = seen.pooled
    if others is None or policy.pooled_alike is None or others.alike < policy.pooled_alike:
        return seen.bank_scores
    return tuple(sorted((*seen.bank_scores, *others.scores), reverse=True))


def _least_p(seen: Comparison, policy: Policy) -> float:
    """Return the smallest p-value that a rank among so many models can give."""
    return 1 / (len(_ranked(seen, policy)) + 1)


def _too_few(seen: Comparison, policy: Policy) -> bool:
    """Tell whether there are too few models for a rank to judge."""
    return seen.models < policy.least_references or _least_p(seen, policy) > policy.level


def _asks_few(seen: Comparison, policy: Policy) -> bool:
    """Tell whether the t distributions are to judge in the rank's place."""
    return policy.few_references == "judge" and seen.kind == "per-class" and _too_few(seen, policy)


def _has_sizes(seen: Comparison) -> bool:
    """Tell whether a size of the candidate was compared; an earlier gate gave p = 1 where none was."""
    return bool(seen.predicting and seen.predictive and seen.predictive_p is not None)


def _few(seen: Comparison, policy: Policy) -> bool:
    """Tell whether the t distributions judge in the rank's place."""
    return _asks_few(seen, policy) and _has_sizes(seen)


def _p_value(seen: Comparison, policy: Policy) -> float:
    if _few(seen, policy) and seen.predictive_p is not None:
        return seen.predictive_p
    return seen.p_beside(_ranked(seen, policy))


def uncalibrated_because(evidence: Evidence, policy: Policy) -> str:
    """Return why no p-value of this evidence is believed under the policy, in sentences; empty where one is."""
    if evidence.bank is None:
        return "No reference bank stood beside the scan."
    seen = beside_bank(evidence)
    if seen is None:
        return "The bank's reference models confirm suspects; nothing was compared with statistics of clean models."
    if seen.unusable:
        return f"The bank cannot be used: {seen.unusable}."
    return _unbelieved(seen, policy, evidence.facts.classes)


def _unbelieved(seen: Comparison, policy: Policy, classes: int | None) -> str:
    if seen.kind == "scale-free" and policy.other_task == "show":
        return "The bank was measured on other samples, so that its classes are not known to be the candidate's."
    strange = [trait for trait in seen.traits if not trait.within(policy.exchange_margin)]
    if strange:
        return f"The candidate is no model like the bank's: {'; '.join(_strange(trait) for trait in strange)}."
    if _asks_few(seen, policy):
        if classes is not None and classes < FEWEST_PLACES_TO_CENTRE:
            # The rate was measured for sizes relative to the model's other classes, which need this many.
            return (
                f"The bank has {seen.models} models, and the p-value of so few is known for models of "
                f"{FEWEST_PLACES_TO_CENTRE} classes or more; the policy asks for {policy.least_references} models."
            )
        none = "The bank is small, and no statistic of trigger sizes was compared with it."
        return "" if _has_sizes(seen) else none
    if _too_few(seen, policy):
        ranked = len(_ranked(seen, policy)) + 1
        return (
            f"The bank has {seen.models} models, so that no p-value below 1/{ranked} = {1 / ranked:.3g} is "
            f"possible; the policy's level is {policy.level:g}, and it asks for {policy.least_references} models."
        )
    return ""


def _strange(trait: Trait) -> str:
    value = "was not measured" if trait.value is None else f"is {trait.value:.3g}"
    name = _TRAIT_WORDS.get(trait.name, trait.name)
    return f"its {name} {value}, that of the bank's models is between {trait.least:.3g} and {trait.greatest:.3g}"


def of_calibration(seen: Comparison, evidence: Evidence, policy: Policy) -> Iterator[Finding]:
    """Yield a finding for each place behind a believed p-value at or below the level, the driving one first."""
    level, p_value = level_of(evidence, policy), _p_value(seen, policy)
    if p_value > level:
        return
    among = _among(seen, policy, _copies(seen, evidence))
    first = f"p = {p_value:.3g} {among}; the policy flags at {level:g} and below."
    beyond = _beyond(seen, policy, level)
    for number, (score, what) in enumerate(beyond):
        allows = "these models allow" if seen.kind == "within" else "the bank allows"
        own = f"{what} is further out than {allows} (score {score:.3g})."
        message = own if number else f"{first} Its score is {score:.3g}, from {what}."
        yield _finding(p_value, " ".join(filter(None, (message, _most_telling(seen, what)))), _place(what))
    if not beyond:
        yield _finding(p_value, first, None)


def _among(seen: Comparison, policy: Policy, copies: str) -> str:
    """Return how and among which models the p-value is."""
    models = f"{seen.models} {f'self-made copies {copies}' if copies else 'clean models'}"
    if seen.kind == "within":
        return f"among {models} of other tasks, within one model"
    if _few(seen, policy):
        return f"by t distributions beside {models}"
    others = len(_ranked(seen, policy)) - seen.models
    return f"over {models}{f' and {others} of other tasks' if others else ''}"


def behind(finding: Finding, seen: Comparison, evidence: Evidence, policy: Policy) -> frozenset[str]:
    """Return the detectors behind a finding by a p-value: those that stand out most at its place.

    Where no place is beyond the level by itself, they are those of the first place; without any, all in the p-value.
    """
    level, where = level_of(evidence, policy), finding.location
    if _few(seen, policy):
        beyond = [one for one in seen.predictive if math.exp(-one.surprise) <= level]
        found: list[tuple[PlaceScore | Surprise, Sequence[Surprise]]] = [
            (one, (one,)) for one in (beyond or seen.predictive[:1])
        ]
    else:
        least = _threshold(_ranked(seen, policy), level)
        places = [one for one in seen.places if one.score > least] or seen.places[:1]
        found = [(one, one.because) for one in places]
    here = [named for what, named in found if _place(what) == where] or [named for _, named in found[:1]]
    return frozenset(one.detector for named in here for one in named) or in_p_value(seen, policy)


def _place(what: PlaceScore | Surprise) -> Location | None:
    return Location(kind=what.kind, name=what.name) if what.kind else None


def _most_telling(seen: Comparison, what: PlaceScore | Surprise) -> str:
    """Return what the most telling probe does at a class, as a sentence; empty where no probe drives the score."""
    named = what.because if isinstance(what, PlaceScore) else ()
    found = ((cell.detector, cell.metric, cell.target) for cell in seen.cells)
    cells = dict(zip(found, seen.cells, strict=True))
    cell = next((cells[key] for one in named if (key := (one.detector, one.metric, what.name)) in cells), None)
    return f"The most telling probe: {cell}." if cell else ""


def _beyond(seen: Comparison, policy: Policy, level: float) -> list[tuple[float, PlaceScore | Surprise]]:
    """Return (score, place) of each place that is beyond the level by itself, greatest first."""
    if not _few(seen, policy):
        least = _threshold(_ranked(seen, policy), level)
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


def _threshold(scores: Sequence[float], level: float) -> float:
    """Return the score, of these, greatest first, above which a candidate's p-value is at or below the level."""
    above = sum((1 + others) / (len(scores) + 1) <= level for others in range(len(scores)))
    return scores[above - 1] if above else math.inf


def score_that_flags(seen: Comparison, policy: Policy, level: float) -> float | None:
    """Return the score above which a rank's p-value flags at a level; None where none does, or ranks do not judge."""
    least = _threshold(_ranked(seen, policy), level)
    return None if _few(seen, policy) or math.isinf(least) else least


def has_few_classes(classes: int | None) -> bool:
    """Tell whether a model has too few classes for limits within it, so that only a bank can approve it."""
    return classes is not None and classes < FEW_CLASSES


def of_uncalibrated(evidence: Evidence, policy: Policy, because: str) -> Iterator[Finding]:
    """Yield the finding on a verdict without a p-value: too few classes, or a policy that flags such verdicts."""
    classes = evidence.facts.classes
    if evidence.facts.few_classes:
        message = f"{few_classes(classes, policy)} {because}"
    elif policy.uncalibrated == "flag":
        message = f"The verdict is uncalibrated, and the policy flags that. {because}"
    else:
        return
    yield Finding(rule="calibration", kind="condition", message=message)


def few_classes(classes: int | None, policy: Policy) -> str:
    """Return why a model of so few classes needs a bank for its approval, and what to do, in one sentence."""
    return (
        f"This model has {classes} classes; without a bank of at least {policy.least_references} clean models the "
        "policy has no limit for fewer than eight: build one with `gate bank build --to bank.json --samples SAMPLES "
        "--model URI …`, or without such models by `gate bank make`, and check again with `--bank bank.json`."
    )


def in_p_value(seen: Comparison, policy: Policy) -> frozenset[str]:
    """Return the detectors whose statistics are in the p-value: by t distributions, those of sizes alone.

    An earlier gate told, beside a bank of another task, also those that have nothing but counts or linear values by
    class, which are not compared there.
    """
    if _few(seen, policy):
        return frozenset(seen.predicting)
    if seen.kind != "scale-free":
        return frozenset(seen.detectors)
    declared = [(one.detector, is_compared(one, per_class=False)) for one in compared_statistics()]
    some, none = ({name for name, compared in declared if compared is which} for which in (True, False))
    return frozenset(seen.detectors) - (none - some)


def shown_only(name: str, seen: Comparison, policy: Policy) -> frozenset[str]:
    """Return the metrics whose limits only confirm beside a believed p-value, as the policy states.

    A detector outside the score keeps judging, unless it examines suspects only: no bank has values for those.
    """
    if name not in in_p_value(seen, policy) and place_of(name, policy)[1].over == "all":
        return frozenset()
    return uncalibrated_only(name, policy)


def uncalibrated_only(name: str, policy: Policy) -> frozenset[str]:
    """Return the metrics of a detector whose limits judge only where no p-value does."""
    return frozenset(m for m, limit in policy.detectors[name].limits.items() if limit.judges == "uncalibrated-only")
