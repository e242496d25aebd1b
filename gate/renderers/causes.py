"""Findings with one cause, grouped: those that say the same or that follow from one thing are shown once.

Six detectors that lack the samples are one reason: the sentence is shown once, with the detectors that did not run. A
limit exceeded or its place is never folded away.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Final

from gate.records.evidence import Evidence, Failed, Skipped
from gate.records.finding import Finding
from gate.records.report import Report
from gate.renderers.text import count

MAX_NAMED: Final = 20
"""Most detectors named in one sentence."""
LEAST_CONTAINED: Final = 12
"""Least length of a sentence that is looked for within another."""
_FRAME: Final = re.compile(
    r"^(?:The detector (?:was skipped|failed): "
    r"|needs the (?:model|weights|graph), which could not be (?:examined|read): "
    r"|(?:The model was )?not loaded: )+",
    re.IGNORECASE,
)
"""Phrases that the scan and the judge put before a cause that they pass on."""
_NO_SAMPLES: Final = "needs clean samples"
_AS_FOUND: Final = "as the findings say"
_NOT_LOADED: Final = "The model was not loaded: "


@dataclass(frozen=True)
class Cause:
    """One reason against approval."""

    findings: tuple[Finding, ...]
    """The first one is shown; the others say the same or follow from it."""
    unrun: tuple[str, ...] = ()
    """Detectors that did not run because of it."""

    @property
    def first(self) -> Finding:
        """The finding whose message is shown."""
        return self.findings[0]

    @property
    def consequence(self) -> str:
        """The detectors that did not run because of it, as a sentence; empty where there are none."""
        if not self.unrun or self.unrun == (self.first.rule,):
            return ""
        more = len(self.unrun) - MAX_NAMED
        named = ", ".join(self.unrun[:MAX_NAMED]) + (f" and {more} more" if more > 0 else "")
        return f"So {count(len(self.unrun), 'detector')} did not run: {named}."


def core(text: str) -> str:
    """Return a message without the phrases that were put before its cause, for comparison."""
    return _FRAME.sub("", text.strip()).rstrip(". ").casefold()


def causes(findings: Sequence[Finding], report: Report) -> list[Cause]:
    """Return the findings in their order, those of one cause together at the place of the first."""
    groups: list[list[Finding]] = []
    for finding in _causes_first(findings):
        home = next((group for group in groups if _same(group[0], finding, report)), None)
        if home is None:
            groups.append([finding])
        else:
            home.append(finding)
    # First why nothing was loaded, which explains the findings on the files, and samples that do not fit the model.
    order = {
        id(f): -1 if _not_loaded(f) or (f.rule == "samples" and f.kind == "condition") else place
        for place, f in enumerate(findings)
    }
    groups.sort(key=lambda group: min(order[id(finding)] for finding in group))
    found: list[Cause] = []
    for group in groups:
        named = {name for cause in found for name in cause.unrun}
        cause = _cause(group, report)
        found.append(replace(cause, unrun=tuple(name for name in cause.unrun if name not in named)))
    return found


def _causes_first(findings: Iterable[Finding]) -> list[Finding]:
    """Sort findings: why nothing was loaded, limits, problems in their own words, then those that repeat a reason."""
    rank = {"limit": 0, "condition": 2, "silence": 2}
    return sorted(
        findings, key=lambda f: -1 if _not_loaded(f) else 1 if f.rule in ("scan", "samples") else rank[f.kind]
    )


def _not_loaded(finding: Finding) -> bool:
    """Tell whether a finding itself says why the model was not loaded, and does not refer to others."""
    return finding.rule == "scan" and finding.message.startswith(_NOT_LOADED) and _AS_FOUND not in finding.message


def _cause(group: Sequence[Finding], report: Report) -> Cause:
    """Return a cause with every detector that did not run because of it, required or not."""
    outcomes = report.evidence.outcomes if report.evidence else {}
    rules = {finding.rule for finding in group if finding.kind == "silence"}
    silent = [
        name
        for name, outcome in outcomes.items()
        if isinstance(outcome, Skipped | Failed) and (name in rules or _because(group[0], name, outcome, report))
    ]
    return Cause(tuple(group), tuple(silent))


def _because(shown: Finding, name: str, outcome: Skipped | Failed, report: Report) -> bool:
    """Tell whether a detector without a finding of its own gives the shown finding as its reason."""
    why = outcome.error if isinstance(outcome, Failed) else outcome.reason
    return _same(shown, Finding(rule=name, kind="silence", message=why), report)


def _same(shown: Finding, other: Finding, report: Report) -> bool:
    """Tell whether a finding repeats, or follows from, one that is shown already."""
    evidence = report.evidence
    if other.kind == "limit":
        return False
    if _not_loaded(shown):
        return _follows(other, evidence)
    unread = evidence is not None and evidence.assurance is None
    if unread and shown.kind == "limit" and shown.rule in report.before_loading:
        return _AS_FOUND in other.message or _follows(other, evidence)
    if unread and shown.rule == "scan" and other.rule == "assurance":
        return True
    if shown.kind == "limit":
        return False
    return _repeats(shown, other, evidence)


def _repeats(shown: Finding, other: Finding, evidence: Evidence | None) -> bool:
    """Tell whether a finding repeats the shown one behind a phrase of its own."""
    if shown.rule == "samples" and evidence is not None and evidence.samples is None:
        return _NO_SAMPLES in other.message
    first, second = core(shown.message), core(other.message)
    return first == second or (len(first) >= LEAST_CONTAINED and first in second)


def _follows(other: Finding, evidence: Evidence | None) -> bool:
    """Tell whether a silence follows from the model not being loaded because of its bytes."""
    if other.rule == "assurance":
        return True
    outcome = evidence.outcomes.get(other.rule) if evidence else None
    return isinstance(outcome, Skipped) and outcome.reason.startswith("not loaded: ")
