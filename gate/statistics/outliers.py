"""The MAD anomaly index: how far below the others a value lies, in robust standard deviations.

Wang et al., "Neural Cleanse", IEEE S&P 2019, section IV: a class whose trigger is far smaller than the others' is
suspicious. The policy sets the limit.
"""

import statistics
from collections.abc import Sequence

CONSISTENCY = 1.4826
"""Factor by which the MAD of normal values estimates their standard deviation."""

MAD_FLOOR = 1e-3
"""Share of the median that replaces a smaller MAD; equal values then have finite indices."""

NEGLIGIBLE = 1e-12
"""Share of the largest value below which a scale is rounding and not spread; division could overflow."""


def low_side_anomaly_indices(values: Sequence[float]) -> list[float]:
    """Return (median - value) / (1.4826 · MAD) for each value; larger is more anomalous, negative is above the median.

    A MAD below a thousandth of the median (all values nearly equal) is replaced by that share, and a scale that is
    still zero or negligible by 1: the result is finite for finite input. An empty sequence raises ValueError.
    """
    if not values:
        raise ValueError("no values: an anomaly index needs at least one")
    median = statistics.median(values)
    scale = _scale(values, median, max(abs(value) for value in values))
    return [(median - value) / scale for value in values]


def high_side_anomaly_indices(values: Sequence[float], references: Sequence[float]) -> list[float]:
    """Return (value - median) / (1.4826 · MAD) for each value, with median and MAD of the references.

    The scale is kept from zero as in `low_side_anomaly_indices`; the result is finite for finite input.
    """
    if not references:
        raise ValueError("no references: an anomaly index needs at least one")
    median = statistics.median(references)
    scale = _scale(references, median, max(map(abs, [*values, *references])))
    return [(value - median) / scale for value in values]


def _scale(values: Sequence[float], median: float, largest: float) -> float:
    """Return the robust standard deviation, or 1 where it would be zero or rounding beside the largest value."""
    mad = statistics.median(abs(value - median) for value in values)
    scale = CONSISTENCY * max(mad, MAD_FLOOR * abs(median))
    return scale if scale > NEGLIGIBLE * largest else 1.0
