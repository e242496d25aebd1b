"""What a reviewed decision leaves for other tools: a verification summary and a signature of its own, and where."""

import base64
import datetime as dt
import json

import pytest

from gate.attestations.envelope import envelope_digest, open_payload, sign
from gate.attestations.keys import generate_key
from gate.attestations.log import ReviewLog
from gate.attestations.model_signature import generate_model_key
from gate.check.signing import Signing
from gate.promotion.review import NotReviewableError, Review, review
from gate.promotion.verification import now
from gate.records.artifact import build_manifest
from gate.records.errors import RegistryError
from gate.records.finding import Decision
from gate.records.policy import Policy
from tests.attestations.signed import statement
from tests.service.standing_registry import FolderRegistry

POLICY = Policy(
    version=1,
    detectors={"unsafe-pickle": {}},
    reviewers={"names": ["ann", "bob"], "approvals": 1, "identity": "stated"},
)


class Desk:
    """A flagged version in a folder's registry, with a kept bundle, and both keys."""

    def __init__(self, folder, **changes):
        self.key = generate_key(folder / "k.pem", folder / "k.pub.pem")
        self.model_key = generate_model_key(folder / "m.pem", folder / "m.pub.pem")
        self.registry, self.log = FolderRegistry(folder / "registry"), ReviewLog(folder / "log.jsonl")
        self.ref = self.registry.add("cand", 1, "weights")
        bundle = folder / "bundle"
        bundle.mkdir()
        (bundle / "MLmodel").write_text("flavors: {}\n")
        kept = build_manifest(bundle)[0].digest
        self.registry.keep_bundle(bundle, kept)
        said = {
            "model": self.ref,
            "model_digest": build_manifest(self.registry.root / "cand" / "1" / "model")[0].digest,
            "bundle_digest": kept,
            "covers": "bundle",
            "decision": Decision.FLAGGED,
            "policy_digest": POLICY.digest,
            "decided_at": now(),
            "expires_at": now() + dt.timedelta(days=30),
        }
        self.registry.mark(self.ref, {"gate.attestation": sign(statement(**(said | changes)), self.key)})
        self.bundle = self.registry.root / "bundles" / kept[7:39]

    def review(self, outcome="approved", who="ann", policy=POLICY, **changes):
        """Let a reviewer decide."""
        asked = Review("models:/cand/1", outcome, "looked at it", 30, policy, (self.key.public,), stated=who)
        signing = Signing(self.key, self.log, changes.get("model_key", self.model_key))
        return review(self.registry, asked, signing, now())

    @property
    def tags(self):
        """The version's tags."""
        return self.registry.facts(self.ref).tags

    def summary(self, done):
        """Return the verification summary's statement, whose signature is good."""
        opened = open_payload(done.files["vsa.json"], [self.key.public])
        assert opened.reason == ""
        return json.loads(opened.payload)


@pytest.fixture
def desk(tmp_path):
    """Return a desk."""
    return Desk(tmp_path)


def test_an_approval_has_a_summary_and_a_signature_of_its_own(desk):
    """The summary passes, names the reviewed decision and the bundle alone; the signature is over its files."""
    done = desk.review()
    made = desk.summary(done)
    assert made["predicate"]["verificationResult"] == "PASSED"
    envelope = desk.tags["gate.attestation"]
    (named,) = made["predicate"]["inputAttestations"]
    assert named["digest"]["sha256"] == envelope_digest(envelope).removeprefix("sha256:")
    assert done.files["attestation.json"].strip() == envelope
    bundle = done.statement.predicate.bundle_digest.removeprefix("sha256:")
    assert [one["digest"]["sha256"] for one in made["subject"]] == [bundle]
    signature = json.loads(done.files["model.sig"])
    payload = json.loads(base64.b64decode(signature["dsseEnvelope"]["payload"]))
    assert [one["name"] for one in payload["predicate"]["resources"]] == ["MLmodel"]
    assert signature["verificationMaterial"]["publicKey"]["hint"] == desk.model_key.hint


def test_they_are_kept_in_the_registry_and_the_tag_names_the_place(desk):
    """A later review has a place of its own, and the tag names the newest."""
    first = desk.review("rejected", "bob")
    assert desk.tags["gate.review_evidence"] == first.where
    second = desk.review("rejected", "ann")
    assert desk.tags["gate.review_evidence"] == second.where != first.where
    kept = desk.registry.root / "runs" / second.where.split("/")[1]
    assert {path.name: path.read_text() for path in kept.iterdir()} == dict(second.files)


@pytest.mark.parametrize("outcome", ["rejected", "waiting"])
def test_what_is_not_approved_fails_and_is_not_signed(desk, tmp_path, outcome):
    """A rejection, and the first of two approvals, have a summary that fails and no signature over files."""
    two = Policy(
        version=1,
        detectors={"unsafe-pickle": {}},
        reviewers={"names": ["ann", "bob"], "approvals": 2, "identity": "stated"},
    )
    if outcome == "waiting":
        (tmp_path / "two").mkdir()
        desk = Desk(tmp_path / "two", policy_digest=two.digest)
        done = desk.review(policy=two)
        assert done.statement.predicate.review.outcome == "waiting"
    else:
        done = desk.review("rejected")
    assert "model.sig" not in done.files
    predicate = desk.summary(done)["predicate"]
    assert (predicate["verificationResult"], predicate["verifiedLevels"]) == ("FAILED", ["FAILED"])


def test_without_a_key_for_files_or_a_bundle_nothing_is_signed_over_files(desk, tmp_path):
    """The summary is made all the same."""
    assert set(desk.review(model_key=None).files) == {"attestation.json", "vsa.json"}
    (tmp_path / "two").mkdir()
    bare = Desk(tmp_path / "two", bundle_digest=None, covers="candidate", assurance="A")
    assert set(bare.review().files) == {"attestation.json", "vsa.json"}


def test_a_bundle_that_is_another_one_now_is_refused_before_anything_is_signed(desk):
    """Nobody signs bytes that were not measured; nothing is logged or marked."""
    (desk.bundle / "MLmodel").write_text("flavors: {other: {}}\n")
    before = desk.tags
    with pytest.raises(NotReviewableError, match="bytes are not those of the decision"):
        desk.review()
    assert desk.tags == before
    assert [entry.event for entry in desk.log.read().entries] == ["scan"]


def test_a_review_stands_where_its_files_could_not_be_kept(desk, monkeypatch):
    """It is signed, logged and marked; the tag says that there are none, and the problem is told."""

    def refuse(*_):
        raise RegistryError("the store is full")

    monkeypatch.setattr(desk.registry, "log_reports", refuse)
    done = desk.review()
    assert (done.where, "the store is full" in done.problem) == ("", True)
    assert desk.tags["gate.decision"] == "approved"
    assert desk.tags["gate.review_evidence"] == "none"
    assert set(done.files) == {"attestation.json", "vsa.json", "model.sig"}
