"""The GitLab components: valid for GitLab, and their scripts run as GitLab runs them."""

import json
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
import yaml

from tests.check.base.repositories import commit
from tests.e2e import pipelines
from tests.e2e.command import ROOT
from tests.e2e.digits import TARGET
from tests.e2e.stories import story
from tests.publishers import forge

NAMES = ["gate", "gate-with-review"]
INPUTS = {"model": "models:/credit/7", "image": "registry.example/gate@sha256:" + "0" * 64}


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("more", [{}, {"runner_tags": ["gpu", "big"], "device": "cuda"}])
def test_a_component_is_valid_for_gitlab(name, more, tmp_path):
    """With its inputs filled in, a component fits GitLab's own schema of a pipeline."""
    file = tmp_path / ".gitlab-ci.yml"
    file.write_text(yaml.safe_dump(pipelines.component(name, **INPUTS, **more)))
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.gitlab-ci", str(file)]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stdout


@pytest.mark.parametrize("name", NAMES)
def test_inputs_reach_no_script(name):
    """Inputs are variables of the job; a script that they were pasted into could be broken out of."""
    header, _, body = (ROOT / "templates" / f"{name}.yml").read_text().partition("\n---\n")
    inputs = yaml.safe_load(header)["spec"]["inputs"]
    assert all(spec["description"] for spec in inputs.values())
    for job in yaml.safe_load(pipelines.INPUT.sub("filled", body)).values():
        assert all("filled" not in line for line in job["script"])
    assert set(pipelines.INPUT.findall(body)) == inputs.keys()


def test_both_components_run_the_same_job():
    """The one with a review differs in what exit code 1 does, and in the job of the review."""
    plain = pipelines.component("gate", **INPUTS)["gate"]
    reviewed = pipelines.component("gate-with-review", **INPUTS)
    job = dict(reviewed["gate"])
    assert job.pop("allow_failure") == {"exit_codes": [1]}
    assert job == plain
    review = reviewed["gate-review"]
    assert (review["when"], review["allow_failure"], review["environment"]) == (
        "manual",
        False,
        {"name": "model-production"},
    )


@dataclass
class Ran:
    """A job that ended."""

    ended: object
    job: dict
    folder: Path
    notes: list
    variables: dict


def ran(world, nickname, times=1, policy="policy.yml"):
    """Run the component's job on a model folder in a merge request, and return what the last run left."""
    model = world.server.model_folder(nickname)
    folder = world.desk().folder
    base = commit(folder, {"policy.yml": world.policy().read_bytes()}, "base", new=True)
    given = {"model": str(model), "samples": str(world.samples / "clean.npz"), "policy": policy, "mark": "false"}
    job = pipelines.component("gate", **{**INPUTS, **given, "device": "cpu"})["gate"]
    with forge.serving("gitlab") as hub:
        variables = pipelines.environment(
            folder,
            CI_API_V4_URL=hub.address,
            CI_MERGE_REQUEST_DIFF_BASE_SHA=base,
            CI_MERGE_REQUEST_PROJECT_ID="4",
            CI_MERGE_REQUEST_IID="3",
            CI_JOB_URL="https://gitlab.example/j/9",
            GATE_GITLAB_TOKEN="secret",
        )
        for _ in range(times):
            shutil.rmtree(folder / "gate-report", ignore_errors=True)  # as the runner's `git clean` does
            ended = pipelines.run_job(job, folder, variables)
    file = folder / "gate-report" / "gate.env"
    lines = file.read_text().splitlines() if file.exists() else []
    return Ran(ended, job, folder, hub.comments, dict(line.split("=", 1) for line in lines))


@story(ran, "clean")
def test_a_clean_model_passes_the_job(told):
    """Exit 0, every declared artifact, variables that say approved, no code-quality entry, a note."""
    assert told.ended.returncode == 0, told.ended.stderr
    assert all(pipelines.artifacts(told.job, told.folder).values())
    assert told.variables["GATE_DECISION"] == "approved"
    assert json.loads((told.folder / "gate-report/report.codequality.json").read_text()) == []
    assert "### APPROVED" in told.notes[0]["body"]


@story(ran, "backdoored", 2)
def test_a_backdoored_model_fails_the_job(told):
    """Exit 1, the target in the variables, failures in JUnit, an issue at its line, one note after two runs."""
    assert told.ended.returncode == 1, told.ended.stderr
    assert all(pipelines.artifacts(told.job, told.folder).values())
    assert (told.variables["GATE_DECISION"], told.variables["GATE_TARGET_CLASSES"]) == ("flagged", str(TARGET))
    suite = ET.parse(told.folder / "gate-report/report.junit.xml").getroot()
    assert int(suite.get("failures")) > 0
    issue = json.loads((told.folder / "gate-report/report.codequality.json").read_text())[0]
    assert issue["location"]["path"] == "policy.yml"
    text = (told.folder / "policy.yml").read_text().splitlines()[issue["location"]["lines"]["begin"] - 1]
    assert issue["check_name"].split("/")[1] in text
    assert len(told.notes) == 1


@story(ran, "clean", 1, "missing.yml")
def test_a_wrong_policy_fails_the_job_with_two(told):
    """Exit 2, and the variables flag, although nothing was pulled."""
    assert told.ended.returncode == 2, told.ended.stderr
    assert told.variables["GATE_DECISION"] == "flagged"
    assert told.notes == []


def test_the_review_job_needs_a_decision(tmp_path):
    """Started by hand it says what was decided and who let it on; without a decision it fails."""
    job = pipelines.component("gate-with-review", **INPUTS)["gate-review"]
    variables = pipelines.environment(tmp_path)
    facts = {"GATE_DECISION": "flagged", "GATE_MODEL_DIGEST": "sha256:1", "GITLAB_USER_LOGIN": "r.lindqvist"}
    ended = pipelines.run_job(job, tmp_path, variables | facts)
    assert (ended.returncode, "let on by r.lindqvist" in ended.stdout) == (0, True)
    assert pipelines.run_job(job, tmp_path, variables).returncode == 3
