"""Made-up models of one task, as few as a team may have, and what is compared of them."""

import math

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
