"""The operator's typo after a signed approval, and Ctrl-C: neither changes anything about the version."""

import signal

import pytest

pytestmark = pytest.mark.story


def test_an_operators_mistake_or_a_broken_scan_leaves_a_signed_approval(world):
    """The tags are the same to the letter, what stands is said, and the version verifies as before."""
    store = world.embedded
    name = store.register("clean")
    desk = world.desk(MLFLOW_TRACKING_URI=store.uri, GATE_SIGNING_KEY="gate.pem", GATE_PUBLIC_KEY="gate.pub.pem")
    assert desk.gate("keys", "generate", "--to", "gate.pem").code == 0
    checked = desk.gate("check", f"models:/{name}/1")
    assert checked.code == 0, checked
    before = store.tags(name)
    assert before["gate.decision"] == "approved"

    typo = desk.gate("check", f"models:/{name}/1", "--report-dir", "/proc/x", GATE_SIGNING_KEY=None)
    assert typo.code == 2, typo
    assert store.tags(name) == before

    long = {"GATE_POLICY": world.policy("long"), "GATE_SIGNING_KEY": None, "GATE_REPORT_DIR": "other"}
    broken = desk.start("check", f"models:/{name}/1", **long).until("maximum-margin").end(signal.SIGINT)
    assert broken.code == 130, broken
    assert f"models:/{name}/1 keeps its signed decision: approved" in broken.stderr
    assert store.tags(name) == before

    verified = desk.gate("verify", f"models:/{name}/1")
    assert (verified.code, verified.stdout[:8]) == (0, "VERIFIED"), verified
