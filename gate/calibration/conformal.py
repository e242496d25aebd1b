"""One score per model and one p-value over the bank, whose error rate holds whatever the statistics are.

Pure. Full conformal prediction: candidate and bank members are scored by one rule that treats all of them alike, each
against all the others (docs/decisions/0010). If the candidate is exchangeable with the bank, its rank among the scores
is uniform, so P(p ≤ a) ≤ a for every a, however crude the score; a better score only finds more.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from gate.calibration.surprise import Column, largest, on_common_scale, surprises


@dataclass(frozen=True)
class Part:
    """The surprise of one statistic at one place of one model, on the common scale."""

    statistic: str
    place: str
    surprise: float


@dataclass(frozen=True)
class Scored:
    """One model's score and what it is made of."""

    score: float
    parts: tuple[Part, ...]
    """The greatest first; the first one drives the score."""


def fuse(by_statistic: Mapping[str, float]) -> float:
    """Return one score from each statistic's largest surprise: the greatest of them, 0 without any.

    A backdoor shows in the one or two statistics that resemble its trigger, so a mean would drown it. Any other
    function of the surprises may stand here: the p-value's validity does not depend on it.
    """
    return max(by_statistic.values(), default=0.0)


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
        score = fuse({name: largest(found[index]) for name, found in scaled.items()})
        scored.append(Scored(score, tuple(parts)))
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
