"""The counted cases as lines of JSON and as the part of docs/results/cost.md between its markers.

The end of the flow. A line says by which policy and sources it was counted, so that a run goes on where it was ended,
and a case is counted anew after a change of either.
"""

import hashlib
from collections.abc import Iterable, Sequence
from functools import cache
from pathlib import Path

from benchmarks.efficacy.page import ROOT, commit
from benchmarks.efficacy.tables import markdown
from benchmarks.scan_cost.counting import Costs, Spent, Unit
from benchmarks.zoo.store import write_whole
from gate.records.policy import Policy
from gate.records.record import Record

FILE = Path(__file__).parents[1] / "results" / "scan_cost.jsonl"
PAGE = ROOT / "docs" / "results" / "cost.md"
MARK = "scan-cost"
COMPUTING = ("detectors", "programs", "search", "spaces", "statistics", "worker")
"""Folders of the gate on which a scan's operations depend, beside the policy."""


class Row(Record):
    """One counted case."""

    case: str
    what: str
    policy: str
    """Digest of the policy."""
    sources: str
    """Digest of the sources that compute and count."""
    commit: str
    seed: int
    costs: Costs

    def by(self, policy: Policy) -> bool:
        """Tell whether it was counted by this policy and by today's sources."""
        return (self.policy, self.sources) == (policy.digest, sources())

    @property
    def total(self) -> Spent:
        """All detectors, and the reading, together."""
        spent = self.costs.spent
        passes, operations = sum(one.passes for one in spent), sum(one.operations for one in spent)
        return Spent(name="all", passes=passes, operations=operations)


def origin(policy: Policy) -> dict[str, str | int]:
    """Return by what a case is counted, as fields of its row: for before, since sources may change meanwhile."""
    return {"policy": policy.digest, "sources": sources(), "commit": commit(), "seed": policy.seed}


@cache
def sources() -> str:
    """Return a digest of the gate's sources that compute, and of those that make cases and count."""
    digest = hashlib.sha256()
    computing = [path for folder in COMPUTING for path in (ROOT / "gate" / folder).rglob("*.py")]
    for path in sorted([*computing, *map(Path(__file__).with_name, ("cases.py", "counting.py"))]):
        digest.update(f"{path.relative_to(ROOT)} {hashlib.sha256(path.read_bytes()).hexdigest()}\n".encode())
    return digest.hexdigest()


def read(path: Path = FILE) -> dict[str, Row]:
    """Return the counted cases by name."""
    lines = path.read_text().splitlines() if path.is_file() else []
    rows = (Row.from_json(line.encode(), what=path.name) for line in lines)
    return {row.case: row for row in rows}


def write(rows: Iterable[Row], path: Path = FILE) -> None:
    """Replace the file in one step."""
    write_whole(path, b"".join(row.canonical_json() + b"\n" for row in rows))


def text(rows: Sequence[Row]) -> str:
    """Return all cases in one table, and each by detector."""
    return "\n\n".join([summary(rows).strip(), *(details(row) for row in rows)])


def summary(rows: Sequence[Row]) -> str:
    """Return a table with a case a line."""
    head = ("case", "classes", "references", "forward alone", "passes", "pass-equivalents")
    return markdown(head, [_summary_cells(row) for row in rows])


def _summary_cells(row: Row) -> tuple[str, ...]:
    costs, total = row.costs, row.total
    return (
        f"{row.case} ({row.what})",
        str(costs.classes),
        str(costs.references),
        f"{costs.unit.equivalents(costs.unit.forward):.2f}",
        f"{total.passes:,}",
        f"{costs.unit.equivalents(total.operations):,.0f}",
    )


def details(row: Row) -> str:
    """Return a case's table by detector, with those apart that took no operation."""
    unit, total = row.costs.unit, row.total
    by = f"policy {row.policy.removeprefix('sha256:')[:12]}…, seed {row.seed}, commit {row.commit}"
    taking = [one for one in row.costs.spent if one.operations]
    body = [_cells(one, unit, total) for one in (*taking, total)]
    table = markdown(("detector", "passes", "pass-equivalents", "share"), body)
    return "\n\n".join([f"{row.case} ({row.what}; {by}):", table.strip(), *_idle(row.costs.spent)])


def _cells(one: Spent, unit: Unit, total: Spent) -> tuple[str, ...]:
    share = one.operations / total.operations if total.operations else 0.0
    return one.name, f"{one.passes:,}", f"{unit.equivalents(one.operations):,.0f}", f"{share:.0%}"


def _idle(spent: Iterable[Spent]) -> list[str]:
    """Return a sentence about the detectors that measured without the model, and one about those that did not."""
    named: dict[str, list[str]] = {}
    for one in (one for one in spent if not one.operations):
        named.setdefault(one.skipped.rstrip("."), []).append(one.name)
    still, reasons = named.pop("", []), (f"{', '.join(names)} ({reason})" for reason, names in named.items())
    kinds = {"No operation": ", ".join(still), "Skipped": "; ".join(reasons)}
    return [f"{kind}: {text}." for kind, text in kinds.items() if text]
