"""A candidate among clean models of other tasks, without a bank: one number of each statistic, compared within a model.

Trigger sizes of other tasks say little by themselves; how far a model's worst class stands apart from its median class
may. Among fewer than eight classes the worst is nearly its own median, and stands for itself. The file beside this one
holds these numbers of clean models of several tasks, as their detectors declare them (`Metric.within`), and says what
it was made of. They have at most twenty classes, all of them searched to the end. Of a candidate with more, most
classes left the search early with an upper bound in place of a size: worst and median are taken of those that were
searched to the end, like with like. Each number is one statistic of the whole model, and the rank of the score is a
p-value as in `conformal`: valid for a candidate that is one more model like those.
"""

import math
import statistics
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache
from importlib import resources
from typing import NamedTuple

from pydantic import Field

from gate.judging.calibration.alike import ALMOST_ALL
from gate.judging.calibration.calibrate import MOST_NAMED, TELLING
from gate.judging.calibration.conformal import Part, score_all
from gate.judging.calibration.surprise import Column, cut
from gate.judging.calibration.tables import WHOLE
from gate.judging.completeness import searched_share
from gate.policies.declared import digest_of
from gate.records.comparison import Comparison, OneNumber, PlaceScore, Surprise
from gate.records.evidence import Measured, Outcome
from gate.records.facts import FEW_CLASSES
from gate.records.fields import Finite, Sha256, Text
from gate.records.record import Record

FILE = "within.json"
RATIO = "size-ratio"
"""Metric of a search that is measured at the classes searched to the end alone."""
FEWEST_PLACES = 2
"""Fewest classes of which one can stand apart."""
BEYOND = 2
"""Times the greatest number of classes of the clean models up to which a candidate is compared with them."""
_LEAST = 1e-9


class CleanModel(Record):
    """One clean model: the numbers of its statistics, greater being worse."""

    task: str
    classes: int = Field(ge=2)
    numbers: dict[str, dict[str, Finite]]
    """By detector and metric."""


class CleanModels(Record):
    """Clean models of several tasks, measured by one choice of settings."""

    made_of: Text
    """What kind of models they are, in a few words that a number of them goes before."""
    compared: tuple[OneNumber, ...] = Field(min_length=1, max_length=100)
    settings: dict[str, Sha256]
    """Digests of the options of their detectors."""
    models: tuple[CleanModel, ...] = Field(max_length=10_000)


class Worst(NamedTuple):
    """A statistic of one model, greater being worse, and the class that it is from."""

    number: float
    place: str


@cache
def packaged() -> CleanModels | None:
    """Return the clean models that come with the gate; None where none were measured by its present settings."""
    file = resources.files(__package__) / FILE
    return CleanModels.from_json(file.read_bytes()) if file.is_file() else None


def numbers_of(outcomes: Mapping[str, Outcome], compared: Iterable[OneNumber]) -> dict[str, dict[str, Worst]]:
    """Return the statistics that were measured, by detector and metric."""
    found: dict[str, dict[str, Worst]] = {}
    for one in compared:
        outcome = outcomes.get(one.detector)
        if isinstance(outcome, Measured) and (worst := _worst(one, outcome)):
            found.setdefault(one.detector, {})[one.metric] = worst
    return found


def _worst(one: OneNumber, outcome: Measured) -> Worst | None:
    sign = 1 if one.worse == "higher" else -1
    every = dict(_by_class(one.metric, outcome))
    full = _searched_to_the_end(outcome) if one.by == "log" else None
    scaled = {name: sign * _scaled(one, value) for name, value in every.items() if full is None or name in full}
    if len(scaled) < min(len(every), FEW_CLASSES) or len(scaled) < FEWEST_PLACES:
        return None
    place = max(scaled, key=lambda name: scaled[name])
    # Among few classes the worst is its own median or nearly, so that its number stands for itself.
    alone = one.by == "linear" or len(scaled) < FEW_CLASSES
    usual = 0.0 if alone else statistics.median(scaled.values())
    return Worst(scaled[place] - usual, place)


def _by_class(metric: str, outcome: Measured) -> Iterator[tuple[str, float]]:
    """Yield the values of a metric by the name of the class."""
    for one in outcome.measurements:
        if one.metric == metric and one.location is not None and one.location.kind == "class":
            yield one.location.name, one.value


def _searched_to_the_end(outcome: Measured) -> frozenset[str] | None:
    """Return the classes that were searched to the end, those with a ratio; None where all were, or none is searched.

    Of the classes that leave a search early the size is an upper bound, after fewer steps (`gate.search.rungs`). Those
    that stay are the smallest, and as many drawn at random from the greater ones as put their median near that of all
    classes.
    """
    share = searched_share(outcome)
    return None if share is None or share >= 1 else frozenset(name for name, _ in _by_class(RATIO, outcome))


