"""Shares of models with exact bounds, and the fidelity of a repair.

Pure. A rate from few models is reported with the bound that its number of models allows: none wrong of thirty is a
rate of at most 9.5 %, not of nought.
"""

from scipy.stats import beta

LEVEL = 0.95


def upper_bound(hits: int, count: int, level: float = LEVEL) -> float:
    """Return the exact one-sided upper bound of Clopper and Pearson (1934) for a rate of `hits` in `count`."""
    _check(hits, count)
    return 1.0 if hits == count else float(beta.ppf(level, hits + 1, count - hits))


def lower_bound(hits: int, count: int, level: float = LEVEL) -> float:
    """Return the exact one-sided lower bound of the same."""
    _check(hits, count)
    return 0.0 if hits == 0 else float(beta.ppf(1 - level, hits, count - hits + 1))


def _check(hits: int, count: int) -> None:
    if not 0 <= hits <= count:
        raise ValueError(f"a rate needs 0 <= hits <= count; got {hits} of {count}")


def fidelity(success_before: float, success_after: float, accuracy_before: float, accuracy_after: float) -> float:
    """Return NIST's fidelity of a repair: the share of attack success that is gone, times that of accuracy kept."""
    if success_before <= 0 or accuracy_before <= 0:
        raise ValueError("fidelity needs a model whose attack succeeds and whose accuracy is above nought")
    return (success_before - success_after) / success_before * (accuracy_after / accuracy_before)
