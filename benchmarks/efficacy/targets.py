"""What the project set out to reach on a test split, beside what was reached; a miss stands in the table like a hit.

Pure. The targets of a split were written down before it was scanned. Shares have the exact two-sided 95 % interval of
Clopper and Pearson (1934).
"""

from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.efficacy import rates
from benchmarks.efficacy.judged import Judged
from benchmarks.efficacy.results import FalseAlarms, Interval, SystemResult
from benchmarks.efficacy.tables import exact_share, interval, markdown, plus_minus, share
from benchmarks.zoo.controls import CONTROLS


@dataclass(frozen=True)
class Target:
    """A share of the backdoored models of some attacks."""

    attacks: tuple[str, ...]
    detected: float | None
    """None: reported, whatever it is."""
    named: float | None = None


@dataclass(frozen=True)
class Targets:
    """What one way of judging was to reach on a split."""

    shares: tuple[Target, ...]
    area: float
    alarms: float = 0.05
    """Greatest share of clean models that are flagged."""
    bound: float = 1.0
    """Greatest one-sided 95 % upper bound of that share."""
    by_chance: bool = False
    """True: the share may be above its limit where that is no more than chance, at a level of 5 %."""
    entropy: float | None = 0.20
    named: float | None = None
    """Least share of detected models whose true target is named, of those that have one."""


TEST = Targets(
    (
        Target(("badnets", "multi-target"), 0.98, 0.95),
        Target(("payload", "architectural"), 0.90),
        Target(("blended", "adaptive-blend", "input-aware", "wanet"), 0.90),
        Target(("sig", "label-consistent", "source-specific", "all-to-all"), 0.85),
        Target(("semantic",), None),
    ),
    area=0.97,
)
UNSEEN = Targets(
    (
        Target(("badnets", "multi-target", "payload", "architectural"), 0.97),
        Target(("patch-off-grid",), 0.97),
        Target(("blended", "adaptive-blend"), 0.95),
        Target(("blend-off-grid",), 0.95),
        Target(("wanet",), 0.95),
        Target(("warp-off-grid",), 0.95),
        Target(("input-aware", "lira"), 0.95),
        Target(("sig",), 0.85),
        Target(("sig-off-grid",), 0.85),
        Target(("source-specific",), 0.85),
        Target(("source-specific-off-grid",), 0.85),
        Target(("all-to-all",), 0.95),
        Target(("all-to-all-off-grid",), 0.95),
        Target(("label-consistent",), 0.70),
        Target(("label-consistent-off-grid",), 0.70),
        Target(("semantic-combined",), 0.80),
        Target(("semantic-outside",), None),
    ),
    area=0.97,
    by_chance=True,
    named=0.90,
)
"""Beside a bank."""
UNSEEN_ALONE = Targets((), area=0.90, bound=0.08, entropy=None)
"""Without any bank."""


def table(targets: Targets, result: SystemResult, rows: Sequence[Judged], entropy: Interval | None = None) -> str:
    """Return targets and what one system reached, one row a target; `rows` are those that the result counts.

    The cross-entropy is the result's own, cross-validated, unless another is given.
    """
    lines = [line for target in targets.shares for line in _shares(target, result)]
    odd = [row for row in rows if not row.backdoored and row.architecture in CONTROLS]
    if odd:
        alarmed = sum(any(one.startswith("graph-structure") for one in row.by) for row in odd)
        said = f"{alarmed} of {len(odd)}"
        lines.append(_line("odd clean graphs flagged by graph-structure", "0", said, alarmed == 0))
    if targets.named is not None:
        lines.append(_named(targets.named, rows))
    if result.clean_overall.models:
        lines.append(_alarms(targets, result.clean_overall))
    area = result.overall.area
    lines.append(_line("ROC-AUC, all attacks", f"≥ {targets.area:g}", interval(area), _at_least(area, targets.area)))
    if targets.entropy is not None:
        lost = entropy or result.cross_entropy
        below = lost is not None and lost.value <= targets.entropy
        lines.append(_line("cross-entropy of P(trojan)", f"≤ {targets.entropy:.2f}", plus_minus(lost), below))
    return markdown(("what", "target", result.system, "reached"), lines)


def _named(least: float, rows: Sequence[Judged]) -> tuple[str, ...]:
    """Return the line on true targets, of models that are detected and have one."""
    found = [row for row in rows if row.backdoored and row.flagged and row.has_target]
    hits = sum(row.any_right for row in found)
    said, holds = exact_share(hits, len(found)), _holds(hits, len(found), least)
    return _line("true target named where detected and one exists", _least(least), said, holds)


def _alarms(targets: Targets, clean: FalseAlarms) -> tuple[str, ...]:
    """Return the line on clean models that are flagged."""
    found = clean.flagged / clean.models
    said = f"{share(clean.flagged, clean.models)}, {found:.1%} (at most {clean.upper_bound:.1%})"
    if targets.by_chance:
        holds = rates.lower_bound(clean.flagged, clean.models) <= targets.alarms
        return _line("clean models flagged", f"not significantly above {targets.alarms:.0%}", said, holds)
    wanted = f"≤ {targets.alarms:.0%}" + (f" (at most {targets.bound:.0%})" if targets.bound < 1 else "")
    holds = found <= targets.alarms and clean.upper_bound <= targets.bound
    return _line("clean models flagged", wanted, said, holds)


def _shares(target: Target, result: SystemResult) -> list[tuple[str, ...]]:
    own = [row for row in result.attacks if row.attack in target.attacks]
    count = sum(row.answered for row in own)
    wanted = [("detected", target.detected, sum(row.detected for row in own))]
    wanted += [("true target named", target.named, sum(row.any_right for row in own))] if target.named else []
    names = ", ".join(target.attacks)
    return [_line(f"{names}: {what}", _least(least), exact_share(hits, count), _holds(hits, count, least))
            for what, least, hits in wanted]  # fmt: skip


def _least(share_wanted: float | None) -> str:
    return "–" if share_wanted is None else f"≥ {share_wanted:.0%}"


def _holds(hits: int, count: int, least: float | None) -> bool | None:
    return None if least is None or not count else hits / count >= least


def _at_least(value: Interval | None, least: float) -> bool:
    return value is not None and value.value >= least


def _line(what: str, target: str, measured: str, reached: bool | None) -> tuple[str, ...]:
    return what, target, measured, "–" if reached is None else "yes" if reached else "**no**"
