"""One score per model, whose rank gives a p-value with a guaranteed error rate for any choice of statistics.

Full conformal prediction: one rule scores the candidate and the bank's models, each against all the others
(docs/decisions/0010). If the candidate is exchangeable with the bank, its rank among the scores is uniform, so
P(p ≤ a) ≤ a for every a, however crude the score; a better score only finds more.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from gate.judging.calibration.surprise import Column, on_common_scale, surprises

AGREEMENT = 0.7
"""Weight of each further statistic at the same place, relative to the one before (docs/explanation/calibration.md)."""


@dataclass(frozen=True)
class Part:
    """The surprise of one statistic at one place of one model, on the common scale."""

    statistic: str
    place: str
    surprise: float


@dataclass(frozen=True)
class Placed:
    """The joint score of all statistics at one place, a class or the whole model."""

    place: str
    score: float
    parts: tuple[Part, ...]
    """One for each statistic, the greatest first."""


@dataclass(frozen=True)
class Scored:
    """One model's score and what it is made of."""

    score: float
    parts: tuple[Part, ...]
    """The greatest first."""
    places: tuple[Placed, ...] = ()
    """The greatest first; the first one is the score."""


def fuse(parts: Iterable[Part]) -> tuple[Placed, ...]:
    """Return the joint score of each place: the greatest surprise, and a falling share of the others.

    A planted rule shows at its target in several statistics; an odd clean model shows somewhere in one. A statistic
    counts once, by the greater of its views. Statistics of the whole model are not summed: they name no place at which
    they could agree. The p-value's validity does not depend on this function.
    """
    best: dict[tuple[str, str], Part] = {}
    for part in parts:
        statistic = part.statistic.partition(", ")[0]
        key = (part.place, statistic)
        if key not in best or part.surprise > best[key].surprise:
            best[key] = part
    groups: dict[tuple[str, str], list[Part]] = {}
    for (place, statistic), part in best.items():
        groups.setdefault((place, "" if place else statistic), []).append(part)
    placed = [_placed(place, found) for (place, _), found in groups.items()]
    return tuple(sorted(placed, key=lambda one: (-one.score, one.place, one.parts[0].statistic)))


def _placed(place: str, parts: Iterable[Part]) -> Placed:
    ordered = tuple(sorted(parts, key=lambda part: (-part.surprise, part.statistic)))
    return Placed(place, math.fsum(part.surprise * AGREEMENT**rank for rank, part in enumerate(ordered)), ordered)


def score_all(columns: Sequence[Column]) -> list[Scored]:
    """Return the scores of all models, each compared with all the others."""
    scaled = {column.name: on_common_scale(surprises(column)) for column in columns}
    count = len(columns[0].models) if columns else 0
    if any(len(column.models) != count for column in columns):
        raise ValueError("every statistic needs a row for every model, empty where it was not measured")
    scored = []
    for index in range(count):
        parts = [Part(name, place, u) for name, found in scaled.items() for place, u in found[index].items()]
        parts.sort(key=lambda part: (-part.surprise, part.statistic, part.place))
        places = fuse(parts)
        scored.append(Scored(places[0].score if places else 0.0, tuple(parts), places))
    return scored
