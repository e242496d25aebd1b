"""The rules of `report.sarif`: one for each limit of the policy, and one for each other kind of issue that was found.

The texts are the detectors' own: what is measured, why it matters, what it cannot see. Each rule names the techniques
of MITRE ATLAS behind it; names and numbers are those of https://atlas.mitre.org. AML.T0018 was called "Backdoor ML
Model" until 2025.
"""

from dataclasses import dataclass
from typing import Any

from gate.records.report import Coverage, Report
from gate.renderers.escape import escape_markdown
from gate.renderers.issues import UNFINISHED, Issue
from gate.renderers.text import plain

ATLAS = "MITRE ATLAS"
_SEVERITY = {"hard": "9.5", "limit": "8.0", "other": "5.0"}
"""GitHub reads above 9.0 as critical, from 7.0 as high, from 4.0 as medium."""

_OTHER_TITLES = {
    "silence": "Something that the policy asks for was not measured",
    "condition": "A condition of the check does not hold",
    "error": "The gate could not finish",
}
_OTHER_MEANS = {
    "silence": "Silence is never approval: what was skipped, failed or absent flags the version for human review.",
    "condition": "The policy asks for a condition, such as an assurance level or an accuracy, that does not hold.",
    "error": "Without a verdict nothing is approved. Remove the cause and run the check again.",
}


@dataclass(frozen=True)
class Technique:
    """One technique."""

    id: str
    name: str
    means: str

    @property
    def page(self) -> str:
        """The technique's address."""
        return f"https://atlas.mitre.org/techniques/{self.id}"


POISONING = Technique(
    "AML.T0020", "Poison Training Data", "Training data or their labels are changed so that the model learns a trigger."
)
MANIPULATION = Technique(
    "AML.T0018",
    "Manipulate AI Model",
    "The model itself is changed: its weights, its architecture, or code in its files.",
)
TECHNIQUES = (POISONING, MANIPULATION)


def techniques(coverage: Coverage | None) -> tuple[Technique, ...]:
    """Return the techniques behind a detector's findings; a trigger in behaviour can come from either."""
    match coverage.looks_at if coverage else None:
        case "bytes" | "graph":
            return (MANIPULATION,)
        case "training":
            return (POISONING,)
        case _:
            return TECHNIQUES


def rules(report: Report, found: tuple[Issue, ...]) -> dict[str, dict[str, Any]]:
    """Return SARIF rules by id: those of the policy's limits first, then what issues need besides."""
    covered = {coverage.detector: coverage for coverage in report.coverage}
    by_id = {
        f"{name}/{metric}": _of_limit(name, metric, covered.get(name))
        for name, rule in report.policy.detectors.items()
        for metric in rule.limits
    }
    for issue in found:
        if issue.rule not in by_id:
            by_id[issue.rule] = _of_other(issue, covered.get(issue.subject))
    return by_id


def _of_limit(name: str, metric: str, coverage: Coverage | None) -> dict[str, Any]:
    title = plain(coverage.title, 80) if coverage else name
    meaning = plain(coverage.metrics.get(metric, ""), 500) if coverage else ""
    return _rule(
        rule=f"{name}/{metric}",
        short=f"{title}: {metric} is beyond the policy's limit",
        full=meaning or f"The metric {metric} of the detector {name} is beyond the policy's limit.",
        severity=_SEVERITY["hard" if coverage and coverage.before_loading else "limit"],
        level="error",
        coverage=coverage,
    )


def _of_other(issue: Issue, coverage: Coverage | None) -> dict[str, Any]:
    subject = plain(coverage.title, 80) if coverage else issue.subject
    kind = issue.kind if issue.kind in _OTHER_TITLES else "condition"
    return _rule(
        rule=issue.rule,
        short=f"{subject}: {_OTHER_TITLES[kind][0].lower()}{_OTHER_TITLES[kind][1:]}",
        full=_OTHER_MEANS[kind],
        severity=_SEVERITY["other"],
        level="error" if issue.rule == UNFINISHED else "warning",
        coverage=coverage,
    )


def _rule(*, rule: str, short: str, full: str, severity: str, level: str, coverage: Coverage | None) -> dict[str, Any]:
    behind = techniques(coverage)
    parts = [("", full)]
    if coverage:
        parts += [("Measures", coverage.measures), ("Matters", coverage.matters), ("Blind to", coverage.blind_to)]
        parts += [("See", coverage.see)] if coverage.see else []
    parts.append(("ATLAS", ", ".join(f"{technique.id} {technique.name}" for technique in behind)))
    shown = [(head, plain(text, 1000)) for head, text in parts if text]
    return {
        "id": rule,
        "name": "".join(word.capitalize() for word in rule.replace("/", "-").split("-")),
        "shortDescription": {"text": f"{short}."},
        "fullDescription": {"text": full},
        "help": {
            "text": "\n".join(f"{head}: {text}" if head else text for head, text in shown),
            "markdown": "\n\n".join(
                f"**{head}**: {escape_markdown(text)}" if head else str(escape_markdown(text)) for head, text in shown
            ),
        },
        "helpUri": behind[-1].page,
        "defaultConfiguration": {"level": level},
        "relationships": [
            {"target": {"id": technique.id, "toolComponent": {"name": ATLAS}}, "kinds": ["relevant"]}
            for technique in behind
        ],
        "properties": {
            "tags": ["security", "backdoor", *(technique.id for technique in behind)],
            "security-severity": severity,
            "precision": "medium",
        },
    }


def taxonomy() -> dict[str, Any]:
    """Return the techniques as a SARIF taxonomy."""
    return {
        "name": ATLAS,
        "organization": "MITRE",
        "informationUri": "https://atlas.mitre.org/",
        "shortDescription": {"text": "Adversarial Threat Landscape for Artificial-Intelligence Systems."},
        "taxa": [
            {
                "id": technique.id,
                "name": technique.name,
                "shortDescription": {"text": technique.means},
                "helpUri": technique.page,
            }
            for technique in TECHNIQUES
        ],
    }
