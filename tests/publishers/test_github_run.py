"""What is written for GitHub's runner: outputs, summary, commands; and which pull request a run belongs to."""

import json
import re

import pytest

from gate.publishers import github
from tests.renderers import reports

COMMAND = re.compile(r"::(error|notice) ([a-z]+=[^,:]*)(,[a-z]+=[^,:]*)*::[^\r\n]*")


def read_outputs(text):
    """Return outputs as the runner reads them: everything up to a line that is the delimiter."""
    values, lines = {}, iter(text.splitlines())
    for line in lines:
        name, _, delimiter = line.partition("<<")
        value = []
        for part in lines:
            if part == delimiter:
                break
            value.append(part)
        values[name] = "\n".join(value)
    return values


def run_with(tmp_path, **environment):
    """Return the run of an environment with files for outputs and summary."""
    return github.run_of(
        {"GITHUB_OUTPUT": str(tmp_path / "out"), "GITHUB_STEP_SUMMARY": str(tmp_path / "summary"), **environment}
    )


def test_outputs_are_read_back_whatever_they_hold(tmp_path):
    """A value with lines of its own, even one that looks like an output, stays one value."""
    values = {"decision": "flagged", "name": "x\ndecision<<EOF\napproved\nEOF"}
    github.write_outputs(run_with(tmp_path), values)
    assert read_outputs((tmp_path / "out").read_text()) == values


def test_delimiters_are_never_the_same(tmp_path):
    """Nobody can foresee the line that ends a value."""
    run = run_with(tmp_path)
    for _ in range(2):
        github.write_outputs(run, {"a": "1", "b": "2"})
    found = re.findall(r"<<(gate_[0-9a-f]{32})", (tmp_path / "out").read_text())
    assert len(set(found)) == 4


@pytest.mark.parametrize("text", reports.HOSTILE, ids=range(len(reports.HOSTILE)))
def test_no_name_forges_a_command(text):
    """Each annotation is one line and one command, however the names look."""
    for line in github.annotations(reports.hostile(text)):
        assert COMMAND.fullmatch(line), line
        assert line.count("\n") == 0


@pytest.mark.parametrize("text", ["a%0A::error::b", "a\r\n::error::b", "x,line=9,file=/etc::y", "::stop-commands::x"])
def test_data_and_properties_are_escaped(text):
    """Per cent signs, line ends, colons and commas end nothing."""
    line = github.command("error", text, title=text)
    assert COMMAND.fullmatch(line), line
    assert "%0A::" not in line.split("::", 2)[2]


def test_annotations_stand_at_the_policys_line():
    """A limit that was exceeded is shown where the policy states it."""
    first = next(iter(github.annotations(reports.flagged())))
    assert first.startswith("::error title=gate%3A neural-cleanse/anomaly-index,file=policies/default.yml,line=18::")


def test_a_policy_outside_the_tree_has_no_line():
    """Without a file in the tree the annotation has a title alone."""
    report = reports.flagged()
    assert report.policy_source
    elsewhere = report.model_copy(update={"policy_source": report.policy_source.model_copy(update={"path": ""})})
    assert all("file=" not in line for line in github.annotations(elsewhere))


def test_no_more_annotations_than_github_shows():
    """Of forty findings nine are annotated, and the tenth says how many are left."""
    report = reports.flagged()
    assert report.verdict
    many = report.verdict.model_copy(update={"findings": report.verdict.findings[:1] * 40})
    lines = list(github.annotations(report.model_copy(update={"verdict": many})))
    assert len(lines) == 10
    assert "31 more findings" in lines[-1]


def test_an_approved_report_has_no_annotations():
    """Nothing to say, nothing said."""
    assert list(github.annotations(reports.approved())) == []


def test_the_pull_request_comes_from_the_event(tmp_path):
    """The event file names it; the ref is the fallback; other events have none."""
    event = tmp_path / "event.json"
    event.write_text(json.dumps({"pull_request": {"number": 12}}))
    assert run_with(tmp_path, GITHUB_EVENT_PATH=str(event)).pull_request == 12
    assert run_with(tmp_path, GITHUB_REF="refs/pull/34/merge").pull_request == 34
    event.write_text("[" * 5000)
    assert run_with(tmp_path, GITHUB_EVENT_PATH=str(event), GITHUB_REF="refs/heads/main").pull_request is None


def test_the_runs_page_is_the_link(tmp_path):
    """The address is made of the runner's own facts, and empty without them."""
    facts = {"GITHUB_REPOSITORY": "team/models", "GITHUB_RUN_ID": "5", "GITHUB_SERVER_URL": "https://git.example"}
    assert run_with(tmp_path, **facts).address == "https://git.example/team/models/actions/runs/5"
    assert run_with(tmp_path).address == ""
