"""The anomaly index against scipy's median absolute deviation, and where there is no spread."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import median_abs_deviation

from gate.statistics.outliers import CONSISTENCY, MAD_FLOOR, NEGLIGIBLE, low_side_anomaly_indices

SIZES = st.lists(st.floats(0, 1e6), min_size=1, max_size=30)


@given(SIZES)
def test_the_index_is_scipys_wherever_there_is_spread(values):
    """Distances below the median in consistent median absolute deviations, as scipy computes them."""
    median, mad = float(np.median(values)), float(median_abs_deviation(values))
    scale = CONSISTENCY * max(mad, MAD_FLOOR * median)
    expected = (median - np.array(values)) / (scale if scale > NEGLIGIBLE * max(values) else 1.0)
    np.testing.assert_allclose(low_side_anomaly_indices(values), expected, rtol=1e-9, atol=1e-12)


@given(SIZES)
def test_the_index_is_finite_and_largest_for_the_smallest(values):
    """No input without infinities gives one, and order is kept, reversed."""
    indices = low_side_anomaly_indices(values)
    assert all(math.isfinite(index) for index in indices)
    assert indices[int(np.argmin(values))] == max(indices)


@pytest.mark.parametrize(
    ("values", "expected"),
    [([5.0], [0.0]), ([0.0, 0.0, 0.0], [0.0] * 3), ([5.0] * 4, [0.0] * 4), ([0.0, 0.0, 1.0], [0.0, 0.0, -1.0])],
)
def test_values_without_spread_are_no_outliers(values, expected):
    """One value, zeros and equal values give zeros, and the floor is what divides."""
    assert low_side_anomaly_indices(values) == expected


def test_one_small_value_among_equal_ones_stands_out():
    """A deviation of zero is replaced by a thousandth of the median, so the odd one is seen."""
    indices = low_side_anomaly_indices([10.0] * 9 + [5.0])
    assert indices[:9] == [0.0] * 9
    assert indices[9] == pytest.approx(5 / (CONSISTENCY * MAD_FLOOR * 10))


def test_no_values_have_no_index():
    """Nothing at all is an error of the caller."""
    with pytest.raises(ValueError, match="no values"):
        low_side_anomaly_indices([])
