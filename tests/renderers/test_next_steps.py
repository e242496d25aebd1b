"""What a report tells its reader to type: commands that there are, in an order that ends with the decision."""

import shlex

import pytest
import reports

from gate.artifact import ModelRef
from gate.cli.main import main
from gate.conclude import Context, build_report
from gate.report import Report


def steps(report: Report, model: ModelRef | None) -> list[list[str]]:
    """Return the words of each command for a report's evidence about a model, its comment left out."""
    assert report.evidence
    assert report.verdict
    evidence = report.evidence.model_copy(update={"model": model})
    context = Context(uri=str(model), model=model, directory="out dir", policy_path="p.yml")
    built = build_report(evidence, report.verdict, report.policy, context)
    assert all("  # " in command for command in built.commands)
    return [shlex.split(command, comments=True) for command in built.commands]


def test_a_flagged_version_leads_to_its_review() -> None:
    """Explain, measure again, judge again, and last what the reviewer's word is given with."""
    found = steps(reports.flagged(), ModelRef(registry="mlflow", name="credit", version="7"))
    assert [words[1] for words in found][-3:] == ["check", "judge", "review"]
    assert found[0][:2] == ["gate", "explain"]
    assert found[-2] == ["gate", "judge", "out dir", "--policy", "p.yml"]
    assert found[-1] == ["gate", "review", "show", "models:/credit/7"]
    assert {words[1] for words in found} <= main.commands.keys()


def test_a_folder_has_no_review() -> None:
    """What is in no registry is shown no command for one."""
    found = steps(reports.flagged(), ModelRef(registry="directory", name="/models/credit"))
    assert "review" not in {words[1] for words in found}


def test_an_approved_version_can_be_promoted() -> None:
    """The same measurements can be judged again; last comes the command that copies the bundle, where there is one."""
    found = steps(reports.approved(), ModelRef(registry="mlflow", name="credit", version="7"))
    assert [words[1] for words in found] == ["judge", "promote"]
    assert found[-1][2:] == ["models:/credit/7", "--to", "PRODUCTION", "--alias", "champion"]
    unbundled = steps(reports.unbundled(), ModelRef(registry="mlflow", name="credit", version="7"))
    assert [words[1] for words in unbundled] == ["judge"]


def test_a_detector_that_failed_is_not_explained() -> None:
    """Where nothing was measured, what a detector measures is no next step."""
    report = reports.flagged()
    assert report.verdict
    silent = tuple(finding.model_copy(update={"kind": "silence"}) for finding in report.verdict.findings)
    report = report.model_copy(update={"verdict": report.verdict.model_copy(update={"findings": silent})})
    found = steps(report, ModelRef(registry="mlflow", name="credit", version="7"))
    assert [words[1] for words in found] == ["check", "judge", "review"]


@pytest.mark.parametrize("name", ["a b; rm x", "$(id)", "it's", "x # y"])
def test_a_name_stays_one_word_of_a_command(name: str) -> None:
    """Whatever a registry calls a model, a shell reads it as an argument."""
    found = steps(reports.flagged(), ModelRef(registry="mlflow", name=name, version="7"))
    assert found[-1][-1] == f"models:/{name}/7"
    assert next(words for words in found if words[1] == "check")[2] == f"models:/{name}/7"
