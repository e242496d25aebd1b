"""One score per model and one p-value over the bank, whose error rate holds whatever the statistics are.

Pure. Full conformal prediction: candidate and bank members are scored by one rule that treats all of them alike, each
against all the others (docs/decisions/0010). If the candidate is exchangeable with the bank, its rank among the scores
is uniform, so P(p ≤ a) ≤ a for every a, however crude the score; a better score only finds more.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from gate.judging.calibration.surprise import Column, on_common_scale, surprises

AGREEMENT = 0.7
"""By so much less counts each further statistic that stands out at the same place (docs/explanation/calibration.md)."""


@dataclass(frozen=True)
class Part:
    """The surprise of one statistic at one place of one model, on the common scale."""

    statistic: str
    place: str
    surprise: float


@dataclass(frozen=True)
class Placed:
    """What all statistics say together of one place, a class or the whole model."""

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
    """Return what the statistics say together of each place: the greatest surprise, and less and less of the others.

    A planted rule shows at its target in several statistics, the one that resembles its trigger first; an odd clean
    model shows somewhere in one. A statistic counts once, by the greater of its views. Statistics of the whole model
    speak each for itself: they name no place at which they could agree. Any other function of the surprises may stand
    here: the p-value's validity does not depend on it.
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


def p_value(score: float, bank: Sequence[float]) -> float:
    """Return (1 + number of bank scores at or above the score) / (n + 1).

    A tie counts as above, so that p is never smaller than it should be. NaN is refused: compared, it is always false.
    """
    if math.isnan(score) or any(math.isnan(other) for other in bank):
        raise ValueError("a score is NaN; expected numbers")
    return (1 + sum(other >= score for other in bank)) / (len(bank) + 1)


def least_p(models: int) -> float:
    """Return the smallest p-value that a bank of so many models can give."""
    return 1 / (models + 1)
