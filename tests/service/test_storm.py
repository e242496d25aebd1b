"""Storms of webhooks, kills and outages: nothing is lost, nothing is done twice, nothing forged is believed."""

import random
import time
import uuid
from contextlib import suppress

import pytest

from tests.service.serving import Gate, created
from tests.service.standing_registry import FolderRegistry


def _storm(folder, number, kills, seconds):
    """Send so many webhooks, a tenth each forged, stale and repeated, kill the receiver meanwhile, and look at all."""
    registry = FolderRegistry(folder / "registry")
    genuine = [registry.add("cand", version, f"model {version}") for version in range(1, number * 7 // 10 + 1)]
    for version in range(1, number // 10 + 1):
        registry.add("other", version, "never queued")
    gate = Gate(folder / "gate", str(registry.root), poll=1.0, variables={"GATE_TEST_NO_WORKER": "0.02"})
    gate.prepare().start()
    try:
        answers = _send_all(gate, number, kills, genuine)
        gate.wait_for(lambda: len(gate.decisions()) >= len(genuine), seconds)
        _require_exact(gate, registry, genuine, answers)
    finally:
        gate.kill()


def _send_all(gate, number, kills, genuine):
    """Return the kind of each webhook and the status that it was answered with."""
    kinds = [("genuine", ref.version) for ref in genuine]
    for kind in ("forged", "stale", "again"):
        kinds += [(kind, str(version + 1)) for version in range(number // 10)]
    random.Random(8).shuffle(kinds)  # the storm's order
    deliveries = {ref.version: str(uuid.uuid4()) for ref in genuine}
    answers = []
    at = [len(kinds) * (n + 1) // (kills + 1) for n in range(kills)]
    for index, (kind, version) in enumerate(kinds):
        if index in at:
            gate.kill()
            gate.start()
        for _ in range(200):
            with suppress(OSError):
                answers.append((kind, _send(gate, kind, version, deliveries)))
                break
            time.sleep(0.1)
    return answers


def _send(gate, kind, version, deliveries):
    if kind == "forged":
        return gate.send(created(version), secret="another secret")[0]
    if kind == "stale":
        return gate.send(created(version), at=time.time() - 4000)[0]
    return gate.send(created(version), delivery=deliveries[version])[0]


def _require_exact(gate, registry, genuine, answers):
    assert gate.decisions() == {ref.version: 1 for ref in genuine}
    assert {status for kind, status in answers if kind in {"forged", "stale"}} == {401}
    assert {status for kind, status in answers if kind in {"genuine", "again"}} == {200}
    assert all(len(registry.facts(ref).tags["gate.attestation"]) > 100 for ref in genuine)


@pytest.mark.story
def test_sixty_webhooks_and_a_kill_leave_one_signed_decision_for_each_version(tmp_path):
    """The smaller storm: forged, stale and repeated deliveries among sixty, the receiver killed once."""
    _storm(tmp_path, 60, 1, seconds=120)


@pytest.mark.slow
def test_a_thousand_webhooks_and_five_kills_leave_one_signed_decision_for_each_version(tmp_path):
    """The whole storm: a tenth each forged, stale and repeated, the receiver killed five times."""
    _storm(tmp_path, 1000, 5, seconds=1800)


@pytest.mark.slow
def test_an_outage_of_the_registry_marks_nothing_wrongly_and_everything_is_done_afterwards(tmp_path):
    """Down, erroneous, slow, and gone in mid-job: no version is marked meanwhile, and each is decided once after it."""
    registry = FolderRegistry(tmp_path / "registry")
    refs = [registry.add("cand", version, f"model {version}") for version in range(1, 5)]
    gate = Gate(tmp_path / "gate", str(registry.root), poll=1.0, variables={"GATE_TEST_NO_WORKER": "3"})
    gate.prepare().start()
    weather = registry.root / "weather"
    try:
        for said in ("unreachable", "answering 500"):
            weather.write_text(said)
            for ref in refs:
                assert gate.send(created(ref.version))[0] == 200
            time.sleep(5)
            assert gate.get("/health")[0] == 200
        approved = [ref for ref in refs if _tag(registry, ref) == "approved"]
        assert approved == []
        weather.write_text("slow")
        time.sleep(2)
        weather.unlink()
        gate.wait_for(lambda: len(gate.decisions()) == len(refs), 120)
        gate.wait_for(lambda: all(_tag(registry, ref) == "flagged" for ref in refs), 60)
        assert gate.decisions() == {ref.version: 1 for ref in refs}
    finally:
        gate.kill()


def _tag(registry, ref):
    import json

    path = registry.root / ref.name / ref.version / "tags.json"
    return json.loads(path.read_text()).get("gate.decision") if path.exists() else None
