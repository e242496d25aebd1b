"""A p-value from few models, by t distributions over statistics that were chosen beforehand.

Three models give no rank below 1/4. More is known of clean models: relative to the same model's other classes, trigger
sizes differ by a third between clean models of one task. So the spread has that floor, and only sizes and ratios of
sizes take part, whose tails are near normal on a log scale. The rate of false alarms is measured on tasks other than
those that the floor was chosen on (docs/explanation/calibration.md).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import exp, log

from gate.judging.calibration.conformal import Part
from gate.judging.calibration.surprise import RELATIVE, Column, surprise_of_last
from gate.judging.calibration.tables import Values, columns
from gate.records.bank import Statistic

METRICS = frozenset({"size", "untargeted-ratio", "exit-ratio"})
"""Sizes by class, and each model's exit and untargeted sizes relative to its own."""
LEAST_SPREAD = 0.3
"""Least spread of a log size between clean models of one task."""


@dataclass(frozen=True)
class Predicted:
    """The last model's p-value beside the others, and the surprises behind it."""

    p_value: float | None = None
    """None where no statistic could be compared: that nothing was measured is no p-value."""
    parts: tuple[Part, ...] = ()
    """Greatest first; a surprise of -ln(level) or more is significant by itself, over all columns."""


def predicted(compared: Sequence[Statistic], models: Sequence[Values], *, per_class: bool) -> Predicted:
    """Return the last model's p-value beside the others, Bonferroni over the statistics; none without any."""
    chosen = [statistic for statistic in compared if statistic.metric in METRICS]
    views = _views(columns(chosen, models, per_class=per_class))
    found = [(view.name, u) for view in views if (u := surprise_of_last(view, LEAST_SPREAD))]
    if not found:
        return Predicted()
    parts = [Part(name, place, u - log(len(found))) for name, row in found for place, u in row.items()]
    parts.sort(key=lambda part: (-part.surprise, part.statistic, part.place))
    return Predicted(min(1.0, exp(-parts[0].surprise)), tuple(parts))


def _views(every: Sequence[Column]) -> list[Column]:
    """Return the columns, without each that has a view relative to the model's other classes."""
    centred = {column.name.removesuffix(RELATIVE) for column in every if column.name.endswith(RELATIVE)}
    return [column for column in every if column.name not in centred]
