"""The GitHub action: run by `act` on models in a real server, and its way through an image by a stand-in for docker."""

import itertools
import json
import os
import re
import shutil
import sys
from dataclasses import dataclass

import pytest

from tests.e2e import pipelines
from tests.e2e.acting import Acted, Workspace
from tests.e2e.command import ROOT
from tests.e2e.digits import TARGET
from tests.e2e.stories import story

DOCKER = """#!/bin/bash
# Records what it is called with and which variables would reach the container; ends as the test says.
printf '%s\\n' "$@" --- >> "$CALLS"
[[ " $* " != *" judge "* ]] || exit "$JUDGED"
[[ " $* " != *" publish "* ]] || exit "$JUDGED"
[[ " $* " != *" report "* ]] || exit "$SHOWN"
"""


UNSET = ("SAMPLES", "POLICY", "BANK", "TRACKING_URI", "REPORT_URL")
"""Inputs that the action passes on as empty variables where they are not given."""


@dataclass
class Seen:
    """A workflow that ended, and how the version stood in the registry then."""

    acted: Acted
    tags: dict


def acted(world, nickname, fail_on="flagged"):
    """Run the action under act on a fresh version in the server, with a `gate` on the PATH."""
    store = world.server
    name, folder = store.register(nickname), world.desk().folder
    variables = pipelines.environment(folder, MLFLOW_TRACKING_URI=store.uri)
    path = variables.pop("PATH")
    workspace = Workspace.write(folder, world.policy(), world.samples / "clean.npz")
    inputs = {"model": f"models:/{name}/1", "fail-on": fail_on}
    return Seen(workspace.act(inputs, variables, path), store.tags(name))


@story(acted, "clean")
def test_a_clean_version_passes_the_action(told):
    """Every output, the summary, the tag; the workflow succeeds."""
    assert told.acted.code == 0, told.acted.log
    assert (told.acted.outputs["decision"], told.acted.outputs["exit-code"]) == ("approved", "0")
    assert told.acted.outputs["target-classes"] == ""
    assert told.acted.outputs["model-digest"] == told.tags["gate.model_digest"]
    assert told.tags["gate.decision"] == "approved"
    assert "# APPROVED: `models:/clean-" in told.acted.log
    assert "❗" not in told.acted.log


@story(acted, "backdoored")
def test_a_backdoored_version_fails_the_action(told):
    """The workflow fails with the gate's code, and outputs, annotations and summary name the target."""
    assert told.acted.code == 1, told.acted.log
    assert (told.acted.outputs["decision"], told.acted.outputs["exit-code"]) == ("flagged", "1")
    assert told.acted.outputs["target-classes"] == str(TARGET)
    assert float(told.acted.outputs["anomaly-index"]) > 2
    assert told.tags["gate.decision"] == "flagged"
    assert "# FLAGGED for human review: `models:/backdoored-" in told.acted.log
    assert "exit status 1" in told.acted.log


@story(acted, "backdoored")
def test_the_action_leaves_sarif_for_code_scanning(told):
    """The file that `report-sarif` names is there, with a result at the policy's line."""
    (run,) = json.loads((told.acted.results / told.acted.outputs["report-sarif"]).read_text())["runs"]
    places = [result["locations"][0]["physicalLocation"] for result in run["results"]]
    assert {place["artifactLocation"]["uri"] for place in places} == {"policy.yml"}
    assert min(place["region"]["startLine"] for place in places) > 1


@dataclass
class InImage:
    """The action's script through an image."""

    ended: object
    calls: list


