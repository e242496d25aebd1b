"""`report.sarif`: SARIF 2.1.0 for code scanning, with every issue at the line of the policy that it breaks.

A model is no file of the repository: its place is a logical location, and the fingerprint is made of rule, model and
place. GitHub shows 5,000 results; a notification counts those beyond. Waived findings have an accepted suppression.
"""

import json
from typing import Any
from urllib.parse import quote

from gate.records.report import Coverage, Report
from gate.renderers.issues import Issue, issues
from gate.renderers.sarif_rules import ATLAS, rules, taxonomy, techniques
from gate.renderers.text import plain
from gate.renderers.view import state_of

SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"
MAX_RESULTS = 5000
EXIT_CODES = {"approved": 0, "flagged": 1, "unfinished": 3}
"""State of the report to exit code (docs/reference/contracts.md, section 1)."""


def render(report: Report) -> str:
    """Return the report as a SARIF log with one run, in ASCII."""
    found = issues(report)
    covered = {coverage.detector: coverage for coverage in report.coverage}
    by_id = rules(report, found)
    index = {rule: number for number, rule in enumerate(by_id)}
    run = {
        "tool": {
            "driver": {
                "name": "gate",
                "fullName": f"gate {report.gate_version}, promotion gate for models",
                "semanticVersion": report.gate_version,
                "rules": list(by_id.values()),
                "supportedTaxonomies": [{"name": ATLAS, "index": 0}],
            }
        },
        "taxonomies": [taxonomy()],
        "automationDetails": {"id": _category(report)},
        "invocations": [_invocation(report, found)],
        "columnKind": "utf16CodeUnits",
        "results": [_result(issue, index[issue.rule], covered.get(issue.subject)) for issue in found[:MAX_RESULTS]],
        "properties": _facts(report),
    }
    return json.dumps({"$schema": SCHEMA, "version": "2.1.0", "runs": [run]}, indent=2) + "\n"


def _category(report: Report) -> str:
    """Return the category, one for each model and policy, by which code scanning groups alerts."""
    model = report.model.name if report.model else report.uri
    return f"gate/{quote(plain(report.policy.name, 80), safe='')}/{quote(plain(model, 200), safe='')}/"


def _invocation(report: Report, found: tuple[Issue, ...]) -> dict[str, Any]:
    state, notes = state_of(report), []
    if state == "unfinished":
        notes.append({"level": "error", "message": {"text": found[0].message}})
    if len(found) > MAX_RESULTS:
        more = f"{len(found) - MAX_RESULTS} further findings are left out here; report.json lists all of them."
        notes.append({"level": "warning", "message": {"text": more}})
    return {
        "executionSuccessful": state != "unfinished",
        "exitCode": EXIT_CODES[state],
        "endTimeUtc": report.checked_at,
        "toolExecutionNotifications": notes,
    }


def _facts(report: Report) -> dict[str, Any]:
    verdict = report.verdict
    facts = {"decision": report.decision.value, "model": plain(str(report.model) if report.model else report.uri, 300)}
    if verdict is None:
        return facts
    bundle = {"bundleDigest": verdict.bundle_digest, "covers": verdict.covers}
    return {
        **facts,
        "modelDigest": verdict.model_digest,
        **{name: said for name, said in bundle.items() if said},
        "policyDigest": verdict.policy_digest,
    }


def _result(issue: Issue, rule_index: int, coverage: Coverage | None) -> dict[str, Any]:
    region = {"startLine": issue.line, "startColumn": 1, "endLine": issue.line, "endColumn": 2}
    location: dict[str, Any] = {"physicalLocation": {"artifactLocation": {"uri": quote(issue.path)}, "region": region}}
    if issue.place:
        location["logicalLocations"] = [{"fullyQualifiedName": issue.place, "kind": "member"}]
    result: dict[str, Any] = {
        "ruleId": issue.rule,
        "ruleIndex": rule_index,
        "level": "error" if issue.kind in ("limit", "error") else "warning",
        "message": {"text": _no_link(issue.message)},
        "locations": [location],
        "partialFingerprints": {"primaryLocationLineHash": f"{issue.fingerprint}:1"},
        "taxa": [{"id": found.id, "toolComponent": {"name": ATLAS}} for found in techniques(coverage)],
    }
    if issue.waiver is not None:
        waiver = issue.waiver
        words = f"{waiver.reason} (approved by {waiver.approved_by}, until {waiver.expires})"
        result["suppressions"] = [{"kind": "external", "status": "accepted", "justification": plain(words, 1300)}]
    return result


def _no_link(text: str) -> str:
    """Return a message in which nothing is one of SARIF's embedded links, `[words](target)`."""
    return text.replace("](", "] (")
