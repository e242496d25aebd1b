"""`gate remediate` as its users run it: a real server, real workers, a real method, and the scan that decides."""

import json
from dataclasses import dataclass

from tests.e2e.digits import TARGET
from tests.e2e.stories import story

METHOD = ("--method", "trigger-unlearning")


@dataclass
class Told:
    """What the commands came to."""

    checked: object
    repaired: object
    again: object
    judged: object
    untouched: bool
    tags: dict
    before: dict
    decided: dict
    folder: object


def repair_and_check(world):
    """Check a backdoored version, repair it twice, and check what was registered."""
    store = world.server
    name = store.register("backdoored")
    desk = world.desk(MLFLOW_TRACKING_URI=store.uri)
    checked = desk.gate("check", f"models:/{name}/1")
    before, marks = store.everything_else(name), store.tags(name)
    command = ("remediate", f"models:/{name}/1", "--from", desk.out, *METHOD)
    folder = desk.folder / "repair"
    repaired = desk.gate(*command, GATE_REPORT_DIR=folder)
    again = desk.gate(*command, GATE_REPORT_DIR=desk.folder / "again")
    untouched = (before, marks) == (store.everything_else(name), store.tags(name))
    tags = store.tags(name, 2)
    judged = desk.gate("check", f"models:/{name}/2", GATE_REPORT_DIR=desk.folder / "check-2")
    return Told(checked, repaired, again, judged, untouched, marks, tags, store.tags(name, 2), desk.folder)


STORY = story(repair_and_check)


@STORY
def test_a_flagged_version_becomes_a_repaired_candidate(told):
    """Flagged, repaired, registered without a decision; the original's bytes, facts and marks are what they were."""
    assert told.checked.code == 1, told.checked
    assert f"target class: {TARGET}\n" in told.checked.stdout
    assert told.repaired.code == 0, told.repaired
    assert "REPAIRED, and not approved" in told.repaired.stdout
    assert told.untouched
    assert told.tags["gate.decision"] == "flagged"
    assert set(told.before) == {"gate.parent", "gate.parent_digest", "gate.remediation", "gate.remediation_key"}
    assert told.before["gate.parent_digest"] == told.tags["gate.model_digest"]
    report = json.loads((told.folder / "repair" / "remediation.json").read_text())
    assert told.before["gate.parent"] == f"models:/{report['parent']['name']}/1"
    held = report["attempts"][-1]["result"]
    assert held["before"]["old_success"][f"class {TARGET}"] > 0.5
    assert held["after"]["old_success"][f"class {TARGET}"] <= 0.1
    assert (told.folder / "repair" / "remediation.html").read_text().count("data:image/png") >= 2


@STORY
def test_the_same_repair_finds_its_version(told):
    """A second run registers nothing and ends at once, without a worker."""
    assert told.again.code == 0, told.again
    assert "REPAIRED before" in told.again.stdout
    assert "attempt 1" not in told.again.stderr


@STORY
def test_only_the_scan_of_the_repaired_version_decides(told):
    """Its evidence holds the repair with attempts and seeds, and its tags the decision of that scan."""
    assert told.judged.code in (0, 1), told.judged
    evidence = json.loads((told.folder / "check-2" / "evidence.json").read_text())
    assert evidence["repair"]["attempts"] == 1
    assert evidence["repair"]["method"] == "trigger-unlearning"
    assert evidence["seed"] not in evidence["repair"]["seeds"]
    decision = {0: "approved", 1: "flagged"}[told.judged.code]
    assert told.decided["gate.decision"] == decision
    assert told.decided["gate.parent"] == told.before["gate.parent"]
    assert "was not loaded" not in told.judged.stdout
