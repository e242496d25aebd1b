"""`gate report github` and `gate report gitlab` on finished checks, with a forge on loopback."""

import json
import re

import pytest
from click.testing import CliRunner

from gate.cli.main import main
from gate.records.errors import UsageError
from gate.renderers import RENDERERS
from tests.cli.every import commands
from tests.publishers import forge
from tests.publishers.test_github_run import read_outputs
from tests.renderers import reports

CODES = {"approved": 0, "flagged": 1, "unfinished": 3}
OUTPUTS = [
    *("anomaly-index", "bundle-digest", "covers", "decision", "exit-code", "model-digest", "p-value"),
    *("report-html", "report-sarif", "report-url", "silhouette", "target-classes"),
]


@pytest.fixture
def written(tmp_path):
    """Return a function that writes a report's files into a directory, as a check does."""

    def write(name):
        folder = tmp_path / "out"
        folder.mkdir(exist_ok=True)
        report = reports.hostile(name) if name not in CODES else getattr(reports, name)()
        (folder / "report.json").write_text(RENDERERS["json"][1](report))
        for kind in ("html", "sarif"):
            (folder / f"report.{kind}").touch()  # only their paths are handed on
        return folder

    return write


@pytest.fixture
def github(tmp_path):
    """Return a function that runs `gate report github` in a pull request's environment against a forge."""

    def run(folder, *arguments, hub=None, **environment):
        event = tmp_path / "event.json"
        event.write_text(json.dumps({"pull_request": {"number": 3}}))
        for name in ("output", "summary"):
            (tmp_path / name).unlink(missing_ok=True)
        settings = {
            "GITHUB_OUTPUT": str(tmp_path / "output"),
            "GITHUB_STEP_SUMMARY": str(tmp_path / "summary"),
            "GITHUB_EVENT_PATH": str(event),
            "GITHUB_REPOSITORY": "team/models",
            "GITHUB_RUN_ID": "5",
            "GITHUB_SERVER_URL": "https://github.com",
            "GITHUB_API_URL": hub.address if hub else "http://127.0.0.1:9",
            "GITHUB_TOKEN": "secret" if hub else None,
        }
        ended = CliRunner().invoke(
            main, ["report", "github", str(folder), *arguments], env=settings | environment, catch_exceptions=False
        )
        assert ended.exit_code == 0, ended.output
        outputs = read_outputs((tmp_path / "output").read_text())
        return outputs, (tmp_path / "summary").read_text(), ended.stdout

    return run


@pytest.mark.parametrize("name", CODES)
def test_outputs_and_summary_of_each_outcome(name, written, github):
    """Decision, digest and paths are handed on; the summary is the report under a link to the run."""
    folder = written(name)
    outputs, summary, _ = github(folder, "--exit-code", CODES[name])
    assert outputs["decision"] == ("approved" if name == "approved" else "flagged")
    assert outputs["exit-code"] == str(CODES[name])
    assert outputs["report-html"] == f"{folder}/report.html"
    assert outputs["report-sarif"] == f"{folder}/report.sarif"
    assert outputs["report-url"] == "https://github.com/team/models/actions/runs/5"
    assert outputs["model-digest"].startswith("sha256:")
    covers = {"approved": "candidate", "flagged": "bundle", "unfinished": ""}[name]
    assert (outputs["covers"], bool(outputs["bundle-digest"])) == (covers, bool(covers))
    assert "](https://github.com/team/models/actions/runs/5)" in summary
    assert {"approved": "# APPROVED", "flagged": "# FLAGGED", "unfinished": "# COULD NOT FINISH"}[name] in summary


def test_the_headline_of_a_flagged_model(written, github):
    """Anomaly index, silhouette and target classes are those of the report."""
    outputs, _, stdout = github(written("flagged"))
    assert (outputs["anomaly-index"], outputs["silhouette"], outputs["target-classes"]) == ("7.64", "0.62", "7")
    assert outputs["p-value"] == ""
    assert "::error title=gate%3A neural-cleanse/anomaly-index,file=policies/default.yml,line=18::" in stdout


