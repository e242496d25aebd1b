"""A p-value from few models, which no rank can give: by t distributions, over statistics chosen beforehand.

Pure. Three models of a task give no rank below 1/4. What clean models are like is known besides: relative to the same
model's other classes, trigger sizes differ by a third between clean models of one task, whatever three of them happen
to say. So the spread has that floor, and only sizes and ratios of sizes take part, whose tails are near normal on a log
scale. Its rate of false alarms is measured on tasks that the floor was not chosen on (docs/explanation/calibration.md).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import exp, log

from gate.judging.calibration.conformal import Part
from gate.judging.calibration.surprise import RELATIVE, Column, surprise_of_last
from gate.judging.calibration.tables import Values, columns
from gate.records.bank import Statistic

METRICS = frozenset({"size", "untargeted-ratio", "exit-ratio"})
"""Sizes by class, relative to the model's other classes, and what each model's ways out are to its own sizes."""
LEAST_SPREAD = 0.3
"""Of a logarithm: clean models of one task are never known to agree better than this."""


@dataclass(frozen=True)
class Predicted:
    """The last model's p-value beside the others, and what it is made of."""

    p_value: float = 1.0
    parts: tuple[Part, ...] = ()
    """The greatest first; a surprise of -ln(level) and more is significant by itself, over all columns."""


def predicted(compared: Sequence[Statistic], models: Sequence[Values], *, per_class: bool) -> Predicted:
    """Return the last model's p-value beside the others, Bonferroni over the statistics; 1 where there are none."""
    chosen = [statistic for statistic in compared if statistic.metric in METRICS]
    found = [(c.name, u) for c in _views(columns(chosen, models, per_class=per_class)) if (u := _beside(c))]
    if not found:
        return Predicted()
    parts = [Part(name, place, u - log(len(found))) for name, row in found for place, u in row.items()]
    parts.sort(key=lambda part: (-part.surprise, part.statistic, part.place))
    return Predicted(min(1.0, exp(-parts[0].surprise)), tuple(parts))


def _views(every: Sequence[Column]) -> list[Column]:
    """Return the columns without those of which there is a view relative to the model's other classes."""
    centred = {column.name.removesuffix(RELATIVE) for column in every if column.name.endswith(RELATIVE)}
    return [column for column in every if column.name not in centred]


def _beside(column: Column) -> dict[str, float]:
    return surprise_of_last(column, LEAST_SPREAD)
