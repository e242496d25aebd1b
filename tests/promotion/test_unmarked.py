"""A real server with accounts: who may not mark is told before the scan; an unmarked verdict is not lost."""

import json
import os
import shlex
import signal
import subprocess
import sys

import pytest

from gate.records.artifact import ModelRef
from gate.records.errors import RegistryError
from gate.registries.mlflow_rights import TRIAL_TAG
from tests.e2e.command import ROOT, Desk
from tests.promotion.accounts import PASSWORD

pytestmark = pytest.mark.story

POLICY = """
version: 1
name: bytes alone
detectors:
  unsafe-pickle: {}
"""


@pytest.fixture
def desk(server, tmp_path):
    """Return a desk with a policy that looks at bytes alone, and the gate's account."""
    (tmp_path / "policy.yml").write_text(POLICY)
    return Desk(tmp_path, server.variables() | {"GATE_POLICY": "policy.yml"})


def tags_of(server, name):
    """Return the tags of a candidate's first version."""
    with server.account("admin") as client:
        return dict(client.get_model_version(name, "1").tags)


def run_line(desk, line):
    """Run a printed command in the desk's shell, where `gate` is this one; return exit code and standard error."""
    folder = desk.folder / "bin"
    folder.mkdir(exist_ok=True)
    (folder / "gate").write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m gate "$@"\n')
    (folder / "gate").chmod(0o755)
    environment = {
        **{name: value for name, value in desk.variables.items() if name.startswith("MLFLOW_TRACKING_")},
        "PATH": f"{folder}:{os.environ['PATH']}",
        "HOME": str(desk.folder),
        "PYTHONPATH": str(ROOT),
    }
    del environment["MLFLOW_TRACKING_URI"]  # the line says where
    ended = subprocess.run(
        line, shell=True, cwd=desk.folder, env=environment, capture_output=True, text=True, check=False
    )
    return ended.returncode, ended.stderr


def test_a_missing_right_is_said_before_anything_is_pulled(server, desk):
    """READ: exit 3 with whom to ask for what, no tag at all, and a report that says why; looking is still allowed."""
    name = server.candidate("read", name="readable")
    ended = desk.gate("check", f"models:/{name}/1", **server.variables("ann"))
    assert ended.code == 3, ended
    assert ended.stdout == ""
    assert len(ended.errors) == 1
    assert "may not mark models:/readable/1" in ended.errors[0]
    assert "403" in ended.errors[0]
    assert "EDIT" in ended.stderr
    assert "pulling" not in ended.stderr
    assert tags_of(server, name) == {}
    assert "may not mark" in (desk.out / "report.md").read_text()


def test_who_may_mark_leaves_no_trace_of_the_try(server):
    """By the server's word where it has one."""
    name = server.candidate("tried")
    ref = ModelRef(registry="mlflow", name=name, version="1")
    with server.registry() as registry:
        registry.require_marking(ref)
    assert tags_of(server, name) == {}


def test_without_a_word_of_the_server_a_tag_tells(server, monkeypatch):
    """A server of another kind is tried; one that lets set a tag and not delete it bears one that decides nothing."""
    monkeypatch.setattr("gate.registries.mlflow_rights.current_user", lambda _ask: None)
    name = server.candidate("asked")
    ref = ModelRef(registry="mlflow", name=name, version="1")
    with server.registry("ann") as registry, pytest.raises(RegistryError, match="may not mark"):
        registry.require_marking(ref)
    assert tags_of(server, name) == {}
    with server.registry() as registry:
        registry.require_marking(ref)
    assert set(tags_of(server, name)) <= {TRIAL_TAG}
    with server.registry("admin") as registry:
        registry.require_marking(ref)
    assert tags_of(server, name) == {}


def test_an_experiment_of_somebody_else_is_noticed_before_the_scan(server, desk):
    """Reports could not be kept there; another experiment can be named."""
    name = server.candidate("elsewhere")
    with server.account("trainer") as client:
        client.create_experiment("the trainer's own")
    ended = desk.gate("check", f"models:/{name}/1", "--experiment", "the trainer's own")
    assert ended.code == 3, ended
    assert "may not keep reports" in ended.errors[0]
    assert "--experiment" in ended.stderr
    assert tags_of(server, name) == {}


def revoked(server, name):
    """Take the gate's right to mark a model away."""
    with server.account("admin"):
        server.auth().revoke_user_permission("gate", "registered_model", name)


def test_a_verdict_that_could_not_be_marked_is_published_later_by_the_printed_command(server, desk):
    """The right is taken away during the scan: the verdict is shown whole, and one line publishes it, however often."""
    name = server.candidate("later")
    running = desk.start(
        *("check", f"models:/{name}/1", "--tracking-uri", server.uri, "--report-dir", "the report's"),
        MLFLOW_TRACKING_URI=None,
    ).until("scanning")
    running.process.send_signal(signal.SIGSTOP)
    revoked(server, name)
    ended = running.end(signal.SIGCONT)
    folder = desk.folder / "the report's"
    assert ended.code == 3, ended
    assert ended.text.startswith("FLAGGED, but not marked (")
    assert "403" in ended.text
    assert f"models:/{name}/1" in ended.text
    assert "the verdict is not published" in ended.errors[0]
    assert tags_of(server, name) == {}
    report = json.loads((folder / "report.json").read_text())
    assert report["verdict"]["decision"] == "flagged"
    assert "could not finish" not in (folder / "report.html").read_text().lower()

    (line,) = (line for line in ended.stdout.splitlines() if line.startswith("publish  "))
    command = line.removeprefix("publish  ")
    assert command.startswith('gate publish "the report\'s"') or "the report" in command
    assert server.uri in command
    assert PASSWORD not in ended.stdout + ended.stderr
    code, said = run_line(desk, command)
    assert code == 3, said
    assert tags_of(server, name) == {}
    server.grant("gate", "registered_model", name, "EDIT")
    code, said = run_line(desk, command)
    assert code == 1, said
    marked = tags_of(server, name)
    assert (marked["gate.decision"], marked["gate.attestation"]) == ("flagged", "unsigned")
    assert marked["gate.report"].startswith("runs:/")
    assert (run_line(desk, command)[0], tags_of(server, name)) == (1, marked)