def test_the_comment_is_created_once_and_then_updated(written, github):
    """Two checks of one model leave one comment, which shows the second."""
    with forge.serving("github") as hub:
        github(written("flagged"), hub=hub)
        github(written("approved"), hub=hub)
        (comment,) = hub.comments
    assert re.match(r"<!-- gate:[0-9a-f]{32} -->\n### APPROVED", comment["body"])
    assert len(comment["body"].encode()) < 65_536


def test_a_read_only_token_falls_back_to_the_summary(written, github):
    """On a fork the comment is refused; the summary and a notice say so, and the command ends with 0."""
    with forge.serving("github") as hub:
        hub.faults = [("POST", 403)]
        _, summary, stdout = github(written("flagged"), hub=hub)
        assert hub.comments == []
    assert "> **Note:** The comment could not be posted: the token may not write comments" in summary
    assert "::notice title=gate::The comment could not be posted" in stdout


def test_without_a_token_the_summary_says_what_to_give(written, github):
    """No token, no request, one sentence."""
    _, summary, _ = github(written("flagged"))
    assert "There is no token, so no comment was posted" in summary


@pytest.mark.parametrize(("left", "code"), [("approved", 1), ("approved", 3), ("approved", 2), ("flagged", 0)])
def test_a_report_of_an_earlier_check_is_not_shown(left, code, written, github):
    """What lies in the directory must go with the exit code; otherwise the decision is flagged."""
    outputs, summary, stdout = github(written(left), "--exit-code", str(code))
    assert outputs["decision"] == "flagged"
    assert outputs["report-html"] == outputs["model-digest"] == outputs["bundle-digest"] == outputs["covers"] == ""
    assert "COULD NOT FINISH" in summary
    assert stdout.startswith("::error title=gate::")


def test_without_any_report_the_decision_is_flagged(tmp_path, github):
    """A check that wrote nothing still has outputs and a summary, and they do not approve."""
    outputs, summary, _ = github(tmp_path / "nothing", "--exit-code", "2")
    assert (outputs["decision"], outputs["exit-code"]) == ("flagged", "2")
    assert "nothing was approved" in summary


@pytest.mark.parametrize("text", reports.HOSTILE, ids=range(len(reports.HOSTILE)))
def test_no_name_forges_an_output_or_a_command(text, written, github):
    """Outputs have the same names for every model, and every line of standard output is one command of the gate's."""
    outputs, _, stdout = github(written(text))
    assert sorted(outputs) == OUTPUTS
    assert outputs["decision"] == "flagged"
    assert all(re.match(r"::(error|notice) title=", line) for line in stdout.splitlines())


def test_an_address_that_is_none_is_refused(written):
    """`--report-url javascript:…` is a usage error."""
    with pytest.raises(UsageError, match="expected an address"):
        CliRunner().invoke(
            main, ["report", "github", str(written("flagged")), "--report-url", "javascript:x"], catch_exceptions=False
        )


@pytest.fixture
def gitlab(tmp_path):
    """Return a function that runs `gate report gitlab` in a merge request's environment against a forge."""

    def run(folder, *arguments, hub=None, token="secret"):
        settings = {
            "CI_API_V4_URL": hub.address if hub else "http://127.0.0.1:9",
            "CI_MERGE_REQUEST_PROJECT_ID": "4",
            "CI_MERGE_REQUEST_IID": "3",
            "CI_JOB_URL": "https://gitlab.example/team/models/-/jobs/9",
            "GATE_GITLAB_TOKEN": token,
        }
        file = tmp_path / "gate.env"
        command = ["report", "gitlab", str(folder), "--dotenv", str(file), *arguments]
        ended = CliRunner().invoke(main, command, env=settings, catch_exceptions=False)
        assert ended.exit_code == 0, ended.output
        return file.read_text(), ended.stderr

    return run


