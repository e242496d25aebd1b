"""Pull requests that try to decide their own verdict, through the action's script and the GitLab component's.

Real repositories, a real check of a backdoored model; the fetch of the base goes over HTTP to git's own server, which
asks for the job's token.
"""

import base64
import json
import os
import subprocess
import threading
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import yaml

from tests.check.base.repositories import commit, git, write
from tests.e2e import pipelines
from tests.e2e.command import ROOT
from tests.e2e.stories import story

UNSET = ("GATE_SAMPLES", "GATE_POLICY", "GATE_BANK", "GATE_TRACKING_URI", "GATE_REPORT_URL")
TOKEN = "the-jobs-token"
SAYS_WHAT_IT_READ = """#!/bin/sh
# The seam between script and gate: everything is the gate's but the check, which says by which policy it would judge.
[ "$1" != check ] || { echo "judged by: $(cat "$GATE_POLICY")"; exit 0; }
exec "%s" -m gate "$@"
"""


def lenient(policy):
    """Return a policy's text whose every limit is gone: what somebody would write who wants to be approved."""
    rules = yaml.safe_load(policy)
    for rule in rules["detectors"].values():
        rule.update(limits={}, required=False)
    return yaml.safe_dump(rules | {"stages": rules["stages"], "name": "lenient"}, sort_keys=False)


def event_of(folder, base):
    """Write the event of a pull request and return its path."""
    path = folder / "event.json"
    path.write_text(json.dumps({"pull_request": {"number": 3, "base": {"sha": base, "ref": "main"}}}))
    return path


def action(workspace, variables, base, **inputs):
    """Run the action's script in a checkout, as a step of a workflow on a pull request."""
    out = workspace.parent / "out"
    out.mkdir(exist_ok=True)
    settings = {
        **dict.fromkeys(UNSET, ""),
        "GATE_DEVICE": "cpu",
        "GATE_MARK": "false",
        "GATE_ALLOW_CODE": "false",
        "GATE_COMMENT": "false",
        "GATE_REPORT_DIR": "gate-report",
        "GATE_GITHUB_TOKEN": "",
        "INPUT_MODEL": "models:/credit/7",
        "INPUT_FAIL_ON": "flagged",
        "INPUT_JUDGED_BY": "base",
        "INPUT_IMAGE": "",
        "INPUT_CONTAINER_NETWORK": "bridge",
        "GITHUB_EVENT_NAME": "pull_request",
        "GITHUB_EVENT_PATH": str(event_of(out, base)),
        "GITHUB_SHA": "f" * 40,
        "GITHUB_OUTPUT": str(out / "output"),
        "GITHUB_STEP_SUMMARY": str(out / "summary"),
        "RUNNER_TEMP": str(out),
        **inputs,
    }
    script = ["bash", str(ROOT / ".github" / "action" / "check.sh")]
    return pipelines.run(script, workspace, {**variables, **settings})


@dataclass
class Judged:
    """A run of the action on a pull request."""

    ended: object
    report: dict
    summary: str


def loosened(world, judged_by):
    """Check a backdoored model in a pull request whose policy has no limit left, and whose samples are others."""
    folder = world.desk().folder
    workspace = folder / "checkout"
    workspace.mkdir()
    policy = world.policy().read_text()
    base = commit(
        workspace, {"p/gate.yml": policy, "clean.npz": (world.samples / "clean.npz").read_bytes()}, "base", new=True
    )
    commit(workspace, {"p/gate.yml": lenient(policy)}, "head")
    ended = action(
        workspace,
        pipelines.environment(folder),
        base,
        INPUT_MODEL=str(world.server.model_folder("backdoored")),
        INPUT_JUDGED_BY=judged_by,
        GATE_POLICY="p/gate.yml",
        GATE_SAMPLES="clean.npz",
    )
    report = json.loads((workspace / "gate-report" / "report.json").read_text())
    return Judged(ended, report, (folder / "out" / "summary").read_text())


@story(loosened, "base")
def test_a_pull_request_cannot_loosen_its_policy(told):
    """The verdict is by the base branch's limits; annotation and summary say what the pull request changes."""
    assert told.ended.returncode == 1, told.ended.stderr
    assert told.report["verdict"]["decision"] == "flagged"
    assert told.report["policy"]["name"] == "quick"
    assert told.report["policy_source"]["path"] == "p/gate.yml"
    assert "::warning title=gate::This pull request changes p/gate.yml. That decided nothing" in told.ended.stdout
    assert "> **Note:** This pull request changes p/gate" in told.summary


@story(loosened, "checkout")
def test_the_same_change_would_have_decided(told):
    """With `judged-by: checkout` the loosened policy judges: the attack above is a real one."""
    assert told.report["policy"]["name"] == "lenient"
    assert told.report["verdict"]["decision"] == "approved"
    assert told.ended.returncode == 0, told.ended.stderr


