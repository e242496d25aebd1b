"""Two services on one PostgreSQL database: one is killed, and the other finishes its work."""

import shutil
import time

import pytest

from tests.service.postgres import binaries, database
from tests.service.serving import Gate, created
from tests.service.standing_registry import FolderRegistry


@pytest.mark.slow
@pytest.mark.skipif(binaries() is None, reason="PostgreSQL's server (Debian: postgresql) is not installed")
def test_the_work_of_a_killed_host_is_finished_by_the_other(tmp_path):
    """Each has its own scratch; the review log is shared; the work in hand and in the queue is done by who is left."""
    registry = FolderRegistry(tmp_path / "registry")
    refs = [registry.add("cand", version, f"model {version}") for version in range(1, 7)]
    with database(tmp_path) as address:
        variables = {"GATE_DATABASE_URL": address, "GATE_TEST_NO_WORKER": "3"}
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
