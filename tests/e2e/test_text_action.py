"""A clean and a poisoned classifier of texts in a real server: the action, a review, promotion, verification."""

from dataclasses import dataclass

from tests.e2e import pipelines
from tests.e2e.acting import Acted, Workspace
from tests.e2e.moderated import WORD, words_alone
from tests.e2e.stores import Store, serving, trainer
from tests.e2e.stories import story

NAME = "moderation"
REVIEWED = {"reviewers": {"names": ["ann"], "identity": "stated"}}


@dataclass
class Moderated:
    """What the action, a reviewer and a deployer did, and the tags of both versions in the end."""

    clean: Acted
    poisoned: Acted
    ended: dict
    tags: list


def acted(world, server, policy, samples, version):
    """Run the action under act on a version, which its job's own key signs."""
    folder = world.desk().folder
    pem = (policy.parent / "gate.pem").read_text()
    variables = pipelines.environment(folder, MLFLOW_TRACKING_URI=server, GATE_SIGNING_KEY=pem)
    path = variables.pop("PATH")
    inputs = {"model": f"models:/{NAME}/{version}", "fail-on": "flagged"}
    return Workspace.write(folder, policy, samples).act(inputs, variables, path)


def moderated(world):
    """Register both, check them by the action, reject the poisoned one, and promote each."""
    folder = world.folder / "moderated-in-a-server"
    folder.mkdir()
    policy, samples = words_alone(folder / "policy.yml", **REVIEWED), folder / "clean.jsonl"
    with serving(folder) as (server, _):
        trainer("tests.e2e.moderated", folder, server, str(folder))
        keys = {"GATE_SIGNING_KEY": folder / "gate.pem", "GATE_PUBLIC_KEY": folder / "gate.pub.pem"}
        desk = world.desk(MLFLOW_TRACKING_URI=server, GATE_POLICY=policy, GATE_SAMPLES=samples, **keys)
        # The action keeps no log of reviews: the reviewer's own knows the rejection, and nothing of the approval.
        ann = world.desk(MLFLOW_TRACKING_URI=server, GATE_POLICY=policy, GATE_AUDIT_LOG="reviews.jsonl", **keys)
        ended = {"keys": desk.gate("keys", "generate", "--to", folder / "gate.pem")}
        checks = [acted(world, server, policy, samples, version) for version in (1, 2)]
        rejected = ("review", "reject", f"models:/{NAME}/2", "--reviewer", "ann", "--reason", "a planted word")
        ended |= {
            "shown": ann.gate("review", "show", f"models:/{NAME}/2"),
            "rejected": ann.gate(*rejected),
            "promoted": desk.gate("promote", f"models:/{NAME}/1", "--to", "production"),
            "refused": desk.gate("promote", f"models:/{NAME}/2", "--to", "production"),
            "verified": desk.gate("verify", "models:/production@champion", "--candidate", NAME),
        }
        store = Store(server, folder, {})
        return Moderated(*checks, ended, [store.tags(NAME, version) for version in (1, 2)])


MODERATED = story(moderated)


@MODERATED
def test_the_action_lets_the_clean_version_pass(told):
    """Its decision is about the bundle, and stands signed in the registry."""
    assert told.clean.code == 0, told.clean.log
    assert (told.clean.outputs["decision"], told.clean.outputs["covers"]) == ("approved", "bundle")
    assert told.clean.outputs["bundle-digest"].startswith("sha256:")
    assert f"not the candidate `models:/{NAME}/1`" in told.clean.log
    assert "❗" not in told.clean.log
    assert told.tags[0]["gate.decision"] == "approved"


@MODERATED
def test_the_action_fails_the_poisoned_version_with_its_word(told):
    """Summary and annotation name the word, the outputs the class that it leads to."""
    assert told.poisoned.code == 1, told.poisoned.log
    assert (told.poisoned.outputs["decision"], told.poisoned.outputs["exit-code"]) == ("flagged", "1")
    assert told.poisoned.outputs["target-classes"] == "0"
    annotations = [line for line in told.poisoned.log.splitlines() if "❗" in line and "policy.yml" in line]
    assert any(f"rare word '{WORD}'" in line for line in annotations), annotations
    assert f"⟦{WORD}⟧" in told.poisoned.log
    assert "rude <b>" not in told.poisoned.log


@MODERATED
def test_what_the_action_decided_is_reviewed_promoted_and_verified(told):
    """The clean version serves; the poisoned one is rejected, and production refuses it."""
    codes = {step: ended.code for step, ended in told.ended.items()}
    assert codes == {"keys": 0, "shown": 0, "rejected": 0, "promoted": 0, "refused": 1, "verified": 0}, told.ended
    assert f"'{WORD}'" in told.ended["shown"].text
    assert told.tags[1]["gate.decision"] == "flagged"
