"""A model that the gate itself fails at, or dies of: begun a bounded number of times, flagged, and in nobody's way."""

import time

import pytest

from gate import VERSION
from tests.service.serving import Gate, created
from tests.service.standing_registry import FolderRegistry

TOKEN = {"GATE_METRICS_TOKEN": "a-token"}
UNDECIDED = {"gate.attestation": "unsigned", "gate.decision": "flagged"}


def _decided(registry, ref):
    return len(registry.facts(ref).tags.get("gate.attestation", "")) > 100


def _counted(gate):
    """Hold the metrics of the running service against what became of the three versions; only the token opens them."""
    assert gate.get("/metrics")[0] == gate.get("/metrics", {"Authorization": "Bearer another"})[0] == 401
    status, text = gate.get("/metrics", {"Authorization": "Bearer a-token"})
    assert status == 200
    for line in (
        'gate_checks_total{outcome="failed"} 1.0',
        'gate_check_retries_total{kind="failed"} 2.0',
        'gate_step_failures_total{kind="failed",step="scan"} 1.0',
        'gate_verdicts_total{decision="flagged",policy="bytes"} 2.0',
        'gate_verdict_reasons_total{kind="silence",policy="bytes",rule="unsafe-pickle"} 2.0',
        'gate_detector_outcomes_total{detector="unsafe-pickle",status="absent"} 2.0',
        'gate_queue_depth{queue="checks",state="queued"} 0.0',
        f'gate_build_info{{version="{VERSION}"}} 1.0',
    ):
        assert line in text.splitlines(), text


@pytest.mark.story
def test_a_check_that_fails_within_the_gate_is_begun_three_times_and_then_flagged_for_good(tmp_path):
    """The others are decided meanwhile, and no later poll begins the failed one again."""
    registry = FolderRegistry(tmp_path / "registry")
    poisoned = registry.add("cand", 1, "makes the scan fail")
    others = [registry.add("cand", version, f"model {version}") for version in (2, 3)]
    gate = Gate(tmp_path / "gate", str(registry.root), poll=0.5, variables={"GATE_TEST_NO_WORKER": "0", **TOKEN})
    gate.prepare().start()
    try:
        assert gate.send(created(1))[0] == 200
        gate.wait_for(lambda: registry.facts(poisoned).tags == UNDECIDED)
        gate.wait_for(lambda: all(_decided(registry, ref) for ref in others))
        time.sleep(3)  # some polls, each of which sees a version without a signed decision
        assert gate.said().count("a stand-in for what no worker's jail holds back") >= 3
        assert gate.said().count('"a step failed"') == 3
        _counted(gate)
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
