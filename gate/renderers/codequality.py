"""`report.codequality.json`: issues for GitLab's merge-request widget, each at the policy's line; none where approved.

GitLab matches issues between branches by fingerprint. Waived findings are left out: the widget knows no suppression.
"""

import json

from gate.records.policy import HARD_RULES
from gate.records.report import Report
from gate.renderers.issues import Issue, issues
from gate.renderers.text import count

MAX_ISSUES = 1000
"""So many are listed; the last one says how many more there are."""


def render(report: Report) -> str:
    """Return the open issues as GitLab's subset of the Code Climate format, in ASCII without a byte-order mark."""
    found = [issue for issue in issues(report) if issue.waiver is None]
    entries = [_entry(issue, issue.message) for issue in found[:MAX_ISSUES]]
    if (more := len(found) - MAX_ISSUES) > 0:
        entries[-1] = _entry(found[MAX_ISSUES - 1], f"And {count(more + 1, 'more finding')}, listed in report.json.")
    return json.dumps(entries, indent=2) + "\n"


def _entry(issue: Issue, description: str) -> dict[str, object]:
    return {
        "description": description,
        "check_name": issue.rule,
        "fingerprint": issue.fingerprint,
        "severity": _severity(issue),
        "location": {"path": issue.path, "lines": {"begin": issue.line}},
    }


def _severity(issue: Issue) -> str:
    if issue.kind == "error" or issue.subject in HARD_RULES:
        return "blocker"
    return "critical" if issue.kind == "limit" else "major"
