"""Goes through the cases that are missing, keeps each row at once, and tells all that is kept."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from benchmarks.efficacy.page import between, commit
from benchmarks.real_cost import rows, table
from benchmarks.real_cost.cases import Case
from benchmarks.real_cost.machine import processor
from benchmarks.real_cost.measuring import Say, measure
from benchmarks.zoo.store import write_whole
from gate.policies.packaged import DEFAULT
from gate.policies.read import read_policy
from gate.records.clock import today


@dataclass(frozen=True)
class Settings:
    """Where rows are kept, and by what cases are measured."""

    to: Path
    policy: Path | None
    deadline: float | None
    again: bool


def run(cases: Iterable[Case], settings: Settings, say: Say) -> None:
    """Measure the cases that are not kept for this processor, or all of them again."""
    policy, own = read_policy(settings.policy or DEFAULT, on=today()), processor()
    for case in cases:
        kept = rows.read(settings.to)
        if not settings.again and rows.known(kept, case, own) is not None:
            say(f"{case}: kept already; --again measures it anew")
            continue
        row = measure(case, policy, commit(), say, settings.deadline)
        write_whole(settings.to, rows.lines(rows.with_row(rows.read(settings.to), row)))


def tell(path: Path, say: Say, *, write: bool) -> None:
    """Print the tables of all rows, and write them into the page where that is wanted."""
    told = table.text(rows.read(path))
    say(f"\n{told}")
    if write:
        between(table.PAGE, table.MARK, told)
