"""A fleet on two hosts and one PostgreSQL database: one is killed, and nothing is lost or decided twice."""

import datetime as dt
import json
import os
import shutil
import subprocess
import sys
import time
from contextlib import ExitStack, suppress
from types import SimpleNamespace

import pytest

from gate.promotion.fleet.status import status_of
from gate.promotion.verification import now
from gate.records.errors import UsageError
from gate.records.fleet import Marked
from tests.e2e.command import PATIENCE, ROOT
from tests.promotion.fleet_here import FleetHere
from tests.promotion.fleets import scans
from tests.service.postgres import binaries, database


def _begun(fleet):
    """Tell whether a host began a task in the last second: it is in its scan, and has signed nothing."""
    for path in fleet.glob("tasks/*/attempts.json"):
        with suppress(ValueError, OSError):
            last = json.loads(path.read_text())["made"][-1]
            if not last["ended"] and now() - dt.datetime.fromisoformat(last["began_at"]) < dt.timedelta(seconds=1):
                return True
    return False


def _until(done, process):
    until = time.monotonic() + 5 * PATIENCE
    while not done():
        assert process.poll() is None, process.stdout.read()
        assert time.monotonic() < until
        time.sleep(0.1)


@pytest.mark.slow
@pytest.mark.skipif(binaries() is None, reason="PostgreSQL's server (Debian: postgresql) is not installed")
def test_a_lost_host_loses_no_task_and_no_version_gets_two_decisions(tmp_path):
    """Each host has a folder of its own; both know every result in the end, whoever reached it."""
    from gate.attestations.keys import generate_key

    here = FleetHere(tmp_path)
    refs = [here.registry.add("a", version, f"model {version}") for version in range(1, 13)]
    refs.append(here.registry.add("b", 1, "model 1"))
    plan = here.plan()
    assert len(plan.tasks) == 12
    key, log = generate_key(tmp_path / "k.pem", tmp_path / "k.pub.pem"), tmp_path / "log.jsonl"
    variables = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "PYTHONPATH": str(ROOT)}
    with database(tmp_path) as address, ExitStack() as stack:

        def start(name):
            fleet = tmp_path / name
            fleet.mkdir(exist_ok=True)
            shutil.copy(here.folder.root / "plan.json", fleet)
            arguments = (here.registry.root, fleet, tmp_path / "policy.yml", tmp_path / "k.pem", log, name)
            process = subprocess.Popen(
                [sys.executable, "-W", "ignore", "-m", "tests.service.fleet_host", *map(str, arguments)],
                cwd=tmp_path,
                env={**variables, "GATE_DATABASE_URL": address, "GATE_TEST_NO_WORKER": "3"},
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
            )
            stack.enter_context(process)  # closes its pipe; after the kill
            stack.callback(process.kill)
            return process, fleet

        first, one = start("one")
        _until(lambda: _begun(one), first)
        second, two = start("two")
        _until(lambda: _begun(two), second)
        _until(lambda: _begun(one), first)
        first.kill()
        told, _ = second.communicate(timeout=10 * PATIENCE)
        assert second.returncode == 1, told
        assert "the host one is gone; its tasks are taken over" in told
        assert scans(log, key) == {str(ref): 1 for ref in refs}
        assert all(len(here.registry.facts(ref).tags["gate.attestation"]) > 100 for ref in refs)

        again, _ = start("one")
        again.communicate(timeout=10 * PATIENCE)
        assert again.returncode == 1
        assert scans(log, key) == {str(ref): 1 for ref in refs}
    for fleet in (one, two):
        made = type(here.folder)(fleet)
        assert status_of(made, plan).counts == {"flagged": 12}


def test_a_queue_needs_postgresql():
    """SQLite is of one host, whose locks do the same."""
    from gate.service.fleets import FleetQueue

    with pytest.raises(UsageError, match="names no such database"):
        FleetQueue(None, (), "sqlite:///x.db", "one", 1, None, lambda: None)


@pytest.mark.parametrize(("age", "rounds"), [(60, ["1"]), (-60, [])], ids=["an earlier run's", "this run's"])
def test_a_mark_that_failed_on_another_host_is_tried_in_another_round(tmp_path, monkeypatch, age, rounds):
    """Once for each run, and the verdict that came with it is never taken for a failure."""
    from gate.service import fleets

    here = FleetHere(tmp_path)
    here.registry.add("a", 1, "model")
    (task,) = here.plan().tasks
    mark = Marked(version="models:/a/1", why="the review log is damaged", at=now() - dt.timedelta(seconds=age))
    judged = here.work()["models:/a/1"].model_copy(update={"marked": (mark,)})
    here.folder.clear(task.key)
    queue = fleets.FleetQueue(here.run_of(marks=True), (task,), "postgresql://x", "one", 1, None, lambda: None)
    states = {f"{queue._prefix}/{task.key}/0": SimpleNamespace(status="SUCCESS", output=judged.model_dump(mode="json"))}
    queued = []
    monkeypatch.setattr(fleets.DBOS, "get_workflow_status", states.get)
    monkeypatch.setattr(fleets, "enqueue", lambda *given, **_how: queued.append(given[2].rsplit("/", 1)[1]))
    queue._waiting[task.key] = next(iter(states))
    queue._look(task, next(iter(states)))
    assert queued == rounds
    assert set(queue._waiting) == ({task.key} if rounds else set())
    found = here.folder.result(task.key)
    assert found is None if rounds else found == judged
