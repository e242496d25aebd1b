import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.efficacy.ranking import area, area_with_interval

scores = st.lists(st.integers(-5, 5).map(float), min_size=1, max_size=12)


@given(scores, scores)
def test_the_area_is_the_share_of_pairs_in_the_right_order(backdoored, clean):
    """The Mann-Whitney definition, ties counted half."""
    wins = [(one > other) + 0.5 * (one == other) for one in backdoored for other in clean]
    assert area(backdoored, clean) == pytest.approx(np.mean(wins))


@given(scores, scores)
def test_the_interval_holds_the_area_of_its_draws(backdoored, clean):
    """The interval lies in [0, 1], in order, and around what all draws scatter about."""
    found = area_with_interval(backdoored, clean, seed=1, draws=200)
    assert 0 <= found.low <= found.high <= 1
    assert found.value == area(backdoored, clean)


def test_the_interval_is_that_of_drawing_models_again():
    """The weighing of pairs gives the quantiles of a plain bootstrap that draws scores."""
    rng = np.random.default_rng(3)
    backdoored, clean = list(rng.normal(1, 1, 15)), list(rng.normal(0, 1, 20))
    plain = [area(list(rng.choice(backdoored, 15)), list(rng.choice(clean, 20))) for _ in range(1000)]
    found = area_with_interval(backdoored, clean, seed=0, draws=1000)
    assert (found.low, found.high) == pytest.approx(tuple(np.quantile(plain, [0.025, 0.975])), abs=0.025)


def test_the_same_seed_gives_the_same_interval():
    """A table can be made again."""
    rows = ([1.0, 2.0, 3.0, 0.5], [0.0, 1.5, 2.5])
    assert area_with_interval(*rows, seed=4) == area_with_interval(*rows, seed=4)


def test_one_kind_alone_has_no_area():
    """Without clean or without backdoored models nothing is ranked."""
    assert area([1.0], []) is None
    assert area_with_interval([], [1.0], seed=0) is None