def in_image(folder, judged=1, shown=0, **inputs):
    """Run the action's script with a stand-in for docker whose judge, publish and report end as told."""
    folder.mkdir(exist_ok=True)
    variables = pipelines.environment(folder)
    for name, text in (("docker", DOCKER), ("nvidia-smi", "#!/bin/sh\nexit 1\n")):
        (folder / "bin" / name).write_text(text)
        (folder / "bin" / name).chmod(0o755)
    (folder / "calls").write_text("")
    settings = {
        **dict.fromkeys(map(str.lower, UNSET), ""),
        "device": "auto",
        "mark": "true",
        "allow_code": "false",
        "comment": "true",
        **inputs,
    }
    ended = pipelines.run(
        ["bash", str(ROOT / ".github" / "action" / "check.sh")],
        folder,
        {
            **variables,
            **{f"GATE_{key.upper()}": value for key, value in settings.items()},
            "GATE_REPORT_DIR": "gate-report",
            "GATE_GITHUB_TOKEN": "token",
            "GATE_SIGNING_KEY": "key",
            "GATE_MODEL_SIGNING_KEY": "key",
            "GATE_PROBE_SEED": "seed",
            "MLFLOW_TRACKING_TOKEN": "secret",
            "INPUT_MODEL": inputs.get("model", "models:/credit/7"),
            "INPUT_FAIL_ON": inputs.get("fail_on", "flagged"),
            "INPUT_JUDGED_BY": inputs.get("judged_by", "base"),
            "INPUT_BASE": inputs.get("input_base", ""),
            "INPUT_AGAINST": inputs.get("input_against", ""),
            "INPUT_IMAGE": "registry.example/gate@sha256:0",
            "INPUT_CONTAINER_NETWORK": "bridge",
            "GITHUB_OUTPUT": str(folder / "output"),
            "GITHUB_EVENT_NAME": "workflow_dispatch",
            "CALLS": str(folder / "calls"),
            "JUDGED": str(judged),
            "SHOWN": str(shown),
        },
    )
    calls = [call.split("\n") for call in (folder / "calls").read_text().split("\n---\n") if call]
    return InImage(ended, calls)


def passed(call):
    """Return the names of the variables that a container gets."""
    return {name.split("=")[0] for flag, name in itertools.pairwise(call) if flag == "--env"}


def verb(call):
    """Return the gate's command of a container."""
    return call[call.index("registry.example/gate@sha256:0") + 1]


def test_the_image_scans_without_network_and_secret(tmp_path):
    """Pull and publish get the credentials, publish the key, scan the probe seed; scan and judge have no network."""
    calls = {verb(call): call for call in in_image(tmp_path).calls}
    assert list(calls) == ["base", "pull", "scan", "judge", "publish", "report"]
    networks = {name: call[call.index("--network") + 1] for name, call in calls.items()}
    online = {name for name, network in networks.items() if network == "bridge"}
    assert online == {"pull", "publish", "report"}
    assert set(networks.values()) == {"bridge", "none"}
    holding = {
        secret: {name for name, call in calls.items() if secret in passed(call)}
        for secret in (
            *("MLFLOW_TRACKING_TOKEN", "GATE_SIGNING_KEY", "GATE_MODEL_SIGNING_KEY"),
            *("GATE_PROBE_SEED", "GATE_GITHUB_TOKEN"),
        )
    }
    assert holding == {
        "MLFLOW_TRACKING_TOKEN": {"pull", "publish"},
        "GATE_SIGNING_KEY": {"publish"},
        "GATE_MODEL_SIGNING_KEY": {"publish"},
        "GATE_PROBE_SEED": {"scan"},
        "GATE_GITHUB_TOKEN": {"report"},
    }


def mounted(call):
    """Return what a container is given to read beside its folder, as source and target."""
    volumes = [value for flag, value in itertools.pairwise(call) if flag == "--volume"]
    return {volume for volume in volumes if "/outside" in volume}


def test_what_lies_outside_the_checkout_reaches_the_containers(tmp_path):
    """A base model, a bank with its models and samples of the runner's own are there, and cannot be written."""
    outside = tmp_path / "outside"
    for folder in ("smollm", "banks"):
        (outside / folder).mkdir(parents=True)
    for name in ("banks/bank.json", "clean.jsonl"):
        (outside / name).write_text("")
    given = {"bank": f"{outside}/banks/bank.json", "samples": f"file://{outside}/clean.jsonl"}
    folders = {"input_base": f"{outside}/smollm", "input_against": f"{outside}/smollm"}
    calls = {verb(call): call for call in in_image(tmp_path / "job", **given, **folders).calls}
    expected = {f"{outside}/{name}:{outside}/{name}:ro" for name in ("smollm", "banks", "clean.jsonl")}
    assert {name: mounted(call) for name, call in calls.items()} == dict.fromkeys(calls, expected)
    assert {name for name, call in calls.items() if "GATE_BASE" in passed(call)} == {"base", "pull", "publish"}
    assert mounted(in_image(tmp_path / "next", bank=f"{outside}/none/bank.json").calls[0]) == set()


