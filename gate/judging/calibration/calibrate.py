"""Comparison of one scan's evidence with a bank.

Other settings, nothing in common, or a statistic that the candidate lacks make the bank unusable, with the reason.
"""

from collections.abc import Mapping, Sequence
from typing import Final, Literal

from gate import detectors
from gate.detectors.contract import Need
from gate.judging.calibration.cells import Probes, Sealed, with_cells
from gate.judging.calibration.conformal import Part, Placed, score_all
from gate.judging.calibration.few import METRICS, predicted
from gate.judging.calibration.pooling import PooledScores, packaged, pooled
from gate.judging.calibration.tables import (
    TRAITS,
    Values,
    columns,
    counts_of,
    secret_of,
    traits_of,
    values_of,
    worst_place,
)
from gate.records.adapters import WHOLE
from gate.records.bank import Bank, ModelStatistics, Statistic
from gate.records.comparison import Comparison, PlaceScore, Surprise, Trait
from gate.records.declarations import Space
from gate.records.evidence import Evidence
from gate.spaces.image.probes import groups, names, names_digest, secret_groups
from gate.spaces.text import probes as text

ROOM = {"accuracy": 0.02, "clean-margin": 0.2, "head-norm": 0.2}
"""Least widening of each trait's range: points of accuracy, logarithms of norms."""
FEWEST_MODELS = 3
MOST_SURPRISES = 64
ALMOST_ALL = 0.9
IMAGE = 3
"""Dimensions of an image: channels, height, width."""
Kind = Literal["per-class", "scale-free"]
_KINDS: Final[Mapping[str, Literal["class", "pair", "layer"]]] = {"class": "class", "pair": "pair", "layer": "layer"}
_NO_BASE: Final = "no base was given: name one with --base, or as `base` in the configuration of `gate serve`"
MOST_NAMED, TELLING = 3, 0.3
"""Most statistics named for a place, and their least share of its greatest surprise."""


def compare(
    evidence: Evidence,
    bank: Bank,
    settings: Mapping[str, str],
    declared: Sequence[Statistic],
    probe_seed: str | None = None,
    known: PooledScores | None = None,
) -> Comparison | None:
    """Return the candidate among the bank's models; None for a bank without statistics, or where nothing was measured.

    `settings` are the digests of the options of this scan, by detector; `declared` is what can be compared at all;
    `probe_seed` opens the answers to secret probes; `known` are scores of clean models of other tasks, by default those
    that come with the gate.
    """
    own = values_of(evidence.outcomes, declared)
    if not bank.statistics or not own:
        return None
    kind: Kind = "per-class" if same_task(evidence, bank) else "scale-free"
    # A bank of an earlier gate goes on with the statistics that are left; any choice of them keeps p valid.
    bank = bank.model_copy(update={"compared": tuple(one for one in bank.compared if one in declared)})
    # The candidate itself may be among the models, as a version that was approved before.
    digests = {evidence.manifest_digest, evidence.bundle_digest} - {None}
    models = [model for model in bank.statistics if model.manifest_digest not in digests]
    why = _unusable(bank, models, own, settings, evidence)
    if why:
        return Comparison(kind=kind, unusable=why)
    sealed = Sealed([*(model.secret_counts for model in models), secret_of(evidence.outcomes)], probe_seed)
    return _among(evidence, bank, models, own, sealed, known or packaged())


def _among(  # one call, above
    evidence: Evidence,
    bank: Bank,
    models: Sequence[ModelStatistics],
    own: Values,
    sealed: Sealed,
    known: PooledScores | None,
) -> Comparison:
    """Return the comparison with these models, which were measured as the candidate was."""
    kind: Kind = "per-class" if same_task(evidence, bank) else "scale-free"
    counts = [*(model.counts for model in models), counts_of(evidence.outcomes)]
    made, probes = (
        bank.compared if kind == "per-class" else (),
        _probes(evidence.facts.space, evidence.facts.input_shape),
    )
    celled = with_cells([*(model.values for model in models), own], counts, made, probes, sealed)
    rows = celled.values
    own = rows[-1]
    scored = score_all(columns(bank.compared, rows, per_class=kind == "per-class"))
    if not scored:
        return Comparison(kind=kind, unusable="the bank's statistics cannot be compared without their scale")
    candidate, others = scored[-1], scored[:-1]
    if not candidate.places:
        return Comparison(kind=kind, unusable="nothing that was measured on the candidate was on the bank's models")
    scores = tuple(sorted((one.score for one in others), reverse=True))
    few = predicted(bank.compared, rows, per_class=kind == "per-class")
    return Comparison(
        kind=kind,
        score=candidate.score,
        bank_scores=scores,
        pooled=pooled(bank, scores, known) if kind == "per-class" else None,
        predictive_p=few.p_value,
        predictive=_surprises(few.parts, bank.compared, own),
        surprises=_surprises(candidate.parts, bank.compared, own),
        places=_places(candidate.places, bank.compared, own),
        cells=celled.cells,
        secret_probes=celled.secret,
        without_secret=celled.without,
        detectors=tuple(sorted({statistic.detector for statistic in bank.compared})),
        predicting=tuple(sorted({one.detector for one in bank.compared if one.metric in METRICS})),
        traits=traits_beside(
            [model.traits for model in models],
            traits_of(evidence.outcomes, evidence.samples.accuracy if evidence.samples else None),
        ),
    )


