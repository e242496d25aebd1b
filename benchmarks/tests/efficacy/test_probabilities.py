import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import brier_score_loss, log_loss

from benchmarks.efficacy.probabilities import (
    EPSILON,
    brier,
    cross_entropy,
    cross_entropy_at_a_half,
    cross_validated,
    mapped,
)

pairs = st.lists(st.tuples(st.floats(0.001, 0.999), st.booleans()), min_size=2, max_size=40)


@given(pairs)
def test_losses_are_those_of_scikit_learn(rows):
    """Mean cross-entropy and Brier score agree with an independent implementation."""
    chances, truth = zip(*rows, strict=True)
    assert cross_entropy(chances, truth).value == pytest.approx(log_loss(truth, chances, labels=[False, True]))
    assert brier(chances, truth).value == pytest.approx(brier_score_loss(truth, chances, labels=[False, True]))


def test_certainty_that_is_wrong_costs_a_finite_much():
    """Probabilities are clipped as NIST clips them, so that one wrong certainty is no infinity."""
    assert cross_entropy([1.0], [False]).value == pytest.approx(-math.log(EPSILON), rel=1e-3)
    assert cross_entropy([0.0], [False]).value == pytest.approx(0.0, abs=1e-9)


def test_the_interval_is_1_96_standard_errors():
    """Two losses of 0 and 1 have a standard deviation of a half."""
    assert brier([1.0, 1.0], [True, False]).half_width == pytest.approx(1.96 * 0.5 / math.sqrt(2))


def test_a_guess_of_a_half_costs_what_is_known():
    """Knowing nothing has cross-entropy log 2 and Brier score a quarter, without spread."""
    assert cross_entropy([0.5] * 6, [True, False] * 3).value == pytest.approx(math.log(2))
    assert brier([0.5] * 6, [True, False] * 3).value == 0.25
    assert cross_entropy([0.5] * 6, [True, False] * 3).half_width == pytest.approx(0.0, abs=1e-9)


def test_probabilities_follow_a_score_that_tells_the_kinds_apart():
    """Backdoored models with high scores get more than a half, clean ones less, each by a fit without itself."""
    scores, truth = [2.0, 2.5, 3.0, 2.2, -2.0, -2.5, -3.0, -2.2], [True] * 4 + [False] * 4
    chances = cross_validated(scores, truth, seed=0)
    assert [chance > 0.5 for chance in chances] == truth
    assert chances == cross_validated(scores, truth, seed=0)


def test_at_a_prior_of_a_half_each_kind_counts_alike():
    """Nine clean models weigh as much as one backdoored one; where kinds are even it is the plain mean."""
    chances, truth = [0.8] + [0.1] * 9, [True] + [False] * 9
    expected = -(math.log(0.8) + math.log(0.9)) / 2
    assert cross_entropy_at_a_half(chances, truth).value == pytest.approx(expected)
    even = cross_entropy_at_a_half([0.8, 0.3], [True, False]).value
    assert even == pytest.approx(cross_entropy([0.8, 0.3], [True, False]).value)


def test_a_map_is_fitted_on_other_models_with_kinds_weighing_alike():
    """The middle between two kinds has a half, however many of each there are; higher scores have more."""
    low, middle, high = mapped([0.0] * 30 + [2.0] * 3, [False] * 30 + [True] * 3, [0.0, 1.0, 2.0])
    assert middle == pytest.approx(0.5, abs=1e-4)
    assert low < middle < high


def test_too_few_models_have_no_probability():
    """A fit that must leave one out needs two of either kind."""
    assert cross_validated([1.0, 0.0, 0.1], [True, False, False], seed=0) is None
