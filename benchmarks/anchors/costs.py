"""What scans cost, from the rows that `scan_cost`, `against_published` and `real_cost` keep.

Beside `small_zoo`. Passes depend on no machine; seconds stand with the machine that they were taken on.
"""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from benchmarks import against_published
from benchmarks.anchors.figure import Figure, missing
from benchmarks.efficacy.tables import number
from benchmarks.real_cost import rows as real
from benchmarks.real_cost.table import instructions, unfinished
from benchmarks.scan_cost import table as scans

SCANS = "python -m benchmarks.scan_cost"
SEARCHES = "make bench"
WHOLE = "python -m benchmarks.real_cost"


def of_scans(path: Path, classes: int) -> Figure:
    """Return passes and pass-equivalents of whole scans of models of so many classes."""
    rows = [row for row in scans.read(path).values() if row.costs.classes == classes]
    if not rows:
        return missing(f"no scan of {classes} classes is counted", SCANS)
    said = "<br>".join(
        f"{row.case}: {row.total.passes:,} passes, {row.costs.unit.equivalents(row.total.operations):,.0f} "
        "pass-equivalents, all detectors together"
        for row in rows
    )
    told = "; ".join(f"{row.case} ({row.what}; policy {row.policy[:19]}…, commit {row.commit})" for row in rows)
    return Figure(said, told, SCANS, (path,))


def of_searches(path: Path, classes: int) -> Figure:
    """Return what the search for patches cost, and the published method in the same run on the same models."""
    rows = [row for row in _lines(path) if row["classes"] == classes and "published_passes" in row]
    if not rows:
        return missing(f"no search of {classes} classes is counted", SEARCHES)
    said = "<br>".join(f"the gate's search {_gates(row)}; the published method {_published(row)}" for row in rows)
    told = "; ".join(f"{row['model']}, {classes} classes, one thread, seed {row['seed']}" for row in rows)
    return Figure(said, told, SEARCHES, (path,))


def _gates(row: dict[str, Any]) -> str:
    whole = (
        f"; with ways out {row['whole_passes']:,} in {number(row['whole_seconds'])} s" if row["whole_passes"] else ""
    )
    return f"{row['passes']:,} passes in {number(row['seconds'])} s{whole}"


def _published(row: dict[str, Any]) -> str:
    least = "at least " if row.get("published_cut_off") else ""
    return (
        f"{least}{row['published_passes']:,} passes in {number(row['published_seconds'])} s, by "
        f"{row['published_classes']} of {row['classes']} classes"
    )


def of_checks(path: Path, net: str) -> Figure:
    """Return the minutes of whole checks of a net of real size, with what the deadline left out."""
    rows = [row for row in real.read(path) if row.case.net.name == net]
    if not rows:
        return missing(f"no check of {net} at 224 × 224 is kept", WHOLE)
    return Figure("<br>".join(map(_check, rows)), "; ".join(map(_machine, rows)), WHOLE, (path,))


def _check(row: real.Row) -> str:
    left = unfinished(row)
    cut = f", the deadline left out {', '.join(left)}" if left else ""
    return f"{number(row.seconds)} s at {row.case.classes} classes, {instructions(row)} instructions{cut}"


def _machine(row: real.Row) -> str:
    case = row.case
    return f"{case.side} × {case.side}, {row.processor.name}, {case.threads} threads, commit {row.commit}"


def _lines(path: Path) -> Sequence[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()] if path.is_file() else []


FIGURES: dict[str, tuple[Path, Callable[[], Figure]]] = {
    "cost/10-classes": (scans.FILE, lambda: of_scans(scans.FILE, 10)),
    "cost/1000-classes": (scans.FILE, lambda: of_scans(scans.FILE, 1000)),
    "cost/43-classes": (against_published.FILE, lambda: of_searches(against_published.FILE, 43)),
    "real-cost/resnet18": (real.FILE, lambda: of_checks(real.FILE, "resnet18")),
}
"""By key, the file of kept rows that a figure is from, and how it is made."""
