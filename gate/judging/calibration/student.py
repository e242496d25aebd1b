"""The lower tail of Student's t distribution as a logarithm, exact where the tail itself rounds to zero.

Written out because processes without torch load no SciPy either; tests compare it with SciPy's.
"""

import math

_ITERATIONS = 500
_TINY = 1e-300
_ENOUGH = 1e-14


def log_lower_tail(t: float, dof: float) -> float:
    """Return ln P(T ≤ t) for Student's t with `dof` degrees of freedom; NaN is refused."""
    if math.isnan(t) or not dof > 0:
        raise ValueError(f"a tail needs a number and positive degrees of freedom; got t {t} and {dof}")
    if math.isinf(t):
        return 0.0 if t > 0 else -math.inf
    log_half = _log_incomplete_beta(dof, t) - math.log(2)
    return log_half if t <= 0 else math.log1p(-math.exp(log_half))


def _log_incomplete_beta(dof: float, t: float) -> float:
    """Return ln I_x(dof / 2, 1 / 2) at x = dof / (dof + t²): the weight of both tails beyond |t|."""
    a, b = dof / 2, 0.5
    square = t * t
    log_x, log_rest = -math.log1p(square / dof), -math.log1p(dof / square) if square > 0 else -math.inf
    x, rest = math.exp(log_x), math.exp(log_rest)
    beta = math.lgamma(a) + math.lgamma(b) - math.lgamma(a + b)
    if x < (a + 1) / (a + b + 2):
        return a * log_x + b * log_rest - math.log(a) - beta + math.log(_fraction(a, b, x))
    if rest == 0:
        return 0.0
    other = math.exp(b * log_rest + a * log_x - math.log(b) - beta + math.log(_fraction(b, a, rest)))
    return math.log1p(-min(other, 1 - _ENOUGH))


def _fraction(a: float, b: float, x: float) -> float:
    """Return the continued fraction of the incomplete beta function by Lentz's method (Abramowitz, Stegun 26.5.8)."""
    c, d = 1.0, 1 / _away(1 - (a + b) * x / (a + 1))
    value = d
    for m in range(1, _ITERATIONS):
        even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
        odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
        for term in (even, odd):
            d = 1 / _away(1 + term * d)
            c = _away(1 + term / c)
            value *= c * d
        if abs(c * d - 1) < _ENOUGH:
            break
    return value


def _away(value: float) -> float:
    return value if abs(value) > _TINY else _TINY