def bank_scores(bank: Bank) -> list[float]:
    """Return the scores of a bank's models, each beside all the others, by the fixed probes."""
    values, counts = [model.values for model in bank.statistics], [model.counts for model in bank.statistics]
    rows = with_cells(values, counts, bank.compared, _probes(bank.space, bank.input_shape)).values
    return [one.score for one in score_all(columns(bank.compared, rows, per_class=True))]


def _probes(space: Space, shape: tuple[int, ...]) -> Probes:
    """Return the probes that a model of this space and shape is given."""
    if space == "tokens":
        return Probes(text.names(), text.groups(), text.names_digest(), text.secret_groups())
    if len(shape) != IMAGE:
        return Probes((), (), "")
    image = (shape[0], shape[1], shape[2])
    return Probes(names(image), groups(image), names_digest(image), secret_groups(image))


def same_task(evidence: Evidence, bank: Bank) -> bool:
    """Tell whether a bank's classes are the candidate's: the same samples, byte by byte, classes and input shape."""
    if bank.adapters is not None:
        return bank.adapters == evidence.group
    return (
        bank.samples is not None
        and evidence.samples is not None
        and bank.samples.sha256 == evidence.samples.sha256
        and bank.classes == evidence.facts.classes
        and (bank.space, bank.input_shape) == (evidence.facts.space, evidence.facts.input_shape)
    )


def _unusable(
    bank: Bank, models: Sequence[ModelStatistics], own: Values, settings: Mapping[str, str], evidence: Evidence
) -> str:
    """Return why candidate and bank cannot be compared, as part of a sentence; empty where they can."""
    if len(models) < FEWEST_MODELS or not bank.compared:
        return (
            f"it compares {len(bank.compared)} statistics of {len(models)} models besides the candidate; expected at "
            f"least one of {FEWEST_MODELS}"
        )
    if why := _other_group(bank, models, own, evidence) or _other_classes(bank, evidence):
        return why
    if bank.seed != evidence.seed:
        return f"the bank was measured with seed {bank.seed}; this scan with seed {evidence.seed}"
    named = sorted({statistic.detector for statistic in bank.compared})
    other = [name for name in named if bank.settings.get(name) != settings.get(name)]
    if other:
        return f"the bank's {' and '.join(other)} ran with other settings than this scan's"
    for statistic in bank.compared:
        if statistic.scale == "cells":
            continue
        # However few of the models have it: a score without it would be low for want of a measurement.
        if statistic.metric not in own.get(statistic.detector, {}):
            return f"{statistic.detector} measured no {statistic.metric} on the candidate, though on the bank's models"
    return _other_cells(bank, models, evidence)


def _other_classes(bank: Bank, evidence: Evidence) -> str:
    if bank.classes == evidence.facts.classes:
        return _other_prompts(bank, evidence)
    return f"the bank's models have {bank.classes} classes; the candidate has {evidence.facts.classes}"


def _other_prompts(bank: Bank, evidence: Evidence) -> str:
    """Return why language models were not given the same prompts, where a statistic is of what they say behind some."""
    known = {one.detector for one in bank.compared} & set(detectors.names())  # an earlier gate had others too
    asked = any(Need.BESIDE in detectors.load(name).needs for name in known)
    given = [one.sha256 if one else "" for one in (bank.samples, evidence.samples)]
    return "the bank's models were given other prompts than the candidate" if asked and given[0] != given[1] else ""


