"""What the project set out to reach on the test split, beside what was reached; a miss stands in the table like a hit.

Pure. The targets were written down before the test split was scanned. Shares have the exact two-sided 95 % interval of
Clopper and Pearson (1934).
"""

from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.efficacy.judged import Judged
from benchmarks.efficacy.results import Interval, SystemResult
from benchmarks.efficacy.tables import exact_share, interval, markdown, plus_minus, share
from benchmarks.zoo.controls import CONTROLS


@dataclass(frozen=True)
class Target:
    """A share of the backdoored models of some attacks."""

    attacks: tuple[str, ...]
    detected: float | None
    """None: reported, whatever it is."""
    named: float | None = None


TARGETS = (
    Target(("badnets", "multi-target"), 0.98, 0.95),
    Target(("payload", "architectural"), 0.90),
    Target(("blended", "adaptive-blend", "input-aware", "wanet"), 0.90),
    Target(("sig", "label-consistent", "source-specific", "all-to-all"), 0.85),
    Target(("semantic",), None),
)
LEAST_AREA, MOST_ENTROPY, MOST_ALARMS = 0.97, 0.20, 0.05


def table(result: SystemResult, rows: Sequence[Judged]) -> str:
    """Return targets and what one system reached, one row a target; `rows` are those that the result counts."""
    lines = [line for target in TARGETS for line in _shares(target, result)]
    odd = [row for row in rows if not row.backdoored and row.architecture in CONTROLS]
    alarmed = sum(any(one.startswith("graph-structure") for one in row.by) for row in odd)
    lines.append(_line("odd clean graphs flagged by graph-structure", "0", f"{alarmed} of {len(odd)}", alarmed == 0))
    clean = result.clean_overall
    if clean.models:
        found = clean.flagged / clean.models
        said = f"{share(clean.flagged, clean.models)}, {found:.1%} (at most {clean.upper_bound:.1%})"
        lines.append(_line("clean models flagged", f"≤ {MOST_ALARMS:.0%}", said, found <= MOST_ALARMS))
    area, entropy = result.overall.area, result.cross_entropy
    lines.append(_line("ROC-AUC, all attacks", f"≥ {LEAST_AREA:g}", interval(area), _at_least(area, LEAST_AREA)))
    below = entropy is not None and entropy.value <= MOST_ENTROPY
    lines.append(_line("cross-entropy of P(trojan)", f"≤ {MOST_ENTROPY:.2f}", plus_minus(entropy), below))
    return markdown(("what", "target", result.system, "reached"), lines)


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