class _GitServer(BaseHTTPRequestHandler):
    """Git's own server program behind HTTP, for who shows the token once."""

    projects: Path
    asked: list

    def do_GET(self):
        self._serve(b"")

    def do_POST(self):
        self._serve(self.rfile.read(int(self.headers["Content-Length"])))

    def _serve(self, body):
        given = self.headers.get_all("Authorization") or []
        self.asked.append(given)
        expected = "basic " + base64.b64encode(f"x-access-token:{TOKEN}".encode()).decode()
        if given != [expected]:
            self.send_error(400 if len(given) > 1 else 401)
            return
        path, _, query = self.path.partition("?")
        variables = {
            "GIT_PROJECT_ROOT": str(self.projects),
            "GIT_HTTP_EXPORT_ALL": "1",
            "PATH_INFO": path,
            "QUERY_STRING": query,
            "REQUEST_METHOD": self.command,
            "CONTENT_TYPE": self.headers.get("Content-Type", ""),
            "GIT_PROTOCOL": self.headers.get("Git-Protocol", ""),
            "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding", ""),
            "PATH": os.environ["PATH"],
        }
        done = subprocess.run(["git", "http-backend"], input=body, env=variables, capture_output=True, check=True)
        head, _, content = done.stdout.partition(b"\r\n\r\n")
        self.send_response(200)
        for line in head.decode().splitlines():
            name, _, value = line.partition(": ")
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_):
        """Say nothing."""


@pytest.fixture
def hosted(tmp_path):
    """Return a function that hosts a repository of base and head, and the address of the server."""
    handler = type("Handler", (_GitServer,), {"projects": tmp_path / "projects", "asked": []})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()

    def host(base_files, head_files):
        source = tmp_path / "projects" / "owner" / "credit"
        source.mkdir(parents=True)
        base = commit(source, base_files, "base", new=True)
        commit(source, head_files, "head")
        git(source, "config", "uploadpack.allowAnySHA1InWant", "true")
        # As a checkout of depth 1 leaves it, its own credential kept for the steps after it.
        git(tmp_path, "clone", "-q", "--depth=1", f"file://{source}", "checkout")
        address = f"http://127.0.0.1:{server.server_port}"
        git(tmp_path / "checkout", "config", f"http.{address}/.extraheader", "AUTHORIZATION: basic b3RoZXI=")
        return tmp_path / "checkout", base, {"GITHUB_SERVER_URL": address, "GITHUB_REPOSITORY": "owner/credit"}

    yield host, handler.asked
    server.shutdown()
    server.server_close()
    thread.join()


def seam(folder):
    """Return a job's variables with a `gate` whose check says what it was to judge by."""
    variables = pipelines.environment(folder)
    python = (folder / "bin" / "gate").read_text().split('"')[1]
    (folder / "bin" / "gate").write_text(SAYS_WHAT_IT_READ % python)
    return variables


POLICY = "version: 1\nname: strict-one\n"


def test_the_base_of_a_shallow_checkout_is_fetched(hosted, tmp_path):
    """By the job's token alone, though the checkout has kept another credential; the checkout stays as it was."""
    host, asked = hosted
    policy = (ROOT / "gate" / "policies" / "default.yml").read_text()
    workspace, base, server = host({"p/gate.yml": policy}, {"p/gate.yml": "anything: goes\n"})
    before = git(workspace, "status", "--porcelain=v2", "--branch")
    ended = action(workspace, seam(tmp_path), base, GATE_POLICY="p/gate.yml", GATE_GITHUB_TOKEN=TOKEN, **server)
    assert f"judged by: {policy.splitlines()[0]}" in ended.stdout, ended.stderr
    assert "anything: goes" not in ended.stdout
    assert asked
    assert all(len(given) == 1 for given in asked)
    assert TOKEN not in (workspace / ".git" / "config").read_text()
    after = git(workspace, "status", "--porcelain=v2", "--branch").replace("? gate-report/", "").strip()
    assert after == before


@pytest.mark.parametrize("token", ["", "another"])
def test_a_base_that_cannot_be_fetched_judges_nothing(hosted, tmp_path, token):
    """Exit 2 whatever `fail-on` says, an annotation, outputs that say flagged, and the setting that helps."""
    host, _ = hosted
    workspace, base, server = host({"p/gate.yml": POLICY}, {"p/gate.yml": POLICY})
    settings = {"GATE_POLICY": "p/gate.yml", "GATE_GITHUB_TOKEN": token, "INPUT_FAIL_ON": "never"}
    ended = action(workspace, seam(tmp_path), base, **settings, **server)
    assert ended.returncode == 2
    assert "judged by" not in ended.stdout
    assert "fetch-depth: 0" in ended.stderr
    assert "::error title=gate::policy, samples or bank of the base branch could not be taken" in ended.stdout
    assert (tmp_path / "out" / "output").read_text() == "decision=flagged\nexit-code=2\n"


