"""From a signed check to production and a re-scan there, with real scans on an embedded registry."""

import json
from dataclasses import dataclass

from tests.e2e.stories import story


@dataclass
class Signed:
    """A signed check and what followed it."""

    checked: object
    promoted: object
    verified: object
    offline: object
    again: object
    stricter: object
    tags: dict
    out: object


def signed(world):
    """Make keys, check, promote, verify, and scan production again by the same and by a stricter policy."""
    store = world.embedded
    name = store.register("clean")
    policy = world.policy()
    desk = world.desk_here(
        MLFLOW_TRACKING_URI=store.uri,
        GATE_POLICY=policy,
        GATE_SIGNING_KEY="gate.pem",
        GATE_PUBLIC_KEY="gate.pub.pem",
        GATE_AUDIT_LOG="reviews.jsonl",
    )
    assert desk.gate("keys", "generate", "--to", "gate.pem").code == 0
    checked = desk.gate("check", f"models:/{name}/1")
    attestation = desk.out / "attestation.json"
    folder = store.model_folder("clean")
    to = f"prod-{name}"
    again = ("rescan", "--registered-model", to, "--report-dir", "again")
    return Signed(
        checked=checked,
        promoted=desk.gate("promote", f"models:/{name}/1", "--to", to),
        verified=desk.gate("verify", f"models:/{to}@champion", "--candidate", name),
        offline=desk.gate("verify", folder, "--attestation", attestation, GATE_AUDIT_LOG=None),
        again=desk.gate(*again),
        stricter=desk.gate(*again, GATE_POLICY=world.policy(uncalibrated="flag")),
        tags=store.tags(name),
        out=desk.out,
    )


STORY = story(signed)


@STORY
def test_a_signed_check_leaves_its_attestation(told):
    """The envelope lies in the report directory and in the tag, and standard error names the key."""
    assert told.checked.code == 0, told.checked
    assert "gate: the verdict is signed by key " in told.checked.stderr
    text = (told.out / "attestation.json").read_text().strip()
    assert told.tags["gate.attestation"] == text
    assert json.loads(text)["payloadType"] == "application/vnd.in-toto+json"


@STORY
def test_it_is_promoted_and_verified_online_and_offline(told):
    """Production's alias and the folder as it was logged hold, each with exit 0."""
    assert (told.promoted.code, told.promoted.stdout[:8]) == (0, "PROMOTED"), told.promoted
    assert (told.verified.code, told.verified.stdout[:8]) == (0, "VERIFIED"), told.verified
    assert (told.offline.code, told.offline.stdout[:8]) == (0, "VERIFIED"), told.offline


@STORY
def test_production_is_scanned_again(told):
    """By the same policy it is still approved; by one that flags uncalibrated verdicts exit 1, the policy being why."""
    assert (told.again.code, told.again.stdout[:14]) == (0, "STILL APPROVED"), told.again
    assert (told.stricter.code, told.stricter.stdout[:16]) == (1, "WOULD BE FLAGGED"), told.stricter
    assert "would be flagged by today's policy too" in told.stricter.stdout
