"""A report's issues for SARIF, JUnit, code quality and annotations, with place in the policy and fingerprint.

Every text is plain already. The fingerprint stays the same from run to run, by which a surface recognises an issue.
"""

import hashlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from gate.records.finding import REVIEW, Finding
from gate.records.policy import Waiver
from gate.records.report import Report
from gate.renderers.findings import open_findings, waived_findings
from gate.renderers.names import Names
from gate.renderers.text import plain

MAX_MESSAGE = 1000
"""Most characters of one issue's message; report.json holds it whole."""

UNFINISHED = "gate/could-not-finish"
ELSEWHERE = "gate/policies/default.yml"
"""Relative path for issues of a policy outside the checked-out tree."""

_KEYS = {
    "samples": "samples",
    "assurance": "assurance",
    "isolation": "isolation",
    "calibration": "uncalibrated",
    "probe-seed": "probe-seed",
    REVIEW: "reviewers",
}
"""Subject, where it is no detector, to the policy's key that asks for it."""


@dataclass(frozen=True)
class Issue:
    """One reason against approval, or a finding that a waiver covers."""

    rule: str
    """`detector/metric`, or `subject/kind` where no metric is concerned."""
    subject: str
    """Detector, or other subject of the judgement."""
    kind: Literal["limit", "silence", "condition", "error"]
    message: str
    place: str
    """Place in the model, such as `class 7`; empty for the whole."""
    path: str
    line: int
    fingerprint: str
    waiver: Waiver | None = None


def issues(report: Report) -> tuple[Issue, ...]:
    """Return the open issues in the order of the report, then the waived ones."""
    report = report.shown
    if report.error or report.verdict is None:
        message = report.error or "There is no verdict, and without one nothing is approved."
        advice = f" {report.what_to_do}" if report.what_to_do else ""
        path, line = policy_place(report, UNFINISHED, "gate")
        return (
            Issue(
                rule=UNFINISHED,
                subject="gate",
                kind="error",
                message=plain(f"The gate could not finish: {message}{advice}", MAX_MESSAGE),
                place="",
                path=path,
                line=line,
                fingerprint=_fingerprint(report, UNFINISHED, "", 1),
            ),
        )
    return tuple(_of_findings(report))


def _of_findings(report: Report) -> Iterator[Issue]:
    seen = Counter[tuple[str, str]]()
    names = Names.of(report)
    for finding in (*open_findings(report), *waived_findings(report)):
        rule, place = rule_of(finding), str(finding.location) if finding.location else ""
        seen[rule, place] += 1
        path, line = policy_place(report, rule, finding.rule)
        yield Issue(
            rule=rule,
            subject=finding.rule,
            kind=finding.kind,
            message=plain(names.within(finding.message), MAX_MESSAGE),
            place=plain(place, 200),
            path=path,
            line=line,
            fingerprint=_fingerprint(report, rule, place, seen[rule, place]),
            waiver=finding.waiver,
        )


def _fingerprint(report: Report, rule: str, place: str, number: int) -> str:
    """Return the hash of rule, model, policy and place, without values, which vary between runs."""
    model = report.model.name if report.model else report.uri
    identity = "\0".join((rule, model, report.policy.name, place, str(number)))
    return hashlib.sha256(identity.encode("utf-8", errors="surrogatepass")).hexdigest()


def rule_of(finding: Finding) -> str:
    """Return the id under which surfaces file a finding."""
    return f"{finding.rule}/{finding.metric or finding.kind}"


def policy_place(report: Report, rule: str, subject: str) -> tuple[str, int]:
    """Return the policy's path and the line of the limit, the detector or the key that asks for something."""
    source = report.policy_source
    lines = source.lines if source else {}
    line = next((lines[key] for key in (rule, subject, _KEYS.get(subject, "")) if key in lines), 1)
    return (source.path if source and source.path else ELSEWHERE), line


def in_tree(report: Report) -> bool:
    """Tell whether the policy is in the tree that the surface shows."""
    return report.policy_source is not None and bool(report.policy_source.path)