def _scaled(one: OneNumber, value: float) -> float:
    match one.by:
        case "log":
            return math.log(max(value, _LEAST))
        case "linear":
            return cut(value)


def models_for(known: CleanModels, classes: int) -> tuple[CleanModel, ...]:
    """Return the clean models that a candidate of so many classes is compared with: few classes beside few."""
    alike = [model for model in known.models if (model.classes < FEW_CLASSES) == (classes < FEW_CLASSES)]
    most = max((model.classes for model in alike), default=0)
    return tuple(alike) if classes <= BEYOND * most else ()


def described(known: CleanModels, classes: int) -> str:
    """Return in one line the clean models that a candidate of so many classes is compared with."""
    models = models_for(known, classes)
    tasks, counts = sorted({model.task for model in models}), [model.classes for model in models]
    return f"{known.made_of}: tasks {', '.join(tasks)}, {min(counts)} to {max(counts)} classes"


def compare_within(outcomes: Mapping[str, Outcome], classes: int | None, known: CleanModels) -> Comparison:
    """Return the candidate among clean models of other tasks, or why it cannot be compared with them."""
    models = models_for(known, classes) if classes is not None else ()
    if not models:
        return _unusable(f"the gate's clean models have other numbers of classes than {classes or 'none known'}")
    compared = _common(models, known.compared)
    own = numbers_of(outcomes, compared)
    for one in compared:
        if one.metric not in own.get(one.detector, {}):
            return _unusable(f"{one.detector} measured no {one.metric} over the candidate's classes")
    if other := [name for name in own if not measured_by(outcomes[name], name, known.settings)]:
        return _unusable(f"{' and '.join(other)} ran with other settings than on the gate's clean models")
    whole = [
        model.numbers for model in models if all(one.metric in model.numbers.get(one.detector, {}) for one in compared)
    ]
    return _among(whole, own, compared) if compared and whole else _unusable("no statistic is common to clean models")


def _unusable(why: str) -> Comparison:
    return Comparison(kind="within", unusable=why)


def _common(models: Sequence[CleanModel], compared: Iterable[OneNumber]) -> tuple[OneNumber, ...]:
    """Return the statistics that almost all of the models have."""

    def have(one: OneNumber) -> int:
        return sum(one.metric in model.numbers.get(one.detector, {}) for model in models)

    return tuple(one for one in compared if have(one) >= ALMOST_ALL * len(models))


def measured_by(outcome: Outcome, name: str, settings: Mapping[str, str]) -> bool:
    """Tell whether a detector measured with the options whose digest `settings` holds."""
    try:
        return digest_of(name, outcome.options) == settings.get(name)
    except ValueError:  # options of an earlier gate that this one does not know
        return False


def _among(
    models: Sequence[Mapping[str, Mapping[str, float]]],
    own: Mapping[str, Mapping[str, Worst]],
    compared: Sequence[OneNumber],
) -> Comparison:
    """Return the comparison with models that have every statistic, as the candidate has."""
    columns = []
    for one in compared:
        values = [*(model[one.detector][one.metric] for model in models), own[one.detector][one.metric].number]
        columns.append(Column(str(one), tuple({WHOLE: -value} for value in values)))
    scored = score_all(columns)
    return Comparison(
        kind="within",
        score=scored[-1].score,
        bank_scores=tuple(sorted((one.score for one in scored[:-1]), reverse=True)),
        places=_places(scored[-1].parts, {str(one): one for one in compared}, own),
        detectors=tuple(sorted({one.detector for one in compared})),
    )


def _places(
    parts: Iterable[Part], known: Mapping[str, OneNumber], own: Mapping[str, Mapping[str, Worst]]
) -> tuple[PlaceScore, ...]:
    """Return the classes at which statistics have their worst values, the most surprising first."""
    places: dict[str, list[Surprise]] = {}
    for part in parts:
        one = known[part.statistic]
        name = own[one.detector][one.metric].place
        seen = Surprise(detector=one.detector, metric=one.metric, kind="class", name=name, surprise=part.surprise)
        places.setdefault(name, []).append(seen)
    return tuple(
        PlaceScore(kind="class", name=name, score=found[0].surprise, because=_telling(found))
        for name, found in places.items()
    )


def _telling(found: Sequence[Surprise]) -> tuple[Surprise, ...]:
    """Return the statistics that tell most, of those with their worst value at one class."""
    return tuple(one for one in found[:MOST_NAMED] if one.surprise > TELLING * found[0].surprise) or (found[0],)
