"""The p-value from few models: its level, its floor, and the same numbers as the benchmark's arrays."""

import math
import random

import pytest

from benchmarks.efficacy.small_rules import predictive, sizes, tables_of
from gate.judging.calibration.few import LEAST_SPREAD, predicted
from gate.records.bank import Statistic

CLASSES = 8
STATISTICS = (
    Statistic(detector="search", metric="exit-ratio", worse="lower", scale="log", at="pair"),
    Statistic(detector="search", metric="size", worse="lower", scale="log", at="class"),
    Statistic(detector="margins", metric="relative-margin", worse="higher", scale="log", at="class"),
)


def model(draw, *, spread=0.3, planted=None):
    """Return what one model measures: a level of its own, classes of the task, and spread about them."""
    level = draw.gauss(0, 1)
    logs = [0.4 * (k % 3) + level + draw.gauss(0, spread) for k in range(CLASSES)]
    if planted is not None:
        logs[planted] -= 4
    places = {f"class {k}": math.exp(x) for k, x in enumerate(logs)}
    return {
        "search": {"size": places, "exit-ratio": {"pair 1 to 2": math.exp(draw.gauss(0, spread))}},
        "margins": {"relative-margin": {place: math.exp(draw.gauss(0, spread)) for place in places}},
    }


@pytest.mark.parametrize("count", [3, 8])
def test_the_level_holds_beside_few_models_with_levels_of_their_own(count):
    """Over 300 populations of normal logarithms, p is at or below 0.05 at most as often as that, but for chance."""
    hits = 0
    for seed in range(300):
        draw = random.Random(seed)
        hits += predicted(STATISTICS, [model(draw) for _ in range(count + 1)], per_class=True).p_value <= 0.05
    assert hits / 300 <= 0.05 + 3 * math.sqrt(0.05 * 0.95 / 300)


def test_a_planted_class_is_found_beside_three_models_and_named():
    """A trigger of a fiftieth of its natural size is significant at once, and drives p."""
    draw = random.Random(0)
    found = predicted(STATISTICS, [*(model(draw) for _ in range(3)), model(draw, planted=5)], per_class=True)
    assert found.p_value < 0.01
    assert (found.parts[0].statistic, found.parts[0].place) == ("search size, relative", "class 5")
    assert found.p_value == pytest.approx(math.exp(-found.parts[0].surprise))


def test_models_that_agree_closely_do_not_make_a_small_difference_significant():
    """Three models alike to a hundredth and a candidate off by a quarter: the floor under the spread forbids it."""
    draw = random.Random(0)
    models = [model(draw, spread=0.01) for _ in range(4)]
    models[-1]["search"]["size"]["class 5"] *= 0.75
    assert predicted(STATISTICS, models, per_class=True).p_value > 0.05


def test_other_statistics_take_no_part():
    """Margins alone give a p of one, and nothing that it is made of."""
    draw = random.Random(0)
    found = predicted(STATISTICS[2:], [model(draw) for _ in range(4)], per_class=True)
    assert (found.p_value, found.parts) == (1.0, ())


def test_the_benchmark_computes_the_same_p_values():
    """In arrays, for every model beside a bank of the others, with values missing here and there."""
    draw = random.Random(3)
    models = [model(draw, planted=2 if number == 6 else None) for number in range(7)]
    del models[1]["search"]["size"]["class 4"]
    del models[4]["search"]["exit-ratio"]
    bank = [0, 1, 2]
    found = predictive(tables_of(models), bank, sizes(LEAST_SPREAD))
    for row in range(3, 7):
        expected = predicted(STATISTICS, [*(models[member] for member in bank), models[row]], per_class=True)
        assert found[row] == pytest.approx(expected.p_value, rel=1e-9)
