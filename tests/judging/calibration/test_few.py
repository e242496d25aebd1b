"""The p-value from few models: its level and its floor."""

import math
import random

import pytest

from gate.judging.calibration.few import predicted
from tests.judging.calibration.few_models import STATISTICS, model


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
    """Margins alone give no p-value, and nothing that it would be made of."""
    draw = random.Random(0)
    found = predicted(STATISTICS[2:], [model(draw) for _ in range(4)], per_class=True)
    assert (found.p_value, found.parts) == (None, ())


def test_a_candidate_whose_sizes_were_not_measured_has_no_p_value():
    """Nothing stands out of what is not there; that is no p-value of one."""
    draw = random.Random(0)
    rows = [model(draw) for _ in range(4)]
    del rows[-1]["search"]
    assert predicted(STATISTICS, rows, per_class=True).p_value is None
