"""A figure of the gate's own with what it is of, and how one is told from a system's results.

Pure. Shares have the exact two-sided 95 % interval of Clopper and Pearson (1934), areas the stratified bootstrap's.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.efficacy import tables
from benchmarks.efficacy.results import Interval, SystemResult
from benchmarks.efficacy.subjects import NOT_MADE, NOT_SCANNED
from benchmarks.efficacy.zoos import Measured
from gate.records.policy import Policy

NOT_MEASURED = "not measured"


@dataclass(frozen=True)
class Figure:
    """What stands in the gate's column of one row."""

    value: str
    of: str
    """Which models, by which policy, and how many are missing."""
    command: str
    """What prints it."""
    sources: tuple[Path, ...] = ()
    """The files of kept rows that it is from, whose day it has; none where nothing is measured."""

    @property
    def measured(self) -> bool:
        """Whether it is from any kept row."""
        return bool(self.sources)


@dataclass(frozen=True)
class Counted:
    """A zoo's models of one split as they are counted, in each way of judging."""

    systems: tuple[SystemResult, ...]
    """Beside a bank first, where there is one."""
    entropies: tuple[Interval | None, ...]
    """Cross-entropy of P(trojan), a system each."""
    of: str
    command: str
    sources: tuple[Path, ...]

    def told(self, of_system: Callable[[SystemResult], str]) -> Figure:
        """Return a figure that says something of each system, the worse like the better."""
        said = "<br>".join(f"*{one.system}*: {of_system(one)}" for one in self.systems)
        return Figure(said, self.of, self.command, self.sources)


def missing(why: str, command: str) -> Figure:
    """Return the figure of what no kept row says."""
    return Figure(NOT_MEASURED, why, command)


def of_models(what: str, found: Measured, policy: Policy) -> str:
    """Return which models a figure is of, how many of them are left out or not measured yet, and by which policy."""
    waiting = sum(one.reason in (NOT_MADE, NOT_SCANNED) for one in found.left_out)
    counted = f"{len(found.pairs)} models; {len(found.left_out) - waiting} left out, {waiting} {NOT_MEASURED}"
    return f"{what}: {counted}; policy `{policy.name}` ({policy.digest[:19]}…)"


def exact_share(hits: int, count: int) -> str:
    """Return a share with its exact interval, or that there is none."""
    return tables.exact_share(hits, count) if count else NOT_MEASURED


def accuracy(result: SystemResult) -> str:
    """Return the share of models that a system is right about, and what it is made of."""
    right, count = right_of(result, result.overall.detected, result.overall.answered)
    return f"accuracy {exact_share(right, count)}; {found_and_alarms(result)}"


def right_of(result: SystemResult, detected: int, answered: int) -> tuple[int, int]:
    """Return how many of some backdoored and of all clean models a system is right about, and of how many."""
    clean = result.clean_overall
    return detected + clean.models - clean.flagged, answered + clean.models


def found_and_alarms(result: SystemResult) -> str:
    """Return the shares of backdoored and of clean models that a system flags."""
    return f"found {exact_share(result.overall.detected, result.overall.answered)}; {alarms(result)}"


def alarms(result: SystemResult) -> str:
    """Return the share of clean models that a system flags."""
    return f"clean flagged {exact_share(result.clean_overall.flagged, result.clean_overall.models)}"


def by_family(result: SystemResult, attacks: Sequence[str]) -> str:
    """Return accuracy over these attacks and all clean models, and the share found of each; none is left unsaid."""
    own = {row.attack: row for row in result.attacks if row.attack in attacks and row.answered}
    detected, answered = (sum(getattr(row, name) for row in own.values()) for name in ("detected", "answered"))
    right, count = right_of(result, detected, answered)
    each = ", ".join(
        f"{name} {exact_share(own[name].detected, own[name].answered) if name in own else NOT_MEASURED}"
        for name in attacks
    )
    return f"accuracy over these {exact_share(right, count)}; found: {each}; {alarms(result)}"


def area(result: SystemResult) -> str:
    """Return the area under the ROC curve over all attacks."""
    found = result.overall.area
    return f"ROC-AUC {tables.interval(found) if found else NOT_MEASURED}"


def trojai(counted: Counted) -> Figure:
    """Return cross-entropy and area, the measures of TrojAI."""
    lost = dict(zip((one.system for one in counted.systems), counted.entropies, strict=True))

    def told(result: SystemResult) -> str:
        loss = lost[result.system]
        return f"cross-entropy {tables.plus_minus(loss) if loss else NOT_MEASURED}; {area(result)}"

    return counted.told(told)
