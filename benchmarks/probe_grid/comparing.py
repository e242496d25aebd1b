"""Compares one model with a bank of its task by the gate's own rule, with the statistics made of counts alone."""

from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.efficacy.truth import truth_of
from benchmarks.probe_grid.counting import DETECTOR, Counted
from benchmarks.zoo.recipe import CLEAN
from benchmarks.zoo.tasks import TASKS
from gate.judging.calibration.cells import Probes, with_cells
from gate.judging.calibration.conformal import Scored, score_all
from gate.judging.calibration.tables import columns
from gate.policies.declared import compared_statistics
from gate.records.comparison import CellSurprise
from gate.records.evidence import Location
from gate.spaces.image.probes import groups, names, names_digest


def _telling(own: Scored, cells: Sequence[CellSurprise]) -> CellSurprise | None:
    """Return the probe of the statistic that drives the score, at its class."""
    for part in own.places[0].parts if own.places else ():
        metric = part.statistic.split()[1].rstrip(",")
        for cell in cells:
            if cell.metric == metric and f"class {cell.target}" == part.place:
                return cell
    return None


@dataclass(frozen=True)
class Compared:
    """One model beside its task's bank."""

    name: str
    task: str
    attack: str
    score: float
    p_value: float
    place: str
    """The class whose score is the model's."""
    right: bool | None
    """Whether that is a planted target; None of a clean model."""
    telling: CellSurprise | None
    """The most telling probe."""


def compared(model: Counted, bank: Sequence[Counted]) -> Compared:
    """Return a model's score and p-value beside a bank of its task."""
    shape = TASKS[model.entry.recipe.row.task].shape
    statistics = [one for one in compared_statistics() if one.detector == DETECTOR and one.scale == "cells"]
    probes = Probes(names(shape), groups(shape), names_digest(shape))
    counts = [{DETECTOR: one.counts} for one in (*bank, model)]
    celled = with_cells([{} for _ in counts], counts, statistics, probes)
    *others, own = score_all(columns(statistics, celled.values, per_class=True))
    above = sum(other.score >= own.score for other in others)
    place = own.places[0].place if own.places else ""
    row, truth = model.entry.recipe.row, truth_of(model.entry)
    named = truth.names(Location(kind="class", name=place.removeprefix("class "))) if place else False
    return Compared(
        name=row.name,
        task=row.task,
        attack=row.attack,
        score=own.score,
        p_value=(1 + above) / (len(others) + 1),
        place=place,
        right=None if row.attack == CLEAN else bool(named),
        telling=_telling(own, celled.cells),
    )
