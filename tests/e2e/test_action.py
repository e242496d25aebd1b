"""The GitHub action: run by `act` on models in a real server, and its way through an image by a stand-in for docker."""

import itertools
import json
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.e2e import pipelines
from tests.e2e.command import ROOT
from tests.e2e.digits import TARGET
from tests.e2e.stories import story
from tests.publishers.test_github_run import read_outputs

WORKFLOW = """
name: selftest
on: workflow_dispatch
permissions: {}
jobs:
  gate:
    runs-on: ubuntu-latest
    steps:
      - uses: actions/checkout@de0fac2e4500dabe0009e67214ff5f5447ce83dd # v6.0.2
        with: {persist-credentials: false}
      - id: gate
        uses: ./
        with:
          model: ${{ github.event.inputs.model }}
          fail-on: ${{ github.event.inputs.fail-on }}
          policy: policy.yml
          samples: clean.npz
          device: cpu
      - if: always()
        shell: bash
        env:
          FOUND: ${{ toJSON(steps.gate.outputs) }}
        run: printf '%s' "$FOUND" > "$RESULTS/outputs.json" && cp -r gate-report "$RESULTS"
"""
COLOURS = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
DOCKER = """#!/bin/bash
# Records what it is called with and which variables would reach the container; ends as the test says.
printf '%s\\n' "$@" --- >> "$CALLS"
[[ " $* " != *" judge "* ]] || exit "$JUDGED"
[[ " $* " != *" publish "* ]] || exit "$JUDGED"
"""


@dataclass
class Acted:
    """A workflow that ended."""

    code: int
    log: str
    outputs: dict
    results: Path
    tags: dict


def acted(world, nickname, fail_on="flagged"):
    """Run the action under act on a fresh version in the server."""
    store = world.server
    name, folder = store.register(nickname), world.desk().folder
    repository, results = folder / "repository", folder / "results"
    (repository / ".github" / "workflows").mkdir(parents=True)
    results.mkdir()
    (repository / ".github" / "workflows" / "selftest.yml").write_text(WORKFLOW)
    shutil.copy(ROOT / "action.yml", repository)
    shutil.copytree(ROOT / ".github" / "action", repository / ".github" / "action")
    shutil.copy(world.policy(), repository / "policy.yml")
    shutil.copy(world.samples / "clean.npz", repository)
    variables = pipelines.environment(folder)
    git = ["git", "-c", "user.name=t", "-c", "user.email=t@example.org"]
    for step in (["init", "-q"], ["add", "-A"], ["commit", "-qm", "all"]):
        subprocess.run([*git, *step], cwd=repository, env=variables, check=True)
    passed = {"MLFLOW_TRACKING_URI": store.uri, "RESULTS": str(results), "GATE_THREADS": "1", "OMP_NUM_THREADS": "1"}
    ended = pipelines.run(
        [
            *("act", "workflow_dispatch", "-P", "ubuntu-latest=-self-hosted", "--no-cache-server"),
            *("--input", f"model=models:/{name}/1", "--input", f"fail-on={fail_on}"),
            *(part for key, value in passed.items() for part in ("--env", f"{key}={value}")),
        ],
        repository,
        variables,
    )
    outputs = json.loads((results / "outputs.json").read_text() or "{}")
    return Acted(ended.returncode, COLOURS.sub("", ended.stdout + ended.stderr), outputs, results, store.tags(name))


@story(acted, "clean")
def test_a_clean_version_passes_the_action(told):
    """Every output, the summary, the tag; the workflow succeeds."""
    assert told.code == 0, told.log
    assert (told.outputs["decision"], told.outputs["exit-code"]) == ("approved", "0")
    assert told.outputs["target-classes"] == ""
    assert told.outputs["model-digest"] == told.tags["gate.model_digest"]
    assert told.tags["gate.decision"] == "approved"
    assert "# APPROVED: `models:/clean-" in told.log
    assert "❗" not in told.log


@story(acted, "backdoored")
def test_a_backdoored_version_fails_the_action(told):
    """The workflow fails with the gate's code, and outputs, annotations and summary name the target."""
    assert told.code == 1, told.log
    assert (told.outputs["decision"], told.outputs["exit-code"]) == ("flagged", "1")
    assert told.outputs["target-classes"] == str(TARGET)
    assert float(told.outputs["anomaly-index"]) > 2
    assert told.tags["gate.decision"] == "flagged"
    assert "# FLAGGED for human review: `models:/backdoored-" in told.log
    assert "exit status 1" in told.log


@story(acted, "backdoored")
def test_the_action_leaves_sarif_for_code_scanning(told):
    """The file that `report-sarif` names is there, with a result at the policy's line."""
    (run,) = json.loads((told.results / told.outputs["report-sarif"]).read_text())["runs"]
    places = [result["locations"][0]["physicalLocation"] for result in run["results"]]
    assert {place["artifactLocation"]["uri"] for place in places} == {"policy.yml"}
    assert min(place["region"]["startLine"] for place in places) > 1


@dataclass
class InImage:
    """The action's script through an image."""

    ended: object
    calls: list
    outputs: dict


