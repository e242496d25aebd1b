"""Trigger sizes of all classes: the series behind the plot and the table beside it.

A class that is easier to reach than all others shows as a size far below the median; the anomaly index says by how many
median absolute deviations.
"""

import statistics
from dataclasses import dataclass
from typing import Literal

from gate.evidence import Measured
from gate.report import Report

MAX_ROWS = 12
"""Rows of the table: the smallest triggers; the plot shows every class."""

Standing = Literal["flagged", "suspect", "ordinary"]


@dataclass(frozen=True)
class ClassSize:
    """One class's inverted trigger."""

    index: int
    size: float
    of_median: float | None
    """Size over the median of all classes; None where the median is zero."""
    anomaly_index: float | None
    attack_success_rate: float | None
    standing: Standing


@dataclass(frozen=True)
class ClassSizes:
    """Trigger sizes of every class by one detector."""

    detector: str
    title: str
    sizes: tuple[ClassSize, ...]
    """By class index."""
    median: float

    @property
    def smallest(self) -> tuple[ClassSize, ...]:
        """The rows of the table: flagged classes, then suspects, then the smallest of the others."""
        order = {"flagged": 0, "suspect": 1, "ordinary": 2}
        return tuple(sorted(self.sizes, key=lambda c: (order[c.standing], c.size, c.index))[:MAX_ROWS])


def class_sizes(report: Report) -> tuple[ClassSizes, ...]:
    """Return the series of every detector that measured `size` at classes, in the policy's order."""
    found = (_series(name, report) for name in report.policy.detectors)
    return tuple(series for series in found if series is not None)


def _series(name: str, report: Report) -> ClassSizes | None:
    outcome = report.evidence.outcomes.get(name) if report.evidence else None
    if not isinstance(outcome, Measured):
        return None
    values: dict[str, dict[int, float]] = {}
    for measurement in outcome.measurements:
        location = measurement.location
        if location is not None and location.kind == "class" and location.class_index is not None:
            values.setdefault(measurement.metric, {})[location.class_index] = measurement.value
    sizes = values.get("size", {})
    if not sizes:
        return None
    median = statistics.median(sizes.values())
    standings = _standings(report, name)
    title = next((coverage.title for coverage in report.coverage if coverage.detector == name), name)
    return ClassSizes(
        detector=name,
        title=title,
        median=median,
        sizes=tuple(
            ClassSize(
                index=index,
                size=size,
                of_median=size / median if median else None,
                anomaly_index=values.get("anomaly-index", {}).get(index),
                attack_success_rate=values.get("attack-success-rate", {}).get(index),
                standing=standings.get(index, "ordinary"),
            )
            for index, size in sorted(sizes.items())
        ),
    )


def _standings(report: Report, detector: str) -> dict[int, Standing]:
    """Return what stands against a class: this detector's own findings flag it, those of others make it a suspect."""
    standings: dict[int, Standing] = {}
    for suspect in report.evidence.suspects if report.evidence else ():
        if suspect.location.class_index is not None:
            standings[suspect.location.class_index] = "suspect"
    for index in report.verdict.target_classes if report.verdict else ():
        standings[index] = "suspect"
    for finding in report.verdict.findings if report.verdict else ():
        place = finding.location.class_index if finding.location is not None else None
        if finding.rule == detector and finding.kind == "limit" and not finding.waived and place is not None:
            standings[place] = "flagged"
    return standings
