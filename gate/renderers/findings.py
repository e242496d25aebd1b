"""The reasons against approval in the head of the report, and every finding for its tables.

A limit exceeded at forty classes is one reason, with its worst place; a cause that keeps detectors from running is one
reason that names them (`gate.renderers.causes`).
"""

from collections.abc import Sequence
from dataclasses import dataclass

from gate.records.finding import Finding
from gate.records.report import Report
from gate.renderers.causes import Cause, causes, core
from gate.renderers.names import Names
from gate.renderers.text import count

MAX_REASONS = 4
MAX_FINDINGS = 40
"""Most findings in one table; report.json holds them all."""

_KIND_ORDER = {"limit": 0, "silence": 1, "condition": 2}


@dataclass(frozen=True)
class Reason:
    """One reason for the decision, in the report's head."""

    rule: str
    message: str
    more: str = ""
    """Further findings of the same kind, and the detectors that did not run."""


@dataclass(frozen=True)
class Row:
    """One finding, or several of one cause, in the table of findings."""

    rule: str
    kind: str
    message: str


def reasons(report: Report) -> tuple[tuple[Reason, ...], int]:
    """Return the first few reasons against approval, and how many are left for the list of findings."""
    found = all_reasons(report)
    return found[:MAX_REASONS], max(0, len(found) - MAX_REASONS)


def all_reasons(report: Report) -> tuple[Reason, ...]:
    """Return every reason against approval, each once."""
    if report.error:
        return (Reason(rule="error", message=report.error),)
    if report.verdict is None:
        return (Reason(rule="error", message="There is no verdict, and without one nothing is approved."),)
    groups: dict[tuple[str, str, str | None, str], list[Cause]] = {}
    for cause in open_causes(report):
        first = cause.first
        # Silences of one rule may have several causes; places beyond one limit are one reason.
        message = "" if first.kind == "limit" else first.message
        groups.setdefault((first.kind, first.rule, first.metric, message), []).append(cause)
    names = Names.of(report)
    return tuple(_reason(group, names) for group in groups.values())


def open_causes(report: Report) -> list[Cause]:
    """Return the open findings, those of one cause together."""
    return causes(open_findings(report), report)


def rows(report: Report) -> tuple[Row, ...]:
    """Return the table of findings: each place beyond a limit, and each other cause once."""
    names, (head, _) = Names.of(report), reasons(report)
    shown = " ".join(reason.more for reason in head)
    return tuple(
        Row(
            one.first.rule,
            one.first.kind,
            f"{names.within(one.first.message)} {'' if one.consequence in shown else one.consequence}".strip(),
        )
        for one in open_causes(report)
    )


def causes_in_head(report: Report) -> frozenset[str]:
    """Return the causes that the head of the report shows, which nothing below it repeats."""
    return frozenset(core(finding.message) for cause in open_causes(report) for finding in cause.findings)


def _reason(group: Sequence[Cause], names: Names) -> Reason:
    worst = group[0]
    if worst.first.kind == "limit" and worst.first.value is not None and len(group) > 1:
        worst = max(group, key=lambda cause: _excess(cause.first))
    also = f"And {count(len(group) - 1, 'more finding')} of this kind." if len(group) > 1 else ""
    unrun = next((cause.consequence for cause in group if cause.consequence), "")
    more, message = " ".join(part for part in (also, unrun) if part), names.within(worst.first.message)
    # A detector's own note does not always end with a full stop.
    end = "." if more and not message.endswith((".", "!", "?", "…")) else ""
    return Reason(rule=worst.first.rule, message=message + end, more=more)


def _excess(finding: Finding) -> float:
    """Return a value's distance in the direction of its limit; only the order matters."""
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
