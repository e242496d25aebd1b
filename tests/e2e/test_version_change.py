"""A first version, promoted, and the next one beside it: found by the alias, and known by its signature."""

import json
from dataclasses import dataclass

from tests.e2e.stores import Store, fill
from tests.e2e.stories import story


@dataclass
class Followed:
    """Two checks, and their evidence and reports."""

    first: dict
    promoted: object
    second: dict
    report: str
    name: str
    tags: tuple


def followed(world):
    """Check and promote a version, then check the next one of the same model, trained on poisoned data."""
    folder = world.folder / "following"
    folder.mkdir()
    uri = f"sqlite:///{folder / 'mlflow.db'}"
    store = Store(uri, folder, fill(uri, folder, "clean", "backdoored"))
    name = store.register("clean")
    desk = world.desk_here(
        MLFLOW_TRACKING_URI=store.uri,
        GATE_SIGNING_KEY="gate.pem",
        GATE_PUBLIC_KEY="gate.pub.pem",
        GATE_PROMOTE_TO=f"prod-{name}",
    )
    assert desk.gate("keys", "generate", "--to", "gate.pem").code == 0
    checked = desk.gate("check", f"models:/{name}/1")
    assert checked.code == 0, checked
    first = json.loads((desk.out / "evidence.json").read_text())
    promoted = desk.gate("promote", f"models:/{name}/1")
    before = store.tags(f"prod-{name}")
    store.register_next(name, "backdoored")
    assert desk.gate("check", f"models:/{name}/2").code == 1
    return Followed(
        first=first,
        promoted=promoted,
        second=json.loads((desk.out / "evidence.json").read_text()),
        report=(desk.out / "report.md").read_text(),
        name=name,
        tags=(before, store.tags(f"prod-{name}")),
    )


STORY = story(followed)


@STORY
def test_nothing_serves_before_the_first_promotion(told):
    """The first version is approved as ever; that it was compared with nothing is a skip with the reason."""
    why = f"nothing serves yet: models:/prod-{told.name}@champion names no version"
    assert told.first["previous"]["why"] == why
    assert told.first["outcomes"]["version-change"]["reason"] == f"needs a version to compare with; {why}"
    assert told.promoted.code == 0, told.promoted


@STORY
def test_the_next_version_is_compared_with_what_serves(told):
    """The gate's own bundle in production, by the signature over its bytes; the numbers stand in the evidence."""
    (version,) = told.second["previous"]["versions"]
    assert version["uri"] == f"models:/prod-{told.name}/1"
    assert (version["serves"], version["approved"], version["why"]) == (True, "signature", "")
    assert version["digest"] == told.tags[0]["gate.bundle_digest"]
    outcome = told.second["outcomes"]["version-change"]
    assert outcome["status"] == "measured", outcome
    metrics = {one["metric"] for one in outcome["measurements"]}
    assert {"spectrum-distance", "first-share", "head-change", "new-answers", "disagreement", "probe-gain"} <= metrics
    assert "earlier-first-share" not in metrics


@STORY
def test_the_report_says_what_changed_and_on_what_ground_the_other_is_called_approved(told):
    """A section of its own, with the key."""
    assert "### What changed since the version that serves" in told.report
    assert f"models:/prod-{told.name}/1" in told.report
    (row,) = (line for line in told.report.splitlines() if "fixed probes gained" in line)
    assert "of other classes' samples there, " in row
    assert "approved by the signature of key " in told.report


@STORY
def test_what_serves_is_left_as_it_was(told):
    """No tag of production is touched."""
    assert told.tags[0] == told.tags[1]


@STORY
def test_the_signed_decision_on_the_version_before_is_told(told):
    """As it was signed with the first check, by limits and so without a score; the first version had none before it."""
    assert told.first["history"]["decisions"] == []
    (before,) = told.second["history"]["decisions"]
    assert (before["version"], before["decision"], before["by"]) == ("1", "approved", "limits")
    assert "score" not in before
    assert "### Beside the versions before it" in told.report
    assert "This version has no score: limits judged. Earlier versions have 1 signed decision." in told.report
    (row,) = (line for line in told.report.splitlines() if line.startswith("| 1 | approved | – | – | "))
    assert row.endswith(" | limits judged |")
