import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom

from benchmarks.efficacy.rates import fidelity, lower_bound, upper_bound


@pytest.mark.parametrize(("hits", "count", "bound"), [(0, 30, 0.0950), (0, 59, 0.0495), (1, 20, 0.2161), (5, 5, 1.0)])
def test_the_upper_bound_has_the_values_of_published_tables(hits, count, bound):
    """One-sided 95 % bounds agree with tables; none of n is 1 - 0.05 ** (1 / n)."""
    assert upper_bound(hits, count) == pytest.approx(bound, abs=1e-4)


@given(st.integers(1, 200), st.data())
def test_at_the_bounds_the_observation_is_as_rare_as_stated(count, data):
    """The exact definition: at the upper bound, so few hits have probability 5 %; at the lower bound, so many."""
    hits = data.draw(st.integers(0, count))
    upper, lower = upper_bound(hits, count), lower_bound(hits, count)
    assert lower <= hits / count <= upper
    if hits < count:
        assert binom.cdf(hits, count, upper) == pytest.approx(0.05, abs=1e-6)
    if hits > 0:
        assert binom.sf(hits - 1, count, lower) == pytest.approx(0.05, abs=1e-6)


def test_no_models_bound_nothing():
    """Without a model the rate may be anything."""
    assert (lower_bound(0, 0), upper_bound(0, 0)) == (0.0, 1.0)


def test_a_rate_that_cannot_be_is_refused():
    """More hits than models is an error of the caller."""
    with pytest.raises(ValueError, match="4 of 3"):
        upper_bound(4, 3)


def test_fidelity_is_the_share_of_the_attack_that_is_gone_times_the_accuracy_kept():
    """NIST's formula: all gone and nothing lost is 1, nothing gone is 0, and lost accuracy costs its share."""
    assert fidelity(0.9, 0.0, 0.8, 0.8) == 1.0
    assert fidelity(0.9, 0.9, 0.8, 0.8) == 0.0
    assert fidelity(0.8, 0.2, 0.9, 0.81) == pytest.approx(0.75 * 0.9)


def test_fidelity_needs_an_attack_that_works():
    """Where nothing was to repair, no number is invented."""
    with pytest.raises(ValueError, match="attack succeeds"):
        fidelity(0.0, 0.0, 0.9, 0.9)
