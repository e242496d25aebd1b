"""A candidate beside its copies: ratios of trigger sizes by class, and p by the t rule for few references.

Pure. The copies stand where a bank's models would, compared class by class: they are of the candidate's task by
construction.
"""

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from benchmarks.self_references.measuring import CANDIDATE
from gate.judging.calibration.few import predicted
from gate.judging.calibration.tables import compared_in
from gate.policies.declared import compared_statistics

Row = Mapping[str, Any]
LEAST_COPIES = 3


@dataclass(frozen=True)
class Beside:
    """One candidate beside its copies."""

    model: str
    p_value: float
    driver: str
    """The statistic and the class that p comes from."""
    ratios: Mapping[str, Mapping[str, float]]
    """By detector and class: the candidate's size over the geometric mean of the copies'."""
    agreement: float
    """Least share of the clean samples on which a copy agrees with the candidate."""
    seconds: float
    """Of the processor, for all copies, their training among it."""
    passes: int


def compared(rows: Sequence[Row]) -> list[Beside]:
    """Return each candidate that has its own row and enough copies, in the order of the rows."""
    found = []
    for model in dict.fromkeys(row["model"] for row in rows):
        own = [row for row in rows if row["model"] == model and row["copy"] == CANDIDATE]
        copies = [row for row in rows if row["model"] == model and row["copy"] != CANDIDATE and "values" in row]
        if own and len(copies) >= LEAST_COPIES:
            found.append(_beside(model, own[0], copies))
    return found


def _beside(model: str, own: Row, copies: Sequence[Row]) -> Beside:
    values = [row["values"] for row in copies]
    result = predicted(compared_in(values, compared_statistics()), [*values, own["values"]], per_class=True)
    driver = (
        f"{result.parts[0].statistic} at {result.parts[0].place or 'the whole model'}" if result.parts else "nothing"
    )
    return Beside(
        model=model,
        p_value=result.p_value,
        driver=driver,
        ratios={name: _ratios(name, own, copies) for name, metrics in own["values"].items() if "size" in metrics},
        agreement=min(row["agreement"] for row in copies),
        seconds=sum(sum(row["seconds"].values()) for row in copies),
        passes=sum(sum(row["passes"].values()) for row in copies),
    )


def _ratios(detector: str, own: Row, copies: Sequence[Row]) -> dict[str, float]:
    sizes = own["values"][detector]["size"]
    beside = [row["values"].get(detector, {}).get("size", {}) for row in copies]
    return {
        place: math.exp(math.log(size) - statistics.fmean(math.log(other[place]) for other in beside))
        for place, size in sizes.items()
        if size > 0 and all(other.get(place, 0) > 0 for other in beside)
    }
