"""What stands against approval, shortest first: reasons for the head of the report, and every finding for its tables.

A limit exceeded at forty classes is one reason with its worst place, not forty.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from gate.renderers.text import count
from gate.report import Report
from gate.verdict import Finding

MAX_REASONS = 4
MAX_FINDINGS = 40
"""Findings in one table; report.json holds them all."""

_KIND_ORDER = {"limit": 0, "silence": 1, "condition": 2}


@dataclass(frozen=True)
class Reason:
    """One reason for the decision, in the report's head."""

    rule: str
    message: str
    more: str = ""
    """How many further findings of the same kind stand behind it."""


def reasons(report: Report) -> tuple[tuple[Reason, ...], int]:
    """Return the first few reasons that stand against approval, and how many are left for the list of findings."""
    if report.error:
        return (Reason(rule="error", message=report.error),), 0
    if report.verdict is None:
        return (Reason(rule="error", message="There is no verdict, and without one nothing is approved."),), 0
    groups: dict[tuple[str, str, str | None], list[Finding]] = {}
    for finding in open_findings(report):
        groups.setdefault((finding.kind, finding.rule, finding.metric), []).append(finding)
    found = _once([_reason(group) for group in groups.values()])
    return tuple(found[:MAX_REASONS]), max(0, len(found) - MAX_REASONS)


def _once(found: Sequence[Reason]) -> list[Reason]:
    """Return the reasons without those that repeat the whole of an earlier one, which then names their rules."""
    kept: list[Reason] = []
    likewise: list[list[str]] = []
    for reason in found:
        place = next((index for index, one in enumerate(kept) if one.message in reason.message), None)
        if place is None:
            kept.append(reason)
            likewise.append([])
        else:
            likewise[place].append(reason.rule)
    return [
        replace(one, more=f"{one.more} Likewise {', '.join(rules)}.".lstrip()) if rules else one
        for one, rules in zip(kept, likewise, strict=True)
    ]


def _reason(group: Sequence[Finding]) -> Reason:
    worst = group[0]
    if worst.kind == "limit" and worst.value is not None and len(group) > 1:
        worst = max(group, key=_excess)
    more = f"And {count(len(group) - 1, 'more finding')} of this kind." if len(group) > 1 else ""
    return Reason(rule=worst.rule, message=worst.message, more=more)


def _excess(finding: Finding) -> float:
    """Return how far a value lies from the middle of what its limit allows; only the order matters."""
    if finding.value is None or finding.limit is None:
        return 0.0
    return finding.value if finding.limit.max is not None else -finding.value


def open_findings(report: Report) -> tuple[Finding, ...]:
    """Return the findings that no waiver covers: limits exceeded first, then silences, then conditions."""
    found = report.verdict.open_findings if report.verdict else ()
    return tuple(sorted(found, key=lambda finding: _KIND_ORDER[finding.kind]))


def waived_findings(report: Report) -> tuple[Finding, ...]:
    """Return the findings that a waiver covers."""
    return tuple(finding for finding in report.verdict.findings if finding.waived) if report.verdict else ()
