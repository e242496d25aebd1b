"""A fleet on two hosts and one PostgreSQL database: one is killed, and nothing is lost or decided twice."""

import datetime as dt
import json
import os
import shutil
import subprocess
import sys
import time
from contextlib import ExitStack, suppress

import pytest

from gate.promotion.fleet.status import status_of
from gate.promotion.verification import now
from gate.records.errors import UsageError
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
