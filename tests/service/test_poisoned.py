"""A model that the gate itself fails at, or dies of: begun a bounded number of times, flagged, and in nobody's way."""

import time

import pytest

from tests.service.serving import Gate, created
from tests.service.standing_registry import FolderRegistry

UNDECIDED = {"gate.attestation": "unsigned", "gate.decision": "flagged"}


def _decided(registry, ref):
    return len(registry.facts(ref).tags.get("gate.attestation", "")) > 100


@pytest.mark.story
def test_a_check_that_fails_within_the_gate_is_begun_three_times_and_then_flagged_for_good(tmp_path):
    """The others are decided meanwhile, and no later poll begins the failed one again."""
    registry = FolderRegistry(tmp_path / "registry")
    poisoned = registry.add("cand", 1, "makes the scan fail")
    others = [registry.add("cand", version, f"model {version}") for version in (2, 3)]
    gate = Gate(tmp_path / "gate", str(registry.root), poll=0.5, variables={"GATE_TEST_NO_WORKER": "0"})
    gate.prepare().start()
    try:
        assert gate.send(created(1))[0] == 200
        gate.wait_for(lambda: registry.facts(poisoned).tags == UNDECIDED)
        gate.wait_for(lambda: all(_decided(registry, ref) for ref in others))
        polls = gate.get("/metrics")[1].count("gate_poll")
        assert polls
        time.sleep(3)  # some polls, each of which sees a version without a signed decision
        assert gate.said().count("a stand-in for what no worker's jail holds back") >= 3
        assert gate.said().count('"a step failed"') == 3
        assert 'gate_checks_total{outcome="failed"} 1.0' in gate.get("/metrics")[1]
        assert gate.decisions() == {"2": 1, "3": 1}
    finally:
        gate.kill()


@pytest.mark.slow
def test_a_check_that_takes_the_process_down_is_given_up_and_the_others_are_done(tmp_path):
    """A supervisor starts the service again each time; in the end the version is flagged and the process lives."""
    registry = FolderRegistry(tmp_path / "registry")
    poisoned = registry.add("cand", 1, "takes the process down")
    others = [registry.add("cand", version, f"model {version}") for version in (2, 3)]
    gate = Gate(tmp_path / "gate", str(registry.root), poll=1.0, variables={"GATE_TEST_NO_WORKER": "0"})
    gate.prepare()
    deaths, until = 0, time.monotonic() + 900
    try:
        gate.launch()
        while registry.facts(poisoned).tags != UNDECIDED or not all(_decided(registry, ref) for ref in others):
            assert time.monotonic() < until, gate.said()[-3000:]
            if gate.process.poll() is not None:
                deaths += 1
                gate.launch()
            time.sleep(0.2)
        assert deaths == 11  # begun once, and taken up again ten times
        assert gate.process.poll() is None
        assert gate.decisions() == {"2": 1, "3": 1}
    finally:
        gate.kill()