def test_an_input_that_is_not_given_leaves_the_jobs_variable(tmp_path):
    """`against` and `base` may come as the variables that they are everywhere else; an input wins."""
    script = 'docker() { echo "${GATE_BASE:-unset} ${GATE_AGAINST:-unset}"; }; . "$0"'
    lines = []
    for own, given in ((None, ""), ("models:/a/1", ""), ("models:/a/1", "models:/b/2")):
        settings = {"INPUT_BASE": given, "INPUT_AGAINST": "", "INPUT_MODEL": "models:/credit/7", "INPUT_IMAGE": "x"}
        settings |= {"INPUT_JUDGED_BY": "checkout", "INPUT_FAIL_ON": "flagged", "GATE_MARK": "false"}
        settings |= {"GATE_DEVICE": "cpu", "GATE_REPORT_DIR": "out", "INPUT_CONTAINER_NETWORK": "none"}
        settings |= dict.fromkeys((f"GATE_{name}" for name in UNSET), "") | ({"GATE_BASE": own} if own else {})
        variables = {"PATH": os.environ["PATH"], "RUNNER_TEMP": str(tmp_path), **settings}
        ended = pipelines.run(["bash", "-c", script, ROOT / ".github" / "action" / "check.sh"], tmp_path, variables)
        lines.append(ended.stdout.splitlines()[1])
    assert lines == ["unset unset", "models:/a/1 unset", "models:/b/2 unset"]


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


@pytest.mark.parametrize("judged", [0, 1, 125])
def test_a_check_that_cannot_be_shown_approves_nothing(tmp_path, judged):
    """An engine that starts nothing leaves no empty outputs: the step ends with 3 and says `flagged`, whatever was."""
    ended = in_image(tmp_path, judged, shown=125, fail_on="never").ended
    assert ended.returncode == 3
    assert (tmp_path / "output").read_text() == "decision=flagged\nexit-code=3\n"
    assert "::error title=gate::the check could not be shown" in ended.stdout


def test_a_gate_that_cannot_be_installed_is_no_verdict(tmp_path):
    """Pip's own exit code 1 is not taken for the gate's, which would let `fail-on: never` pass."""
    programs = tmp_path / "bin"
    programs.mkdir()
    for name in ("bash", "od", "tr", "grep", "mkdir", "mktemp"):
        (programs / name).symlink_to(shutil.which(name))
    (programs / "python3").write_text("#!/bin/bash\n[[ $2 == -c ]]\n")
    (programs / "python3").chmod(0o755)
    empty = dict.fromkeys((f"GATE_{name}" for name in UNSET), "")
    settings = {**empty, "GATE_DEVICE": "auto", "GATE_REPORT_DIR": "out"}
    inputs = {"INPUT_MODEL": "models:/credit/7", "INPUT_FAIL_ON": "never", "INPUT_JUDGED_BY": "base", "INPUT_IMAGE": ""}
    ended = pipelines.run(
        ["bash", str(ROOT / ".github" / "action" / "check.sh")],
        tmp_path,
        {"PATH": str(programs), "GITHUB_ACTION_PATH": str(ROOT), **settings, **inputs},
    )
    assert ended.returncode == 3, ended.stderr
    assert "::error title=gate::the gate could not be installed" in ended.stdout


def test_no_module_of_the_checkout_runs_while_the_gate_is_installed(tmp_path):
    """A venv.py or pip.py that a pull request brings stands in the working directory, and is not imported."""
    workspace, programs = tmp_path / "checkout", tmp_path / "bin"
    workspace.mkdir()
    programs.mkdir()
    for name in ("bash", "od", "tr", "grep", "mkdir", "mktemp"):
        (programs / name).symlink_to(shutil.which(name))
    (programs / "python3").symlink_to(sys.executable if sys.prefix == sys.base_prefix else sys._base_executable)
    for module in ("venv", "pip", "ensurepip", "sitecustomize"):
        (workspace / f"{module}.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'a').write({module!r})\n")
    settings = dict.fromkeys((f"GATE_{name}" for name in UNSET), "")
    settings |= {"GATE_DEVICE": "auto", "GATE_REPORT_DIR": "out", "RUNNER_TEMP": str(tmp_path), "PIP_NO_INDEX": "1"}
    inputs = {
        "INPUT_MODEL": "models:/credit/7",
        "INPUT_FAIL_ON": "flagged",
        "INPUT_JUDGED_BY": "base",
        "INPUT_IMAGE": "",
    }
    ended = pipelines.run(
        ["bash", str(ROOT / ".github" / "action" / "check.sh")],
        workspace,
        {"PATH": str(programs), "GITHUB_ACTION_PATH": str(ROOT), **settings, **inputs},
    )
    assert not (tmp_path / "ran").exists(), (tmp_path / "ran").read_text()
    assert (tmp_path / "gate-venv" / "bin" / "python").exists(), ended.stderr
    assert "::error title=gate::the gate could not be installed" in ended.stdout


@pytest.mark.parametrize("inputs", [{"model": "--help"}, {"fail_on": "no"}, {"device": "tpu"}, {"judged_by": "me"}])
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
