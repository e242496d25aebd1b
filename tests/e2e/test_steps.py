"""The four steps one by one, with nothing but files between them."""

import json
from dataclasses import dataclass

from tests.e2e.digits import TARGET
from tests.e2e.stories import story


@dataclass
class Steps:
    """The four steps' outcomes in order, and the tags at the end."""

    pulled: object
    scanned: object
    judged: object
    published: object
    before: dict
    tags: dict
    desk: object


def step_by_step(world):
    """Pull, scan without any registry's address, judge, publish."""
    store = world.server
    name, desk = store.register("backdoored"), world.desk()
    pulled = desk.gate("pull", f"models:/{name}/1", "--to", desk.out, MLFLOW_TRACKING_URI=store.uri)
    scanned = desk.gate("scan", desk.out, GATE_SAMPLES=None)
    judged = desk.gate("judge", desk.out)
    before = store.tags(name)
    published = desk.gate("publish", desk.out, MLFLOW_TRACKING_URI=store.uri)
    return Steps(pulled, scanned, judged, published, before, store.tags(name), desk)


STORY = story(step_by_step)


@STORY
def test_four_steps_end_like_one(told):
    """Pull and scan exit 0, judge and publish exit 1 for a backdoored version, and its tags are those of a check."""
    assert [told.pulled.code, told.scanned.code, told.judged.code, told.published.code] == [0, 0, 1, 1], told
    assert f"target class: {TARGET}\n" in told.judged.stdout
    assert told.before == {}
    assert len(told.tags) == 10
    assert told.tags["gate.decision"] == "flagged"


@STORY
def test_the_steps_leave_the_files_that_the_next_ones_read(told):
    """Manifest, evidence and verdict name the same model by the same digest."""
    read = {
        name: json.loads((told.desk.out / f"{name}.json").read_text()) for name in ("manifest", "evidence", "verdict")
    }
    assert read["manifest"]["digest"] == read["evidence"]["manifest_digest"] == read["verdict"]["model_digest"]
    assert read["manifest"]["samples"]["name"] == "clean.npz"
    assert read["evidence"]["samples"]["count"] == 400


@STORY
def test_each_step_says_what_it_did(told):
    """One line on standard error ends each step, and no step says an error."""
    assert "gate: pulled models:/backdoored-" in told.pulled.stderr
    assert "gate: scanned models:/backdoored-" in told.scanned.stderr
    assert "gate: marked models:/backdoored-" in told.published.stderr
    assert [step.errors for step in (told.pulled, told.scanned, told.judged, told.published)] == [[]] * 4


@STORY
def test_what_does_not_belong_together_is_not_published(told, world, tmp_path):
    """A verdict edited to approved is refused with exit 2, and the version keeps its mark."""
    forged = json.loads((told.desk.out / "verdict.json").read_text()) | {"decision": "approved", "findings": []}
    folder = tmp_path / "forged"
    folder.mkdir()
    for path in told.desk.out.glob("*.*"):
        (folder / path.name).write_bytes(path.read_bytes())
    (folder / "verdict.json").write_text(json.dumps(forged))
    ended = told.desk.gate("publish", folder, MLFLOW_TRACKING_URI=world.server.uri)
    assert ended.code == 2, ended
    assert "do not belong together; nothing was marked" in ended.errors[0]
    name = json.loads((folder / "evidence.json").read_text())["model"]["name"]
    assert world.server.tags(name) == told.tags
