"""One cause is said once: findings that say the same, or that follow from one thing, become one with all their rules.

Pure. Six detectors that lack the samples are no six reasons: the sentence stands once, and after it which of them did
not run. What a finding's rule says of itself beyond that (a limit, a place) is never folded away.
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
"""Detectors named in one sentence."""
LEAST_TOLD: Final = 12
"""Characters of a sentence that another one may be found to hold; shorter ones are equal or they are not."""
_FRAME: Final = re.compile(
    r"^(?:The detector (?:was skipped|failed): "
    r"|needs the (?:model|weights|graph), which could not be (?:examined|read): "
    r"|(?:The model was )?not loaded: )+",
    re.IGNORECASE,
)
"""What the scan and the judge put before a cause, whoever hands it on."""
_NO_SAMPLES: Final = "needs clean samples"
_AS_FOUND: Final = "as the findings say"
_NOT_LOADED: Final = "The model was not loaded: "


@dataclass(frozen=True)
class Cause:
    """Something that stands against approval, once."""

    findings: tuple[Finding, ...]
    """The first says it; the others say the same or follow from it."""
    unrun: tuple[str, ...] = ()
    """Detectors that did not run because of it."""

    @property
    def first(self) -> Finding:
        """The finding whose words are shown."""
        return self.findings[0]

    @property
    def consequence(self) -> str:
        """What followed from it, as a sentence; empty where nothing did."""
        if not self.unrun:
            return ""
        if self.unrun == (self.first.rule,):
            return ""
        more = len(self.unrun) - MAX_NAMED
        named = ", ".join(self.unrun[:MAX_NAMED]) + (f" and {more} more" if more > 0 else "")
        return f"So {count(len(self.unrun), 'detector')} did not run: {named}."


def core(text: str) -> str:
    """Return a cause without the words that whoever hands it on puts before it, for comparison."""
    return _FRAME.sub("", text.strip()).rstrip(". ").casefold()


def causes(findings: Sequence[Finding], report: Report) -> list[Cause]:
    """Return the findings in their order, those of one cause together at the place of the first that says it."""
    groups: list[list[Finding]] = []
    for finding in _causes_first(findings):
        home = next((group for group in groups if _same(group[0], finding, report)), None)
        if home is None:
            groups.append([finding])
        else:
            home.append(finding)
    # Why nothing was loaded comes before what was counted in the files, for it says what they are; and samples that do
    # not go with the model before what was measured on them.
    order = {
        id(finding): -1 if _not_loaded(finding) or _of_samples(finding) else place
        for place, finding in enumerate(findings)
    }
    groups.sort(key=lambda group: min(order[id(finding)] for finding in group))
    found: list[Cause] = []
    for group in groups:
        told = {name for cause in found for name in cause.unrun}
        cause = _cause(group, report)
        found.append(replace(cause, unrun=tuple(name for name in cause.unrun if name not in told)))
    return found


def _causes_first(findings: Iterable[Finding]) -> list[Finding]:
    """Return why nothing was loaded, what was found, problems in their own words, then those who hand a reason on."""
    rank = {"limit": 0, "condition": 2, "silence": 2}
    return sorted(
        findings, key=lambda f: -1 if _not_loaded(f) else 1 if f.rule in ("scan", "samples") else rank[f.kind]
    )


def _not_loaded(finding: Finding) -> bool:
    """Tell whether a finding says in its own words why the model was not loaded, and not that others say it."""
    return finding.rule == "scan" and finding.message.startswith(_NOT_LOADED) and _AS_FOUND not in finding.message


def _of_samples(finding: Finding) -> bool:
    return finding.rule == "samples" and finding.kind == "condition"


def _cause(group: Sequence[Finding], report: Report) -> Cause:
    """Return a cause with every detector that did not run because of it, those too that the policy does not require."""
    outcomes = report.evidence.outcomes if report.evidence else {}
    rules = {finding.rule for finding in group if finding.kind == "silence"}
    silent = [
        name
        for name, outcome in outcomes.items()
        if isinstance(outcome, Skipped | Failed) and (name in rules or _because(group[0], name, outcome, report))
    ]
    return Cause(tuple(group), tuple(silent))


def _because(said: Finding, name: str, outcome: Skipped | Failed, report: Report) -> bool:
    """Tell whether a detector without a finding of its own names what is said as its reason."""
    why = outcome.error if isinstance(outcome, Failed) else outcome.reason
    return _same(said, Finding(rule=name, kind="silence", message=why), report)


def _same(said: Finding, other: Finding, report: Report) -> bool:
    """Tell whether a finding says again, or follows from, what stands already."""
    evidence = report.evidence
    if other.kind == "limit":
        return False
    if _not_loaded(said):
        return _follows(other, evidence)
    unread = evidence is not None and evidence.assurance is None
    if unread and said.kind == "limit" and said.rule in report.before_loading:
        return _AS_FOUND in other.message or _follows(other, evidence)
    if unread and said.rule == "scan" and other.rule == "assurance":
        return True
    if said.kind == "limit":
        return False
    return _repeats(said, other, evidence)


def _repeats(said: Finding, other: Finding, evidence: Evidence | None) -> bool:
    """Tell whether a finding hands on in its own frame what stands already."""
    if said.rule == "samples" and evidence is not None and evidence.samples is None:
        return _NO_SAMPLES in other.message
    first, second = core(said.message), core(other.message)
    return first == second or (len(first) >= LEAST_TOLD and first in second)


def _follows(other: Finding, evidence: Evidence | None) -> bool:
    """Tell whether a silence is that of a model which what was found in its bytes kept from being loaded."""
    if other.rule == "assurance":
        return True
    outcome = evidence.outcomes.get(other.rule) if evidence else None
    return isinstance(outcome, Skipped) and outcome.reason.startswith("not loaded: ")