def in_image(folder, judged=1, **inputs):
    """Run the action's script with a stand-in for docker whose judge and publish end with `judged`."""
    variables = pipelines.environment(folder)
    for name, text in (("docker", DOCKER), ("nvidia-smi", "#!/bin/sh\nexit 1\n")):
        (folder / "bin" / name).write_text(text)
        (folder / "bin" / name).chmod(0o755)
    (folder / "calls").write_text("")
    defaults = {"samples": "", "policy": "", "bank": "", "tracking_uri": "", "report_url": ""}
    settings = {**defaults, "device": "auto", "mark": "true", "allow_code": "false", "comment": "true", **inputs}
    ended = pipelines.run(
        ["bash", str(ROOT / ".github" / "action" / "check.sh")],
        folder,
        {
            **variables,
            **{f"GATE_{key.upper()}": value for key, value in settings.items()},
            "GATE_REPORT_DIR": "gate-report",
            "GATE_GITHUB_TOKEN": "token",
            "GATE_SIGNING_KEY": "key",
            "MLFLOW_TRACKING_TOKEN": "secret",
            "INPUT_MODEL": inputs.get("model", "models:/credit/7"),
            "INPUT_FAIL_ON": inputs.get("fail_on", "flagged"),
            "INPUT_IMAGE": "registry.example/gate@sha256:0",
            "INPUT_CONTAINER_NETWORK": "bridge",
            "GITHUB_OUTPUT": str(folder / "output"),
            "CALLS": str(folder / "calls"),
            "JUDGED": str(judged),
        },
    )
    calls = [call.split("\n") for call in (folder / "calls").read_text().split("\n---\n") if call]
    file = folder / "output"
    return InImage(ended, calls, read_outputs(file.read_text()) if file.exists() else {})


def passed(call):
    """Return the names of the variables that a container gets."""
    return {name.split("=")[0] for flag, name in itertools.pairwise(call) if flag == "--env"}


def verb(call):
    """Return the gate's command of a container."""
    return call[call.index("registry.example/gate@sha256:0") + 1]


def test_the_image_scans_without_network_and_secret(tmp_path):
    """Pull and publish get the credentials, publish alone the key, scan and judge neither network nor secret."""
    calls = {verb(call): call for call in in_image(tmp_path).calls}
    assert list(calls) == ["pull", "scan", "judge", "publish", "report"]
    networks = {name: call[call.index("--network") + 1] for name, call in calls.items()}
    assert networks == {"pull": "bridge", "scan": "none", "judge": "none", "publish": "bridge", "report": "bridge"}
    holding = {
        secret: {name for name, call in calls.items() if secret in passed(call)}
        for secret in ("MLFLOW_TRACKING_TOKEN", "GATE_SIGNING_KEY", "GATE_GITHUB_TOKEN")
    }
    assert holding == {
        "MLFLOW_TRACKING_TOKEN": {"pull", "publish"},
        "GATE_SIGNING_KEY": {"publish"},
        "GATE_GITHUB_TOKEN": {"report"},
    }


def test_every_container_is_confined(tmp_path):
    """Read-only root, no capabilities, no new privileges, the caller's own user."""
    for call in in_image(tmp_path).calls:
        assert {"--rm", "--read-only", "--user"} <= set(call)
        assert call[call.index("--cap-drop") + 1] == "ALL"
        assert call[call.index("--security-opt") + 1] == "no-new-privileges"


@pytest.mark.parametrize(("device", "gpus"), [("auto", False), ("cpu", False), ("cuda", True)])
def test_a_gpu_is_asked_for_and_never_assumed(tmp_path, device, gpus):
    """Without a working nvidia-smi auto is the CPU; cuda asks docker for a GPU whatever there is."""
    scan = next(call for call in in_image(tmp_path, device=device).calls if verb(call) == "scan")
    assert ("--gpus" in scan) == gpus


@pytest.mark.parametrize(
    ("judged", "fail_on", "code"),
    [(0, "flagged", 0), (1, "flagged", 1), (1, "never", 0), (3, "never", 3), (137, "never", 3)],
)
def test_only_a_flagged_version_can_be_let_through(tmp_path, judged, fail_on, code):
    """`fail-on: never` lets exit code 1 pass and nothing else; what docker adds counts as could not finish."""
    assert in_image(tmp_path, judged, fail_on=fail_on).ended.returncode == code


@pytest.mark.parametrize("inputs", [{"model": "--help"}, {"fail_on": "no"}, {"device": "tpu"}])
def test_inputs_that_mean_nothing_are_refused(tmp_path, inputs):
    """Exit 2 before anything is pulled, with an annotation that quotes nothing."""
    found = in_image(tmp_path, **inputs)
    assert (found.ended.returncode, found.calls) == (2, [])
    assert re.fullmatch(r"::error title=gate::[a-z][\w :,/-]*\n", found.ended.stdout)


def test_what_the_check_prints_is_no_command(tmp_path):
    """Commands are stopped before the check begins, by a word that is never the same, and allowed again after it."""
    words = set()
    for number in range(2):
        folder = tmp_path / str(number)
        folder.mkdir()
        lines = in_image(folder).ended.stdout.split("\n")
        word = re.fullmatch(r"::stop-commands::([0-9a-f]{32})", lines[0])[1]
        assert f"::{word}::" in lines
        words.add(word)
    assert len(words) == 2
