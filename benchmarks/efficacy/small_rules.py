"""The t rule of `gate.judging.calibration.few` for many candidates beside one small bank, in arrays, and its variants.

Pure; the arithmetic of `gate.judging.calibration.surprise`, whose loops would take hours over thousands of drawn
banks; a test holds the two together. A variant says which columns take part, how small a spread may be, and whether
values are clipped as they are for ranks.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtr

from gate.judging.calibration import few, surprise
from gate.judging.calibration.tables import Values, columns, compared_in
from gate.records.bank import ModelStatistics, Statistic
from gate.records.comparison import FEWEST_PLACES_TO_CENTRE

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Table:
    """One statistic of all models of a task (M, P), lower being worse; NaN where it was not measured."""

    statistic: Statistic
    values: Array

    @property
    def name(self) -> str:
        """Detector and metric."""
        return f"{self.statistic.detector} {self.statistic.metric}"


def _as_record(values: Values) -> ModelStatistics:
    return ModelStatistics.model_validate({"model": "", "values": values})


def tables_of(models: Sequence[Values], declared: Sequence[Statistic]) -> list[Table]:
    """Return every statistic that at least half of the models have, on the scale on which banks compare it."""
    found = []
    for statistic in compared_in([_as_record(model) for model in models], declared):
        whole = columns([statistic], models, per_class=True)[0]
        places = list(dict.fromkeys(place for model in whole.models for place in model))
        rows = [[model.get(place, math.nan) for place in places] for model in whole.models]
        found.append(Table(statistic, np.array(rows, dtype=np.float64)))
    return found


@dataclass(frozen=True)
class Rule:
    """A variant of the t rule."""

    takes: Callable[[Statistic, bool], bool]
    """Whether a statistic takes part, by itself and relative to the model's other classes."""
    least_spread: float = surprise.LEAST_SPREAD
    clip_from: float = math.inf
    """Models, the candidate among them, from which values are clipped."""


def _every(statistic: Statistic, relative: bool) -> bool:  # a column has two views
    return statistic.at == "class" or not relative


def _sizes(statistic: Statistic, relative: bool) -> bool:
    return statistic.metric in few.METRICS and relative == (statistic.at == "class")


def sizes(least_spread: float) -> Rule:
    """Return the rule of `gate.judging.calibration.few` with another floor under the spread."""
    return Rule(_sizes, least_spread)


CLIPPED = Rule(_every, clip_from=surprise.CLIP_FROM)
"""Every statistic, and values clipped as for ranks: what reports showed before."""
UNCLIPPED = Rule(_every)


def predictive(tables: Sequence[Table], bank: Sequence[int], rule: Rule) -> Array:
    """Return each model's p-value (M,) beside a bank of rows, whose own mean nothing; Bonferroni over columns."""
    tops = list(_tops(tables, list(bank), rule))
    if not tops:
        raise ValueError("none of the rule's statistics was measured on half of the bank")
    found = np.stack(tops)
    count = np.isfinite(found).sum(axis=0)
    greatest = np.where(np.isfinite(found), found, 0.0).max(axis=0)
    return np.where(count > 0, np.minimum(1.0, count * np.exp(-greatest)), 1.0)


def _tops(tables: Sequence[Table], bank: list[int], rule: Rule) -> list[Array]:
    """Return each model's largest surprise (M,) in every column of a rule."""
    found = []
    for table in tables:
        rows, one_more = table.values[bank], table.values[:, None, :]
        by_itself, relative = rule.takes(table.statistic, False), rule.takes(table.statistic, True)  # noqa: FBT003
        if 2 * np.isfinite(rows).any(axis=1).sum() < len(bank) or not (by_itself or relative):
            continue
        joint = np.concatenate([np.broadcast_to(rows, (len(one_more), *rows.shape)), one_more], axis=1)
        if by_itself:
            found.append(_largest(joint, rule))
        if relative and table.statistic.at == "class" and table.values.shape[1] >= FEWEST_PLACES_TO_CENTRE:
            level = _median(joint - _median(joint, axis=1)[:, None, :], axis=2)
            found.append(_largest(joint - level[:, :, None], rule))
    return found


def _largest(joint: Array, rule: Rule) -> Array:
    """Return the largest surprise of the last of the models (M, n + 1, P) beside the others; NaN without any."""
    residuals = joint - _median(joint, axis=1)[:, None, :]
    own = residuals[:, -1]
    if joint.shape[1] >= rule.clip_from:
        bound = surprise.CLIP * _spread(np.abs(residuals))[:, None, None]
        residuals = np.clip(residuals, -bound, bound)
    others = residuals[:, :-1]
    count = np.isfinite(others).sum(axis=1)
    total, squares = np.nansum(others, axis=1), np.nansum(others**2, axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        mean = np.where(count > 0, total / count, 0.0)
        about = np.maximum(0.0, squares - mean * total)
        freedom = np.maximum(count - 1, 0).sum(axis=1)
        weight = surprise.SHRINKAGE + count - 1
        pooled = surprise.SHRINKAGE * (about.sum(axis=1) / freedom)[:, None]
        spread = np.maximum(np.sqrt((pooled + about) / weight), rule.least_spread)
        tails = stdtr(np.minimum(freedom[:, None], weight), (own - mean) / (spread * np.sqrt(1 + 1 / count)))
    compared = np.isfinite(own) & (count >= surprise.FEWEST_OTHERS)
    least = np.where(compared, tails, 1.0).min(axis=1)
    return np.where(compared.any(axis=1) & (freedom > 0), _nats(least, compared.sum(axis=1)), np.nan)


def _nats(tails: Array, places: NDArray[np.int_]) -> Array:
    """Return -ln of the chance that the least of so many independent tails is as small."""
    small = np.maximum(tails, 1e-300)
    with np.errstate(divide="ignore", invalid="ignore"):
        exact = -np.log(-np.expm1(places * np.log1p(-small)))
        linear = -(np.log(small) + np.log(places))
    return np.where(small < math.exp(-20), linear, np.where(small < 1, exact, 0.0))


def _spread(sizes: Array) -> Array:
    """Return the robust spread of each model's comparison (M,), as `gate.judging.calibration.surprise` clips by it."""
    flat = sizes.reshape(len(sizes), -1)
    robust = 1.4826 * _median(flat, axis=1)
    return np.where(robust > 0, robust, np.nanmean(flat, axis=1))


def _median(values: Array, axis: int) -> Array:
    """Return the median without what was not measured; NaN where nothing was."""
    ordered = np.sort(values, axis=axis)  # NaN comes last
    count = np.isfinite(values).sum(axis=axis)
    middle = np.stack([np.maximum((count - 1) // 2, 0), count // 2], axis=axis)
    middle = np.minimum(middle, values.shape[axis] - 1)
    result: Array = np.take_along_axis(ordered, middle, axis).mean(axis=axis)
    return result
