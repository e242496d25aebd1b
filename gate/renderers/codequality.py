"""`report.codequality.json`: issues for GitLab's merge-request widget, each at the policy's line; none where approved.

GitLab matches issues between branches by fingerprint. Waived findings are left out: the widget knows no suppression.
"""

import json

from gate.records.report import Report
from gate.renderers.issues import Issue, issues
from gate.renderers.text import count

MAX_ISSUES = 1000
"""Most issues that are listed; the last one gives the number of the others."""


def render(report: Report) -> str:
    """Return the open issues as GitLab's subset of the Code Climate format, in ASCII without a byte-order mark."""
    found, blockers = [issue for issue in issues(report) if issue.waiver is None], report.before_loading
    entries = [_entry(issue, issue.message, blockers) for issue in found[:MAX_ISSUES]]
    if (more := len(found) - MAX_ISSUES) > 0:
        said = f"And {count(more + 1, 'more finding')}, listed in report.json."
        entries[-1] = _entry(found[MAX_ISSUES - 1], said, blockers)
    return json.dumps(entries, indent=2) + "\n"


def _entry(issue: Issue, description: str, blockers: frozenset[str]) -> dict[str, object]:
    hard = issue.kind == "error" or issue.subject in blockers
    return {
        "description": description,
        "check_name": issue.rule,
        "fingerprint": issue.fingerprint,
        "severity": "blocker" if hard else "critical" if issue.kind == "limit" else "major",
        "location": {"path": issue.path, "lines": {"begin": issue.line}},
    }
