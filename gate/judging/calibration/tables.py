"""The statistics that are compared between a candidate and a bank's models: which metrics, where, on what scale.

Only a detector's own measurements take part: no tag, logged metric or claim of the candidate. How a metric is compared
is its detector's declaration (`Metric.compared`), which the caller passes in; a bank carries those that it was made by.
"""

import math
import statistics
from collections.abc import Iterable, Mapping, Sequence

from gate.judging.calibration.surprise import Column, centred, cut
from gate.records.bank import ModelStatistics, Statistic
from gate.records.counts import Counts
from gate.records.evidence import Measured, Outcome
from gate.records.secret_counts import SecretCounts

TRAITS = ("accuracy", "clean-margin", "head-norm")
WHOLE = ""
"""The place of a statistic of the whole model."""
CELLS_SPREAD = 0.5
"""Floor of the spread of statistics of counts, in deviations: of few classes most models have no telling cell."""
_LEAST = 1e-9
Values = Mapping[str, Mapping[str, Mapping[str, float]]]


def values_of(outcomes: Mapping[str, Outcome], declared: Iterable[Statistic]) -> dict[str, dict[str, dict[str, float]]]:
    """Return the numbers that are compared, by detector, metric and place; pairs as the worst one of each model."""
    found: dict[str, dict[str, dict[str, float]]] = {}
    for statistic in declared:
        outcome = outcomes.get(statistic.detector)
        if isinstance(outcome, Measured) and (places := _measured_at(statistic, outcome)):
            found.setdefault(statistic.detector, {})[statistic.metric] = places
    return found


def _measured_at(statistic: Statistic, outcome: Measured) -> dict[str, float]:
    """Return a statistic's values by place, where it is compared; of pairs the worst alone."""
    places = {
        str(m.location) if m.location else WHOLE: m.value
        for m in outcome.measurements
        if m.metric == statistic.metric and (m.location.kind if m.location else "model") == statistic.at
    }
    if statistic.at == "pair" and places:
        worst = (min if statistic.worse == "lower" else max)(places, key=lambda name: places[name])
        return {worst: places[worst]}
    return places


def counts_of(outcomes: Mapping[str, Outcome]) -> dict[str, Counts]:
    """Return the counts of answers to probes by detector."""
    found = {name: outcome.counts for name, outcome in outcomes.items() if isinstance(outcome, Measured)}
    return {name: counts for name, counts in found.items() if counts is not None}


def secret_of(outcomes: Mapping[str, Outcome]) -> dict[str, SecretCounts]:
    """Return the sealed counts of answers to secret probes by detector."""
    found = {name: outcome.secret_counts for name, outcome in outcomes.items() if isinstance(outcome, Measured)}
    return {name: sealed for name, sealed in found.items() if sealed is not None}


def compared_in(models: Iterable[ModelStatistics], declared: Iterable[Statistic]) -> tuple[Statistic, ...]:
    """Return the statistics that at least half of the models have, by detector and metric."""
    every = list(models)

    def models_with(one: Statistic) -> int:
        if one.scale == "cells":
            return sum(one.detector in model.counts for model in every)
        return sum(one.metric in model.values.get(one.detector, {}) for model in every)

    common = [one for one in declared if (count := models_with(one)) and 2 * count >= len(every)]
    return tuple(sorted(common, key=lambda one: (one.detector, one.metric)))


def is_compared(statistic: Statistic, *, per_class: bool) -> bool:
    """Tell whether a statistic has a column: by classes of another task only ratios within the model have one."""
    if per_class:
        return True
    return statistic.scale == "log" or (statistic.scale != "cells" and statistic.at not in {"class", "layer"})


def columns(compared: Sequence[Statistic], models: Sequence[Values], *, per_class: bool) -> list[Column]:
    """Return the columns of each statistic: by class and relative to the model, or as a ratio within each model."""
    found = []
    for statistic in compared:
        if not is_compared(statistic, per_class=per_class):
            continue
        rows = tuple(_row(statistic, model) for model in models)
        name = f"{statistic.detector} {statistic.metric}"
        if statistic.at not in {"class", "layer"}:
            found.append(Column(name, tuple({WHOLE: next(iter(row.values()))} if row else {} for row in rows)))
        elif per_class:
            whole = Column(name, rows, CELLS_SPREAD) if statistic.scale == "cells" else Column(name, rows)
            found += [whole, *([relative] if (relative := centred(whole)) else [])]
        else:
            found.append(Column(f"{name}, ratio", tuple(_ratio(row) for row in rows)))
    return found


def _row(statistic: Statistic, model: Values) -> dict[str, float]:
    """Return one model's values on the statistic's scale, lower being worse."""
    places = model.get(statistic.detector, {}).get(statistic.metric, {})
    sign = 1 if statistic.worse == "lower" else -1
    logged = statistic.scale == "log"
    return {place: sign * (math.log(max(value, _LEAST)) if logged else cut(value)) for place, value in places.items()}


def _ratio(row: Mapping[str, float]) -> dict[str, float]:
    """Return the log-ratio of the worst class to the median, independent of the scale of task and network."""
    return {WHOLE: min(row.values()) - statistics.median(row.values())} if len(row) > 2 else {}


def worst_place(statistic: Statistic, model: Values) -> str:
    """Return the place of a model's worst value."""
    row = _row(statistic, model)
    return min(row, key=lambda place: row[place]) if row else WHOLE


def traits_of(outcomes: Mapping[str, Outcome], accuracy: float | None) -> dict[str, float]:
    """Return accuracy and two logarithms: of the scores' lead on clean samples and of the last layer's reach."""
    found = {} if accuracy is None else {"accuracy": accuracy}
    margin, head = outcomes.get("maximum-margin"), outcomes.get("head-indicators")
    if isinstance(margin, Measured):
        clean = [m.value for m in margin.measurements if m.metric == "clean-margin" and m.value > 0]
        found |= {"clean-margin": math.log(clean[0])} if clean else {}
    if isinstance(head, Measured):
        leads = [m.value for m in head.measurements if m.metric == "mean-lead" and m.value > 0]
        found |= {"head-norm": math.log(statistics.median(leads))} if leads else {}
    return found


def model_statistics(
    name: str,
    outcomes: Mapping[str, Outcome],
    accuracy: float | None,
    declared: Iterable[Statistic],
    *,
    uri: str = "",
    digest: str | None = None,
) -> ModelStatistics:
    """Return a bank's entry of one measured model."""
    return ModelStatistics(
        model=name,
        uri=uri,
        manifest_digest=digest,
        traits=traits_of(outcomes, accuracy),
        values=values_of(outcomes, declared),
        counts=counts_of(outcomes),
        secret_counts=secret_of(outcomes),
    )