def test_a_policy_that_the_pull_request_adds_judges_nothing(tmp_path):
    """Exit 2, with one sentence what to do; with `judged-by: checkout` it is used."""
    workspace = tmp_path / "checkout"
    workspace.mkdir()
    base = commit(workspace, {"README": ""}, "base", new=True)
    commit(workspace, {"p/gate.yml": POLICY}, "head")
    variables = seam(tmp_path)
    ended = action(workspace, variables, base, GATE_POLICY="p/gate.yml")
    assert (ended.returncode, "judged by" in ended.stdout) == (2, False)
    assert "Merge it into the base branch first" in ended.stderr
    ended = action(workspace, variables, base, GATE_POLICY="p/gate.yml", INPUT_JUDGED_BY="checkout")
    assert "judged by: version: 1" in ended.stdout


@pytest.mark.parametrize("name", ["push", "workflow_dispatch", "schedule"])
def test_a_push_is_judged_by_its_own_commit(tmp_path, name):
    """Who may push to a branch decides what is checked there."""
    workspace = tmp_path / "checkout"
    workspace.mkdir()
    commit(workspace, {"p/gate.yml": POLICY}, "first", new=True)
    write(workspace, {"p/gate.yml": POLICY})
    out = tmp_path / "push.json"
    out.write_text("{}")
    variables = seam(tmp_path)
    ended = action(
        workspace, variables, "", GATE_POLICY="p/gate.yml", GITHUB_EVENT_NAME=name, GITHUB_EVENT_PATH=str(out)
    )
    assert "judged by: version: 1" in ended.stdout, ended.stderr


def test_a_merge_request_of_gitlab_cannot_loosen_its_policy(tmp_path):
    """The component's job reads the base commit's policy; the note says what the merge request changes."""
    workspace = tmp_path / "project"
    workspace.mkdir()
    policy = (ROOT / "gate" / "policies" / "default.yml").read_text()
    base = commit(workspace, {"p/gate.yml": policy}, "base", new=True)
    commit(workspace, {"p/gate.yml": "anything: goes\n"}, "head")
    inputs = {"model": "models:/credit/7", "image": "registry.example/gate@sha256:0", "policy": "p/gate.yml"}
    job = pipelines.component("gate", **inputs)["gate"]
    variables = seam(tmp_path) | {"CI_MERGE_REQUEST_IID": "3", "CI_MERGE_REQUEST_DIFF_BASE_SHA": base}
    ended = pipelines.run_job(job, workspace, variables)
    assert f"judged by: {policy.splitlines()[0]}" in ended.stdout, ended.stderr
    assert "This pull request changes p/gate.yml. That decided nothing" in ended.stderr
    job["variables"]["GATE_JUDGED_BY"] = "checkout"
    assert "judged by: anything: goes" in pipelines.run_job(job, workspace, variables).stdout


def with_files_in_the_report_directory(tmp_path):
    """Return a checkout whose head brings what a broken-off scan would have left, and its base."""
    workspace = tmp_path / "checkout"
    workspace.mkdir()
    policy = {"p/gate.yml": (ROOT / "gate" / "policies" / "default.yml").read_text()}
    base = commit(workspace, policy, "base", new=True)
    commit(workspace, {"gate-report/unfinished.json": "{}"}, "head")
    return workspace, base


def test_measurements_that_a_pull_request_brings_judge_nothing(tmp_path):
    """A scan would go on from them: the action ends with 2, and says which directory."""
    workspace, base = with_files_in_the_report_directory(tmp_path)
    ended = action(workspace, seam(tmp_path), base, GATE_POLICY="p/gate.yml")
    assert (ended.returncode, "judged by" in ended.stdout) == (2, False)
    assert "the report directory gate-report is not empty" in ended.stderr
    assert "exit-code=2" in (tmp_path / "out" / "output").read_text()


def test_measurements_that_a_merge_request_brings_judge_nothing(tmp_path):
    """The GitLab component's job ends with 2 as well."""
    workspace, base = with_files_in_the_report_directory(tmp_path)
    inputs = {"model": "models:/credit/7", "image": "registry.example/gate@sha256:0", "policy": "p/gate.yml"}
    job = pipelines.component("gate", **inputs)["gate"]
    variables = seam(tmp_path) | {"CI_MERGE_REQUEST_IID": "3", "CI_MERGE_REQUEST_DIFF_BASE_SHA": base}
    ended = pipelines.run_job(job, workspace, variables)
    assert (ended.returncode, "judged by: " in ended.stdout) == (2, False)
    assert "the report directory gate-report is not empty" in ended.stderr
