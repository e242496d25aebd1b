"""Two services on one PostgreSQL database: one is killed, and the other finishes its work."""

import os
import pwd
import shutil
import subprocess
import time
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.service.serving import Gate, created, free_port
from tests.service.standing_registry import FolderRegistry


def _binaries():
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    return found[-1].parent if found else None


def _user():
    """PostgreSQL refuses to run as root."""
    try:
        return "postgres" if os.geteuid() == 0 and pwd.getpwnam("postgres") else None
    except KeyError:
        return None


@contextmanager
def _database(folder):
    """Yield the address of a PostgreSQL server of its own."""
    binaries, port, user = _binaries(), free_port(), _user()
    where = Path(f"/tmp/gate-pg-{os.getpid()}")
    where.mkdir(mode=0o700)
    if user:
        shutil.chown(where, user)
    options = {"user": user, "cwd": "/", "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    try:
        subprocess.run(
            [binaries / "initdb", "-D", where / "data", "-A", "trust", "-U", "gate", "--no-sync"], check=True, **options
        )
        flags = f"-p {port} -h 127.0.0.1 -k {where} -F"
        subprocess.run([binaries / "pg_ctl", "-D", where / "data", "-o", flags, "-w", "start"], check=True, **options)
        yield f"postgresql://gate@127.0.0.1:{port}/postgres"
    finally:
        subprocess.run([binaries / "pg_ctl", "-D", where / "data", "-m", "immediate", "stop"], check=False, **options)
        shutil.rmtree(where, ignore_errors=True)


@pytest.mark.slow
@pytest.mark.skipif(_binaries() is None, reason="PostgreSQL's server (Debian: postgresql) is not installed")
def test_the_work_of_a_killed_host_is_finished_by_the_other(tmp_path):
    """Each has its own scratch; the review log is shared; the work in hand and in the queue is done by who is left."""
    registry = FolderRegistry(tmp_path / "registry")
    refs = [registry.add("cand", version, f"model {version}") for version in range(1, 7)]
    with _database(tmp_path) as database:
        variables = {"GATE_DATABASE_URL": database, "GATE_TEST_NO_WORKER": "3"}
        gates, key = [], None
        for name in ("a", "b"):
            top = f'executor = "{name}"\naudit-log = "{tmp_path / "reviews.jsonl"}"'
            gate = Gate(tmp_path / name, str(registry.root), poll=1.0, top=top, variables=variables, key=key)
            gates.append(gate.prepare())
            shutil.copy(tmp_path / "a" / "gate.pem", tmp_path / name / "gate.pem") if name == "b" else None
            key = gate.key
        first, second = (gate.start() for gate in gates)
        try:
            for ref in refs:
                assert first.send(created(ref.version))[0] == 200
            first.wait_for(lambda: "check begins" in first.said())
            first.kill()
            second.wait_for(lambda: all(_decided(registry, ref) for ref in refs))
            time.sleep(1)
            assert "taking over" in second.said()
        finally:
            for gate in gates:
                gate.kill()


def _decided(registry, ref):
    return len(registry.facts(ref).tags.get("gate.attestation", "")) > 100
