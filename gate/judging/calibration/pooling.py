"""Scores of clean models of other tasks beside those of a bank: a p-value finer than the bank's own.

A score sums surprises, each in units of the spread between clean models of its own task, so that scores of clean models
of different tasks may be alike. The file beside this one holds such scores, each model compared with the others of its
task, and says what they were made of. That they are alike is an assumption: it is tested with the bank's own scores,
and the policy says how unlike these may be. Under it the p-value has the guarantee of `conformal` over all the models.
"""

from collections.abc import Mapping, Sequence
from functools import cache
from importlib import resources
from math import exp

from gate.records.bank import Bank
from gate.records.comparison import Pooled
from gate.records.fields import Finite, Text
from gate.records.record import Record

FILE = "pooled.json"


class PooledScores(Record):
    """Scores of clean models of several tasks, by one choice of statistics and settings."""

    made_of: Text
    """Data and models, in a few words."""
    statistics: tuple[str, ...]
    """Detector and metric of each statistic in the score, in order."""
    settings: dict[str, str]
    """Digests of the options of their detectors."""
    scores: dict[str, tuple[Finite, ...]]
    """By task, each model beside the others of its task."""


@cache
def packaged() -> PooledScores | None:
    """Return the scores that come with the gate; None where none were made for its present statistics."""
    file = resources.files(__package__) / FILE
    return PooledScores.from_json(file.read_bytes()) if file.is_file() else None


def named(bank: Bank) -> tuple[str, ...]:
    """Return the statistics that a bank compares, as `PooledScores` names them."""
    return tuple(f"{one.detector} {one.metric}" for one in bank.compared)


def pooled(bank: Bank, own: Sequence[float], known: PooledScores | None) -> Pooled | None:
    """Return scores to add to those of a bank's models, `own`; None where they were made in another way."""
    if known is None or named(bank) != known.statistics:
        return None
    if any(bank.settings.get(name) != digest for name, digest in known.settings.items()):
        return None
    scores = _every(known.scores)
    return Pooled(made_of=known.made_of, scores=scores, alike=chance_of_larger(own, scores))


def _every(scores: Mapping[str, Sequence[float]]) -> tuple[float, ...]:
    return tuple(sorted((score for found in scores.values() for score in found), reverse=True))


def chance_of_larger(own: Sequence[float], others: Sequence[float]) -> float:
    """Return the p-value of one sample's being larger than another, by Smirnov's one-sided test.

    The greatest difference by which the others' distribution function lies above the sample's, and its limit
    exp(-2 D² n m / (n + m)) (Smirnov 1939), which is a little too large for small samples.
    """
    if not own or not others:
        return 1.0
    points = sorted({*own, *others})
    greatest = max(_below(others, x) - _below(own, x) for x in points)
    return exp(-2 * max(0.0, greatest) ** 2 * len(own) * len(others) / (len(own) + len(others)))


def _below(scores: Sequence[float], x: float) -> float:
    return sum(score <= x for score in scores) / len(scores)
