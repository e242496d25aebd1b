"""Models of several outputs, saved as MLflow saves them and given to `gate check`: every one is examined or named."""

import json
import os
import subprocess
import sys
from dataclasses import dataclass

from tests.e2e.command import PATIENCE, ROOT
from tests.e2e.stories import story


@dataclass
class Checked:
    """What the command said, and the files that it left."""

    ended: object
    evidence: dict
    report: str


def checked(world, kind):
    """Save a model and check the folder."""
    desk = world.desk_here()
    subprocess.run(
        [sys.executable, "-m", "tests.e2e.saving", kind, desk.folder / "model"],
        cwd=ROOT,
        env={**os.environ, "MLFLOW_DISABLE_TELEMETRY": "true", "PYTHONDONTWRITEBYTECODE": "1"},
        check=True,
        capture_output=True,
        timeout=PATIENCE,
    )
    ended = desk.gate("check", desk.folder / "model", "--no-mark")
    evidence = json.loads((desk.out / "evidence.json").read_text())
    return Checked(ended, evidence, (desk.out / "report.md").read_text())


@story(checked, "clean_beside_planted")
def test_a_backdoored_output_beside_a_clean_one_is_flagged(told):
    """One of them is judged, the other is named, and report and evidence say which."""
    assert told.ended.code == 1
    roles = {output["name"]: output["role"] for output in told.evidence["facts"]["outputs"]}
    assert sorted(roles.values()) == ["judged", "not-examined"]
    judged, other = sorted(roles, key=lambda name: roles[name] != "judged")
    assert f"The output '{other}' (10 a sample, float32) was not examined: '{judged}' was judged" in told.ended.text
    assert f"judged the output '{judged}', one of 2" in told.ended.text
    assert "2 outputs:" in told.report


@story(checked, "with_probabilities")
def test_scores_with_their_softmax_and_choice_are_approved(told):
    """All three give one decision, which was examined."""
    assert told.ended.code == 0, told.ended.stdout
    roles = [output["role"] for output in told.evidence["facts"]["outputs"]]
    assert roles == ["judged", "same-decision", "same-decision"]


@story(checked, "in_a_foreign_container")
def test_a_foreign_container_is_flagged_with_the_remedy(told):
    """The message names the class, and what to log instead."""
    assert told.ended.code == 1
    assert "the model returns a hub.outputs.ImageClassifierOutput, which other loaders import" in told.ended.text
    assert "returns its class scores as one tensor, such as model(x).logits" in told.ended.text
