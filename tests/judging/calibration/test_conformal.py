"""The p-value's error rate holds, and its score behaves."""

import math
import random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gate.judging.calibration.conformal import AGREEMENT, Part, fuse, score_all
from gate.judging.calibration.student import log_lower_tail
from gate.judging.calibration.surprise import Column, centred, on_common_scale, surprises
from gate.records.comparison import Comparison

PLACES = [f"class {index}" for index in range(6)]


def population(count, seed, *, heavy=False):
    """Return two columns of so many exchangeable models with levels of their own and classes of their own."""
    draw = random.Random(seed)
    classes = [[draw.gauss(0, 1) for _ in PLACES] for _ in range(2)]
    columns = []
    for number in range(2):
        models = []
        for _ in range(count):
            level = draw.gauss(0, 0.5)
            noise = [draw.gauss(0, 0.3) * (draw.expovariate(1) if heavy else 1) for _ in PLACES]
            row = zip(PLACES, classes[number], noise, strict=True)
            models.append({place: usual + level + e for place, usual, e in row})
        columns.append(Column(f"statistic {number}", tuple(models)))
    return columns


def p_value(score, bank):
    """Return the p-value of a score among those of a bank's models."""
    return Comparison(kind="per-class", score=score, bank_scores=tuple(bank)).p_value


def p_of_last(columns):
    """Return the p-value of the last model over the others."""
    scores = [scored.score for scored in score_all(columns)]
    return p_value(scores[-1], scores[:-1])


@pytest.mark.parametrize("heavy", [False, True], ids=["normal", "heavy tails"])
def test_p_is_uniform_under_exchangeability(heavy):
    """Over 400 populations the share of p at or below each level stays within four standard errors of it."""
    found = [p_of_last(population(20, seed, heavy=heavy)) for seed in range(400)]
    for level in (0.05, 0.1, 0.25, 0.5, 0.75):
        share = sum(p <= level + 1e-12 for p in found) / len(found)
        assert abs(share - level) <= 4 * math.sqrt(level * (1 - level) / len(found))


def test_a_planted_class_is_named_and_gets_the_least_p():
    """One value far below is found among twenty models, by its statistic and its class."""
    columns = population(21, 1)
    column = columns[1]
    planted = {**column.models[-1], "class 3": column.models[-1]["class 3"] - 4}
    columns[1] = Column(column.name, (*column.models[:-1], planted))
    columns.append(centred(columns[1]))
    scored = score_all(columns)
    assert p_value(scored[-1].score, [one.score for one in scored[:-1]]) == 1 / 21
    assert scored[-1].places[0].place == "class 3"
    assert scored[-1].places[0].parts[0].statistic.startswith("statistic 1")


numbers = st.floats(-1e6, 1e6)
quick = settings(deadline=None, max_examples=50, suppress_health_check=[HealthCheck.too_slow])


@quick
@given(numbers, st.lists(numbers, max_size=30))
def test_p_is_never_below_its_least_nor_above_one(score, bank):
    """However extreme the score, p is at least 1 / (n + 1)."""
    compared = Comparison(kind="per-class", score=score, bank_scores=tuple(bank))
    least = 1 / (len(bank) + 1)
    assert least <= compared.p_value <= 1


@quick
@given(numbers, numbers, st.lists(numbers, max_size=30))
def test_a_higher_score_never_has_a_higher_p(one, other, bank):
    """P falls with the score."""
    assert p_value(max(one, other), bank) <= p_value(min(one, other), bank)


@quick
@given(st.lists(numbers, min_size=1, max_size=30))
def test_ties_count_as_above(bank):
    """The highest score of the bank itself never gets the least p."""
    assert p_value(max(bank), bank) >= 2 / (len(bank) + 1)


def test_nan_is_refused():
    """Compared with NaN everything is false, which would make p small or large by accident."""
    for score, bank in ((math.nan, [1.0]), (1.0, [math.nan])):
        with pytest.raises(ValueError, match="finite number"):
            p_value(score, bank)
    for odd in (math.nan, math.inf):
        with pytest.raises(ValueError, match="expected a finite number"):
            Column("size", ({"class 0": odd},))
    with pytest.raises(ValueError, match="a tail needs a number"):
        log_lower_tail(math.nan, 3)


@quick
@given(st.integers(0, 1000), st.randoms(use_true_random=False))
def test_the_order_of_the_models_does_not_matter(seed, shuffler):
    """Each model keeps its score, to rounding, whatever its place in the list: what makes the p-value valid."""
    columns = population(9, seed)
    order = list(range(9))
    shuffler.shuffle(order)
    shuffled = [Column(column.name, tuple(column.models[index] for index in order)) for column in columns]
    before, after = score_all(columns), score_all(shuffled)
    assert [after[place].score for place in range(9)] == pytest.approx([before[index].score for index in order])


@quick
@given(st.integers(0, 1000), st.sampled_from(PLACES), st.floats(0, 5))
def test_a_worse_value_is_never_less_surprising(seed, place, step):
    """Lowering one value of a model does not lower its own surprise there."""
    column = population(12, seed)[0]
    worse = {**column.models[-1], place: column.models[-1][place] - step}
    lowered = Column(column.name, (*column.models[:-1], worse))
    assert surprises(lowered)[-1][place] >= surprises(column)[-1][place] - 1e-9


def test_models_that_agree_surprise_nobody():
    """A constant statistic yields finite numbers, and a value within a thousandth is ordinary."""
    models = ({"class 0": 1.0},) * 20
    assert all(math.isfinite(found["class 0"]) and found["class 0"] < 1 for found in surprises(Column("x", models)))


def test_too_few_models_are_not_compared():
    """Two models, one other each: there is no spread, and so no surprise."""
    models = ({"class 0": 1.0}, {"class 0": 9.0})
    assert [scored.score for scored in score_all([Column("x", models)])] == [0.0, 0.0]
    assert fuse([]) == ()
    assert score_all([]) == []


def test_statistics_that_agree_at_a_class_count_together():
    """Two at a class outweigh a greater one alone; views of a statistic count once; the whole model's stand apart."""
    parts = [
        Part("a size", "class 1", 5.0),
        Part("a size, relative", "class 1", 4.0),
        Part("b share", "class 1", 4.0),
        Part("a size", "class 2", 7.0),
        Part("c ratio", "", 6.0),
        Part("d ratio", "", 6.0),
    ]
    placed = fuse(parts)
    assert [(one.place, one.score) for one in placed] == [
        ("class 1", pytest.approx(5 + AGREEMENT * 4)),
        ("class 2", 7.0),
        ("", 6.0),
        ("", 6.0),
    ]
    assert [part.statistic for part in placed[0].parts] == ["a size", "b share"]


def test_a_statistic_with_heavy_tails_is_put_on_the_common_scale():
    """Where all other models' largest surprises average five, a surprise of ten counts a good deal less than ten."""
    found = [{"class 0": 5.0}] * 30 + [{"class 0": 10.0}]
    assert 2 < on_common_scale(found)[-1]["class 0"] < 3


@quick
@given(st.floats(-60, 60), st.floats(1, 400))
def test_the_tail_is_scipys(t, dof):
    """The written-out logarithm of the tail agrees with SciPy's."""
    from scipy import stats

    assert log_lower_tail(t, dof) == pytest.approx(float(stats.t.logcdf(t, dof)), rel=1e-6, abs=1e-9)