def test_gitlab_gets_variables_and_one_note(written, gitlab):
    """The note is created once and then updated; the variables name decision, digest and the artifacts' page."""
    with forge.serving("gitlab") as hub:
        gitlab(written("approved"), hub=hub)
        text, _ = gitlab(written("flagged"), "--exit-code", "1", hub=hub)
        (note,) = hub.comments
    values = dict(line.split("=", 1) for line in text.splitlines())
    assert values["GATE_DECISION"] == "flagged"
    assert values["GATE_TARGET_CLASSES"] == "7"
    assert values["GATE_REPORT_ADDRESS"] == "https://gitlab.example/team/models/-/jobs/9/artifacts/browse"
    assert "### FLAGGED" in note["body"]


def test_gitlab_without_a_token_says_so(written, gitlab):
    """No note, no failure."""
    _, stderr = gitlab(written("flagged"), token=None)
    assert "There is no token, so no comment was posted" in stderr


@pytest.mark.parametrize("text", reports.HOSTILE, ids=range(len(reports.HOSTILE)))
def test_variables_stay_within_gitlabs_rules(text, written, gitlab):
    """Fewer than 20 lines of NAME=value in a narrow alphabet, 5 KB in all, whatever the names."""
    lines = gitlab(written(text), token=None)[0].splitlines()
    assert len(lines) < 20
    assert all(re.fullmatch(r"GATE_[A-Z_]+=[A-Za-z0-9._:/@+,=~#?&-]*", line) for line in lines)
    assert len("\n".join(lines)) < 5000


def test_variables_are_no_options_of_the_gate(written, gitlab):
    """A later job that runs the gate is not changed by the variables of an earlier one."""
    text, _ = gitlab(written("flagged"), token=None)
    given = (option.envvar for _, command in commands() for option in command.params)
    taken = {name for names in given for name in ([names] if isinstance(names, str) else names or [])}
    assert taken
    assert not {line.split("=")[0] for line in text.splitlines()} & taken


@pytest.fixture
def outside(monkeypatch):
    """Return a function that runs `gate report` where no runner has set a variable, and returns its error."""
    for name in ("GITHUB_OUTPUT", "GITHUB_STEP_SUMMARY", "GITHUB_EVENT_PATH", "GITHUB_REF", "CI_MERGE_REQUEST_IID"):
        monkeypatch.delenv(name, raising=False)

    def run(*arguments):
        with pytest.raises(UsageError) as caught:
            CliRunner().invoke(main, ["report", *map(str, arguments)], catch_exceptions=False)
        return caught.value

    return run


def test_outside_a_pipeline_there_is_nothing_to_write(written, outside):
    """It says so and where the report is, and does not end well without having done anything."""
    folder = written("flagged")
    for forge_name in ("github", "gitlab"):
        error = outside(forge_name, folder)
        assert "nothing to write" in str(error)
        assert f"{folder}/report.html" in error.what_to_do
    assert "--dotenv gate.env" in outside("gitlab", folder, "--no-comment").what_to_do


def test_what_was_written_is_said(written, tmp_path):
    """Without a merge request the variables alone, and the file's name on standard error."""
    file = tmp_path / "gate.env"
    ended = CliRunner().invoke(main, ["report", "gitlab", str(written("flagged")), "--dotenv", str(file)])
    assert (ended.exit_code, file.exists()) == (0, True), ended
    assert f"variables written to {file}" in ended.stderr


def test_a_directory_without_a_report_is_a_wrong_argument(outside, tmp_path, monkeypatch):
    """Missing, or of a check that has not ended: what helps is named; with the check's exit code it goes on."""
    monkeypatch.setenv("GITHUB_OUTPUT", str(tmp_path / "output"))
    assert "there is no folder" in str(outside("github", tmp_path / "nowhere"))
    error = outside("github", tmp_path)
    assert "holds no report.json" in str(error)
    assert f"gate judge {tmp_path}" in error.what_to_do
    ended = CliRunner().invoke(main, ["report", "github", str(tmp_path), "--exit-code", "1"], catch_exceptions=False)
    assert ended.exit_code == 0
    assert read_outputs((tmp_path / "output").read_text())["decision"] == "flagged"