def _other_group(bank: Bank, models: Sequence[ModelStatistics], own: Values, evidence: Evidence) -> str:
    """Return why an adapter or language model is outside its bank; empty where it is inside, or another model."""
    what = "adapter" if evidence.facts.adapter is not None else "language model"
    if bank.adapters is None:
        named = "an adapter" if what == "adapter" else "a language model"
        return f"it holds whole models, and the candidate is {named}" if evidence.facts.beside_base else ""
    if not evidence.facts.beside_base:
        held = "language models" if bank.adapters.parameterisation == WHOLE else "adapters"
        return f"it holds {held}, and the candidate is none"
    group = evidence.group
    if group is None:
        lacks = "its ranks lie in two bands" if evidence.base else _NO_BASE
        return f"the {what} is not examined: {lacks}"
    if group != bank.adapters:
        # A candidate is compared with the base's files too: the same weights beside another tokenizer are another base.
        earlier = group.model_copy(update={"beside": None}) == bank.adapters
        told = _WEIGHTS_ALONE if earlier else f"it is {group}, and the bank's are {bank.adapters}"
        return f"the {what} is not examined: {told}"
    if odd := _elsewhere(models, own, bank.compared):
        return f"the {what} is not examined: it {odd}"
    return ""


_WEIGHTS_ALONE = (
    "the bank is an earlier gate's, which knew the base by its weights alone and not by tokenizer and configuration; "
    "make it again with `gate bank build`"
)


def _elsewhere(models: Sequence[ModelStatistics], own: Values, compared: Sequence[Statistic]) -> str:
    """Return at which modules the candidate changes what the bank's models do not, or the other way round."""
    every = [_layers(model.values, compared) for model in models]
    mine = _layers(own, compared)
    known = {place for place in set().union(*every) if sum(place in one for one in every) >= ALMOST_ALL * len(every)}
    if mine == known:
        return ""
    odd = min(mine ^ known)
    how = "changes" if odd in mine else "does not change"
    return f"{how} {odd.removeprefix('layer ')[:120]}, unlike the bank's"


def _layers(values: Values, compared: Sequence[Statistic]) -> set[str]:
    """Return the places of a model's statistics by layer."""
    named = [(one.detector, one.metric) for one in compared if one.at == "layer"]
    return {place for name, metric in named for place in values.get(name, {}).get(metric, {})}


def _other_cells(bank: Bank, models: Sequence[ModelStatistics], evidence: Evidence) -> str:
    """Return why the candidate's counts are not comparable with those of the bank's models; empty where they are."""
    own = counts_of(evidence.outcomes)
    for detector in {statistic.detector for statistic in bank.compared if statistic.scale == "cells"}:
        theirs = [model.counts[detector] for model in models if detector in model.counts]
        if detector not in own:
            return f"{detector} counted no answers of the candidate, though of the bank's models"
        if detector in own and own[detector].probes != _probes(evidence.facts.space, evidence.facts.input_shape).digest:
            return f"{detector} counted the answers to other probes than this gate has"
        if detector in own and not all(own[detector].alike(one) for one in theirs):
            return f"the bank's {detector} had other probes or other numbers of samples than this scan's"
    return ""


def _surprises(parts: Sequence[Part], compared: Sequence[Statistic], own: Values) -> tuple[Surprise, ...]:
    known = {f"{statistic.detector} {statistic.metric}": statistic for statistic in compared}
    return tuple(_surprise(part, known[part.statistic.partition(", ")[0]], own) for part in parts[:MOST_SURPRISES])


def _places(placed: Sequence[Placed], compared: Sequence[Statistic], own: Values) -> tuple[PlaceScore, ...]:
    found = []
    for one in placed[:MOST_SURPRISES]:
        telling = [part for part in one.parts if part.surprise > TELLING * one.parts[0].surprise] or [one.parts[0]]
        because = _surprises(telling[:MOST_NAMED], compared, own)
        found.append(PlaceScore(kind=because[0].kind, name=because[0].name, score=one.score, because=because))
    return tuple(found)


def _surprise(part: Part, statistic: Statistic, own: Values) -> Surprise:
    place = part.place or (worst_place(statistic, own) if statistic.at != "model" else "")
    kind, _, name = place.partition(" ")
    return Surprise(
        detector=statistic.detector,
        metric=statistic.metric,
        variant=part.statistic.partition(", ")[2],
        kind=_KINDS.get(kind),
        name=name,
        surprise=part.surprise,
    )


def traits_beside(models: Sequence[Mapping[str, float]], own: Mapping[str, float]) -> tuple[Trait, ...]:
    """Return the candidate's traits and their range in the bank, where almost all of its models have them."""
    found = []
    for name in TRAITS:
        values = [model[name] for model in models if name in model]
        if len(values) >= ALMOST_ALL * len(models):
            found.append(
                Trait(name=name, value=own.get(name), least=min(values), greatest=max(values), room=ROOM[name])
            )
    return tuple(found)
