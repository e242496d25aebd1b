"""Comparison of one scan's evidence with a bank, which was measured alike (`gate.judging.calibration.alike`)."""

from collections.abc import Mapping, Sequence
from typing import Final, Literal

from gate.judging.calibration.alike import ALMOST_ALL, same_task, unusable
from gate.judging.calibration.cells import Sealed, probes_of, with_cells
from gate.judging.calibration.conformal import Part, Placed, score_all
from gate.judging.calibration.few import predicted
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
from gate.records.bank import Bank, ModelStatistics, Statistic
from gate.records.comparison import Comparison, PlaceScore, Surprise, Trait
from gate.records.evidence import Evidence

ROOM = {"accuracy": 0.02, "clean-margin": 0.2, "head-norm": 0.2}
"""Least widening of each trait's range: points of accuracy, logarithms of norms."""
MOST_SURPRISES = 64
Kind = Literal["per-class", "scale-free"]
_KINDS: Final[Mapping[str, Literal["class", "pair", "layer"]]] = {"class": "class", "pair": "pair", "layer": "layer"}
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
    why = unusable(bank, models, own, settings, evidence)
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
        probes_of(evidence.facts.space, evidence.facts.input_shape),
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
        detectors=_detectors(candidate.parts, bank.compared),
        statistics=tuple(sorted(_named(candidate.parts))),
        predicting=_detectors(few.parts, bank.compared),
        traits=traits_beside(
            [model.traits for model in models],
            traits_of(evidence.outcomes, evidence.samples.accuracy if evidence.samples else None),
        ),
    )


def bank_scores(bank: Bank) -> list[float]:
    """Return the scores of a bank's models, each beside all the others, by the fixed probes."""
    values, counts = [model.values for model in bank.statistics], [model.counts for model in bank.statistics]
    rows = with_cells(values, counts, bank.compared, probes_of(bank.space, bank.input_shape)).values
    return [one.score for one in score_all(columns(bank.compared, rows, per_class=True))]


def _detectors(parts: Sequence[Part], compared: Sequence[Statistic]) -> tuple[str, ...]:
    """Return the detectors of the statistics that were compared at some place."""
    named = _named(parts)
    return tuple(sorted({one.detector for one in compared if f"{one.detector} {one.metric}" in named}))


def _named(parts: Sequence[Part]) -> set[str]:
    """Return the statistics of these parts, whichever view of them."""
    return {part.statistic.partition(", ")[0] for part in parts}


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
