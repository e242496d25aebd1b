"""Trigger sizes of all classes: the series behind the plot and its table.

A class that is easier to reach than all others has a size far below the median; the anomaly index is the distance in
median absolute deviations.
"""

import statistics
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from gate.records.evidence import Measured
from gate.records.report import Report
from gate.renderers.typical import beside

MAX_ROWS = 12
"""Rows of the table, which has the smallest triggers; the plot shows every class."""
_ZOO = (("size over the median", "size-ratio", True), ("anomaly index", "anomaly-index", False))
"""(title, metric, whether it is a share) of each column with ranges of the zoo."""
Standing = Literal["flagged", "suspect", "ordinary"]


@dataclass(frozen=True)
class ClassSize:
    """One class's inverted trigger."""

    index: int
    size: float
    of_median: float | None
    """Size over the median; None for a zero median or an early exit."""
    anomaly_index: float | None
    attack_success_rate: float | None
    standing: Standing
    ended: bool = True
    """Whether the class was searched to the end; else its size is an upper bound."""


@dataclass(frozen=True)
class ClassSizes:
    """Trigger sizes of every class by one detector."""

    detector: str
    title: str
    sizes: tuple[ClassSize, ...]
    """Sizes in the order of the class index."""
    median: float
    """Median of the compared classes: all, or without those that left early."""
    zoo: tuple[tuple[str, str], ...] = ()
    """(title, ranges of the zoo's models) of each column; ranges are empty where unknown."""

    @property
    def smallest(self) -> tuple[ClassSize, ...]:
        """The rows of the table: flagged classes, then suspects, then the smallest of the others."""
        order = {"flagged": 0, "suspect": 1, "ordinary": 2}
        return tuple(sorted(self.sizes, key=lambda c: (order[c.standing], not c.ended, c.size, c.index))[:MAX_ROWS])

    @property
    def zoo_ranges(self) -> str:
        """Ranges of the most conspicuous class of the zoo's models, as a sentence; empty where unknown."""
        known = "; ".join(f"{title}: {ranges}" for title, ranges in self.zoo if ranges)
        return f"In the zoo, of each model the most conspicuous class. {known.capitalize()}." if known else ""

    @property
    def early(self) -> int:
        """How many classes left the search early."""
        return sum(not entry.ended for entry in self.sizes)


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
    ratios = values.get("size-ratio", {})
    early = set(sizes) - set(ratios) if ratios else set()
    median = _compared_with(sizes, ratios) if early else statistics.median(sizes.values())
    standings = _standings(report, name)
    title = next((coverage.title for coverage in report.coverage if coverage.detector == name), name)
    return ClassSizes(
        detector=name,
        title=title,
        median=median,
        zoo=tuple((title, beside(report, name, metric, shares=shares)) for title, metric, shares in _ZOO),
        sizes=tuple(
            ClassSize(
                index=index,
                size=size,
                of_median=size / median if median and index not in early else None,
                anomaly_index=values.get("anomaly-index", {}).get(index),
                attack_success_rate=values.get("attack-success-rate", {}).get(index),
                standing=standings.get(index, "ordinary"),
                ended=index not in early,
            )
            for index, size in sorted(sizes.items())
        ),
    )


def _compared_with(sizes: Mapping[int, float], ratios: Mapping[int, float]) -> float:
    """Return the median of the detector's own ratios, which is of few classes where many left early."""
    return next((sizes[index] / ratio for index, ratio in ratios.items() if ratio > 0 and index in sizes), 0.0)


def _standings(report: Report, detector: str) -> dict[int, Standing]:
    """Return each class's standing: this detector's findings flag it, those of others make it a suspect."""
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
