"""Suspects and the numbers that confirm them, one row each; a dash is a number that was not measured."""

from dataclasses import dataclass
from typing import Literal

from gate.records.evidence import Measured, Measurement
from gate.records.report import Report
from gate.renderers.names import Names
from gate.renderers.text import number, percent
from gate.renderers.typical import beside

DETECTOR = "confirmation"


@dataclass(frozen=True)
class Column:
    """One of the numbers."""

    metric: str
    title: str
    unit: Literal["share", "plain"]


COLUMNS = (
    Column("held-out-success", "Held-out success", "share"),
    Column("size-quantile", "Size quantile", "share"),
    Column("transfer", "Transfer", "share"),
    Column("symmetry", "Symmetry", "plain"),
    Column("stability", "Stability", "plain"),
)


@dataclass(frozen=True)
class Cell:
    """One number of one suspect."""

    column: Column
    text: str
    note: str


@dataclass(frozen=True)
class ConfirmedSuspect:
    """One suspect's row."""

    place: str
    flagged: bool
    cells: tuple[Cell, ...]
    remark: str
    """Numbers that were not measured, and why; empty where all were."""


def confirmed_suspects(report: Report) -> tuple[ConfirmedSuspect, ...]:
    """Return one row per suspect that was looked at, in the order of the evidence: smallest trigger first."""
    outcome = report.evidence.outcomes.get(DETECTOR) if report.evidence else None
    if not isinstance(outcome, Measured):
        return ()
    rows: dict[str, dict[str, Measurement]] = {}
    for measurement in outcome.measurements:
        if measurement.location is not None:
            rows.setdefault(str(measurement.location), {})[measurement.metric] = measurement
    return tuple(_row(place, found, report) for place, found in rows.items())


def _row(place: str, found: dict[str, Measurement], report: Report) -> ConfirmedSuspect:
    location = next(iter(found.values())).location
    place = Names.of(report).within(place)
    targets = report.verdict.target_classes if report.verdict else ()
    complete = found.get("completeness")
    return ConfirmedSuspect(
        place=place,
        flagged=location is not None and location.class_index in targets,
        cells=tuple(_cell(column, found.get(column.metric)) for column in COLUMNS),
        remark=complete.note if complete else "",
    )


def _cell(column: Column, measurement: Measurement | None) -> Cell:
    if measurement is None:
        return Cell(column, "–", "")
    text = percent(measurement.value) if column.unit == "share" else number(measurement.value)
    return Cell(column, text, measurement.note)


def zoo_row(report: Report) -> tuple[str, ...]:
    """Return the zoo's ranges for each column; empty where there are none at all."""
    row = tuple(beside(report, DETECTOR, column.metric, shares=column.unit == "share") for column in COLUMNS)
    return row if any(row) else ()


def in_a_line(suspect: ConfirmedSuspect) -> str:
    """Return a suspect's numbers as one line for a terminal."""
    return ", ".join(f"{cell.column.title.lower()} {cell.text}" for cell in suspect.cells)
