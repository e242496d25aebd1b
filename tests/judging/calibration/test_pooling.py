"""Scores of other tasks' clean models beside a bank's: taken where they were made alike, with a test that they are."""

import json
import random

import pytest
from scipy.stats import ks_2samp

from gate.judging.calibration.pooling import PooledScores, chance_of_larger, pooled
from gate.records.bank import Bank, ModelStatistics, Statistic
from gate.records.comparison import Comparison

SIZE = Statistic(detector="search", metric="size", worse="lower", scale="log", at="class")
OWN = tuple(float(score) for score in range(20, 0, -1))
KNOWN = PooledScores(
    made_of="clean nets of two tasks",
    statistics=("search size",),
    settings={"search": "a" * 64},
    scores={"one": (9.0, 3.0), "two": (30.0, 4.0)},
)


def bank(**changes):
    """Return a bank that compares sizes."""
    models = (ModelStatistics(model="m"),)
    stated = {"name": "bank", "settings": {"search": "a" * 64}, "compared": (SIZE,), "statistics": models}
    return Bank(**{**stated, **changes})


def test_scores_of_every_task_are_added():
    """Greatest first, with what they were made of."""
    found = pooled(bank(), OWN, KNOWN)
    assert (found.scores, found.made_of) == ((30.0, 9.0, 4.0, 3.0), "clean nets of two tasks")


@pytest.mark.parametrize(
    "changes",
    [
        {"compared": ()},
        {"compared": (SIZE, SIZE.model_copy(update={"metric": "exit-ratio"}))},
        {"settings": {"search": "b" * 64}},
        {"settings": {}},
    ],
)
def test_scores_made_in_another_way_are_none(changes):
    """Other statistics or options make other scores."""
    assert pooled(bank(**changes), OWN, KNOWN) is None
    assert pooled(bank(), OWN, None) is None


@pytest.mark.parametrize("shift", [0.0, 0.7, 3.0])
@pytest.mark.parametrize("seed", range(4))
def test_the_test_is_smirnovs(seed, shift):
    """Its greatest difference is SciPy's, and its p-value the limit of that, never below the exact one."""
    draw = random.Random(seed)
    own, others = [shift + draw.gauss(0, 1) for _ in range(19)], [draw.gauss(0, 1) for _ in range(90)]
    exact = ks_2samp(own, others, alternative="less", method="exact")
    found = chance_of_larger(own, others)
    assert found == pytest.approx(2.718281828459045 ** (-2 * exact.statistic**2 * 19 * 90 / 109))
    assert found >= exact.pvalue - 1e-9


def test_a_bank_of_larger_scores_is_told_and_one_of_smaller_scores_is_not():
    """Only larger scores make a pooled p-value too small."""
    others = tuple(float(score) for score in range(40))
    assert chance_of_larger([score + 25 for score in OWN], others) < 1e-3
    assert chance_of_larger([score - 25 for score in OWN], others) == 1.0
    assert chance_of_larger((), others) == chance_of_larger(OWN, ()) == 1.0


def test_the_p_value_counts_both():
    """One of the bank's scores and one of the others' are as great as the candidate's."""
    seen = Comparison(kind="per-class", score=20.0, bank_scores=OWN, pooled=pooled(bank(), OWN, KNOWN))
    assert seen.p_value == pytest.approx(2 / 21)
    assert seen.p_beside((*seen.bank_scores, *seen.pooled.scores)) == pytest.approx(3 / 25)


def test_a_comparison_without_them_has_no_such_key():
    """Evidence of an earlier gate keeps its digest."""
    assert "pooled" not in json.loads(Comparison(kind="per-class", score=1.0, bank_scores=OWN).canonical_json())
