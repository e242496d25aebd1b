"""A fleet over a real MLflow store, whose worker and whose run are killed with -9, and which is resumed."""

import json
import os
import signal
import time
from contextlib import suppress

import pytest

from gate.attestations.keys import generate_key
from tests.e2e.command import PATIENCE
from tests.promotion.fleets import HOSTILE, Calls, FleetStore, desk_of, scans

pytestmark = pytest.mark.story
LONG = 1800
"""Seconds after which a run on a busy machine is given up."""


def _until(what):
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until:
        with suppress(OSError, ValueError, IndexError, StopIteration):
            if found := what():
                return found
        time.sleep(0.1)
    raise AssertionError("it never came")


def _running(fleet, but=0):
    """Return the process of a worker that has begun a task, another than `but`."""
    for path in fleet.glob("tasks/*/attempts.json"):
        last = json.loads(path.read_text())["made"][-1]
        if not last["ended"] and last["process"] != but:
            return last["process"]
    return None


def _ended(desk, *command, **signs):
    """Run a command to its end, however slow a busy machine makes it."""
    running = desk.start(*command, **signs)
    running.process.wait(LONG)
    return running.end()


def _alive(process):
    with suppress(OSError):
        os.kill(process, 0)
        return True
    return False


def test_two_kills_decide_nothing_twice_and_lose_nothing(tmp_path, zoo_model, zoo_samples):
    """Five versions of four contents, two of them real networks: one scan of each content, one decision a version."""
    store = FleetStore(tmp_path / "store")
    clean, backdoored = (zoo_model(name).write_folder(tmp_path / name) for name in ("clean", "badnets"))
    uris = store.register(
        ("credit", clean, "champion"), ("credit", backdoored), (HOSTILE, clean), ("pickled", Calls()), ("other", 1)
    )
    key, log = generate_key(tmp_path / "k.pem", tmp_path / "k.pub.pem"), tmp_path / "log.jsonl"
    desk = desk_of(tmp_path / "desk", store, GATE_SAMPLES=zoo_samples)
    planned = desk.gate("fleet", "plan", "out")
    assert planned.code == 0, planned.stderr
    assert "5 versions" in planned.stdout
    fleet = desk.folder / "out"
    plan = json.loads((fleet / "plan.json").read_text())
    assert sorted(len(task["versions"]) for task in plan["tasks"]) == [1, 1, 1, 2]

    command = ("fleet", "run", "out", "--workers", "2", "--mark")
    signs = {"GATE_SIGNING_KEY": tmp_path / "k.pem", "GATE_AUDIT_LOG": log}
    first = desk.start(*command, **signs)
    worker = _until(lambda: _running(fleet))
    os.kill(worker, signal.SIGKILL)
    first.until("was killed by SIGKILL, and is started again")
    other = _until(lambda: _running(fleet, worker))
    os.kill(first.process.pid, signal.SIGKILL)
    assert first.end().code == -signal.SIGKILL
    _until(lambda: not _alive(other))

    second = _ended(desk, *command, **signs)
    assert second.code == 1, second.stdout + second.stderr
    assert scans(log, key) == dict.fromkeys(uris, 1)
    decisions = {uri: store.tags(uri)["gate.decision"] for uri in uris}
    approved = {uri for uri, decision in decisions.items() if decision == "approved"}
    assert approved == {uris[0], uris[1], uris[2]}  # the policy of this test looks at bytes alone
    assert {path.name for path in (fleet / "tmp").iterdir()} == set()
    assert not list(fleet.glob("tasks/*/work"))

    third = _ended(desk, *command, **signs)
    assert (third.code, scans(log, key)) == (1, dict.fromkeys(uris, 1))
    shown = desk.gate("fleet", "report", "out")
    assert shown.code == 1
    assert max(map(len, shown.stdout.splitlines())) <= 80
    page = (fleet / "report.html").read_text()
    assert "<img" not in page
    assert "<script" not in page
    assert json.loads((fleet / "status.json").read_text())["counts"] == {"approved": 2, "flagged": 2}
