"""The distance of each value of a statistic beyond those of the other models, on a scale that all statistics share.

A `Column` holds one statistic of all models, the candidate among them, by class or pair; lower is worse. Each value
gets the t statistic of a new observation against the others (location of the place, spread shrunk towards the spread
of all places). The surprise is its tail in nats, corrected for the number of places: zero is ordinary, and under the
model's assumptions a model's largest surprise is exponential with mean one.
"""

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from gate.judging.calibration.student import log_lower_tail
from gate.records.comparison import FEWEST_PLACES_TO_CENTRE

SHRINKAGE = 8.0
"""Weight, in models, of all places' spread in the spread of one (Smyth 2004, moderated t)."""
LEAST_SPREAD = 1e-3
"""Floor of a spread, in units of the statistic, which is a logarithm or like one."""
CLIP = 2.5
"""Robust deviations at which values are clipped for location and spread, from CLIP_FROM models on."""
CLIP_FROM = 8
PRIOR = 10.0
"""Weight, in models, of theory's mean in a statistic's common scale."""
RELATIVE = ", relative"
"""Ending of the name of a column without each model's own level."""
FEWEST_OTHERS = 2
LARGEST = 1e100
"""Size at which numbers are cut: the squares of such are summed, and a greater one is no less surprising."""
_LINEAR_BELOW = -20.0


def cut(value: float) -> float:
    """Return a number whose square can be summed."""
    return max(-LARGEST, min(LARGEST, value))


@dataclass(frozen=True)
class Column:
    """One statistic of every model; lower is worse."""

    name: str
    models: tuple[Mapping[str, float], ...]
    """Values by place, such as `class 3`, where it was measured."""
    least_spread: float = LEAST_SPREAD
    """Floor of a spread between models, in the statistic's units."""

    def __post_init__(self) -> None:
        for model in self.models:
            for place, value in model.items():
                if not math.isfinite(value):
                    raise ValueError(f"{self.name} at {place!r} is {value}; expected a finite number")


@dataclass(frozen=True)
class _Place:
    """One place over all models: clipped residuals about its median, and their sums."""

    median: float
    clipped: Mapping[int, float]
    """Residuals by model."""
    total: float
    squares: float

    def without(self, model: int) -> tuple[int, float, float]:
        """Return how many others there are, the mean of their residuals and the sum of squares about it."""
        own = self.clipped.get(model)
        count = len(self.clipped) - (own is not None)
        if count == 0:
            return 0, 0.0, 0.0
        total = self.total - (own or 0.0)
        squares = self.squares - (own or 0.0) ** 2
        return count, total / count, max(0.0, squares - total * total / count)


def surprises(column: Column) -> list[dict[str, float]]:
    """Return each model's surprise at each place, compared with all the others and never with itself."""
    places = _places(column, clips=len(column.models) >= CLIP_FROM)
    return [_of_model(column.models[index], index, places, column.least_spread) for index in range(len(column.models))]


def surprise_of_last(column: Column, least_spread: float) -> dict[str, float]:
    """Return the last model's surprise at each place beside all the others, whose values are not clipped.

    Clipping makes the others' spread too small, and the t tails with it: harmless for a rank, not for a level.
    """
    last = len(column.models) - 1
    return _of_model(column.models[last], last, _places(column, clips=False), least_spread)


def _places(column: Column, *, clips: bool) -> dict[str, _Place]:
    names = dict.fromkeys(place for model in column.models for place in model)
    values = {name: {i: m[name] for i, m in enumerate(column.models) if name in m} for name in names}
    medians = {name: statistics.median(found.values()) for name, found in values.items()}
    residuals = {name: {i: x - medians[name] for i, x in found.items()} for name, found in values.items()}
    bound = _clipping(residuals) if clips else math.inf
    places = {}
    for name, found in residuals.items():
        clipped = {i: max(-bound, min(bound, r)) for i, r in found.items()}
        # fsum: the result must not depend on the order of the models.
        places[name] = _Place(
            medians[name], clipped, math.fsum(clipped.values()), math.fsum(r * r for r in clipped.values())
        )
    return places


def _clipping(residuals: Mapping[str, Mapping[int, float]]) -> float:
    sizes = [abs(r) for found in residuals.values() for r in found.values()]
    spread = 1.4826 * statistics.median(sizes) or math.fsum(sizes) / len(sizes) if sizes else 0.0
    return CLIP * spread


def _of_model(
    model: Mapping[str, float], index: int, places: Mapping[str, _Place], least_spread: float
) -> dict[str, float]:
    others = {name: place.without(index) for name, place in places.items()}
    freedom = sum(count - 1 for count, _, _ in others.values() if count > 1)
    if freedom < 1:
        return {}
    pooled = math.fsum(squares for _, _, squares in others.values()) / freedom
    compared = [name for name in model if others[name][0] >= FEWEST_OTHERS]
    found = {}
    for name in compared:
        count, mean, squares = others[name]
        dof = min(float(freedom), SHRINKAGE + count - 1)
        variance = (SHRINKAGE * pooled + squares) / (SHRINKAGE + count - 1)
        spread = max(math.sqrt(variance), least_spread) * math.sqrt(1 + 1 / count)
        t = (model[name] - places[name].median - mean) / spread
        found[name] = _nats(log_lower_tail(t, dof), len(compared))
    return found


def _nats(log_tail: float, places: int) -> float:
    """Return -ln of the chance that the least of so many independent tails is as small as this one (Šidák)."""
    if log_tail < _LINEAR_BELOW:
        return -(log_tail + math.log(places))
    tail = math.exp(log_tail)
    return -math.log(-math.expm1(places * math.log1p(-tail))) if tail < 1 else 0.0


def largest(found: Mapping[str, float]) -> float:
    """Return a model's largest surprise, 0 where nothing could be compared."""
    return max(found.values(), default=0.0)


def on_common_scale(found: Sequence[Mapping[str, float]]) -> list[dict[str, float]]:
    """Return surprises over the mean of the other models' largest, so that no heavy-tailed statistic dominates.

    Theory's mean of one counts as PRIOR models beside the others.
    """
    tops = [largest(model) for model in found]
    total = math.fsum(tops)
    scales = [(PRIOR + total - top) / (PRIOR + len(tops) - 1) for top in tops]
    return [{place: u / scale for place, u in model.items()} for model, scale in zip(found, scales, strict=True)]


def centred(column: Column) -> Column | None:
    """Return the column without each model's own level, or None with too few places to know it.

    What remains compares a class with the same model's other classes, beyond what the task explains.
    """
    names = dict.fromkeys(place for model in column.models for place in model)
    if len(names) < FEWEST_PLACES_TO_CENTRE:
        return None
    usual = {name: statistics.median(m[name] for m in column.models if name in m) for name in names}
    models = []
    for model in column.models:
        level = statistics.median(x - usual[name] for name, x in model.items()) if model else 0.0
        models.append({name: x - level for name, x in model.items()})
    return Column(column.name + RELATIVE, tuple(models), column.least_spread)
