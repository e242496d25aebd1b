"""`report.junit.xml`: one test case for each limit or detector of the policy, for GitLab, Jenkins and Azure.

A limit exceeded is a failure. A missing measurement or a condition that does not hold is an error. A detector that was
not needed is skipped. Failures name the first places; report.json names all.
"""

from collections.abc import Sequence
from xml.etree import ElementTree as ET  # written here, never read

from gate.records.evidence import Measured
from gate.records.report import Report
from gate.renderers.findings import waived_findings
from gate.renderers.issues import Issue, issues
from gate.renderers.measured import unmeasured
from gate.renderers.text import count, plain

MAX_PLACES = 40
"""Most places named in one failure."""


def render(report: Report) -> str:
    """Return the report as JUnit XML with one suite."""
    still_open = [issue for issue in issues(report) if issue.waiver is None]
    suite = ET.Element("testsuite", name="gate")
    ET.SubElement(suite, "properties")
    for name, value in _facts(report):
        ET.SubElement(suite[0], "property", name=name, value=value)
    asked = [f"{name}/{metric}" for name, rule in report.policy.detectors.items() for metric in rule.limits or ("",)]
    for rule in dict.fromkeys([*asked, *(issue.rule for issue in still_open)]):
        _case(suite, rule, [issue for issue in still_open if issue.rule == rule], report)
    totals = {
        "tests": len(suite.findall("testcase")),
        "failures": len(suite.findall("testcase/failure")),
        "errors": len(suite.findall("testcase/error")),
        "skipped": len(suite.findall("testcase/skipped")),
    }
    root = ET.Element("testsuites", name="gate")
    for element in (root, suite):
        for key, total in totals.items():
            element.set(key, str(total))
    suite.set("timestamp", report.checked_at.removesuffix("Z"))
    suite.set("time", f"{sum(report.evidence.seconds.values()) if report.evidence else 0:.3f}")
    root.append(suite)
    ET.indent(root)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{ET.tostring(root, encoding="unicode")}\n'


def _facts(report: Report) -> list[tuple[str, str]]:
    facts = [
        ("decision", report.decision.value),
        ("model", plain(str(report.model) if report.model else report.uri, 300)),
        ("policy", plain(report.policy.name, 100)),
    ]
    verdict = report.verdict
    if verdict is None:
        return facts
    bundle = {"bundle-digest": verdict.bundle_digest, "covers": verdict.covers}
    return [*facts, ("model-digest", verdict.model_digest), *((name, said) for name, said in bundle.items() if said)]


def _case(suite: ET.Element, rule: str, found: Sequence[Issue], report: Report) -> None:
    subject, _, metric = rule.partition("/")
    outcome = report.evidence.outcomes.get(subject) if report.evidence else None
    case = ET.SubElement(suite, "testcase", classname=f"gate.{subject}", name=metric or "ran")
    if isinstance(outcome, Measured) and rule == _first(subject, report):
        case.set("time", f"{outcome.seconds:.3f}")
    if found:
        failed = [issue for issue in found if issue.kind == "limit"]
        element = ET.SubElement(case, "failure" if failed else "error", type=found[0].kind)
        element.set("message", plain((failed or list(found))[0].message, 300))
        more = len(found) - MAX_PLACES
        rest = [f"and {count(more, 'more place')}, listed in report.json"] if more > 0 else []
        element.text = "\n".join([*(issue.message for issue in found[:MAX_PLACES]), *rest])
    elif waived := [finding for finding in waived_findings(report) if f"{finding.rule}/{finding.metric}" == rule]:
        reason = waived[0].waiver.reason if waived[0].waiver else ""
        ET.SubElement(case, "skipped", message=plain(f"waived: {reason}", 300))
    elif not isinstance(outcome, Measured) and subject in report.policy.detectors:
        covered = next((coverage for coverage in report.coverage if coverage.detector == subject), None)
        ET.SubElement(case, "skipped", message=plain(unmeasured(subject, covered, report), 300))


def _first(subject: str, report: Report) -> str:
    """Return a detector's first case, which alone carries its time."""
    rule = report.policy.detectors.get(subject)
    return f"{subject}/{next(iter(rule.limits), '')}" if rule else ""
