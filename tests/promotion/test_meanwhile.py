"""What another reviewer says while a command works counts, and so does what was said of the same bytes before."""

import datetime as dt

import pytest

from gate.attestations.auditing import audit
from gate.attestations.envelope import sign
from gate.attestations.keys import generate_key
from gate.attestations.log import ReviewLog, Said
from gate.check.signing import Signing
from gate.promotion.promote import NotApprovedError, Promotion, promote
from gate.promotion.review import DecisionChangedError, NotReviewableError, Review, review
from gate.promotion.verification import Trust, now, verify_version
from gate.promotion.waiting import look
from gate.records.artifact import ModelRef, build_manifest
from gate.records.errors import UsageError
from gate.records.finding import Decision
from gate.records.policy import DownloadBounds, Policy
from gate.records.provenance import Provenance
from tests.attestations.rewriting import rewritten
from tests.attestations.signed import digest, statement
from tests.promotion.promoting import PromotingRegistry


class Stage:
    """A registry, a key, a log and a policy with two reviewers."""

    def __init__(self, folder):
        self.registry, self.log = PromotingRegistry(folder / "registry"), ReviewLog(folder / "log.jsonl")
        self.key = generate_key(folder / "k.pem", folder / "k.pub.pem")
        self.policy = self.of("ann", "bob")
        bundle = folder / "bundle"
        bundle.mkdir()
        provenance = Provenance(made_by="gate 0", origin="pickle", parent=digest("d"))
        (bundle / "provenance.json").write_bytes(provenance.pretty_json().encode())
        self.bundle = build_manifest(bundle)[0].digest
        self.registry.keep_bundle(bundle, self.bundle)

    @staticmethod
    def of(*names):
        """Return the policy with these reviewers."""
        return Policy(
            version=1, detectors={"unsafe-pickle": {}}, reviewers={"names": list(names), "identity": "stated"}
        )

    def scanned(self, number, decision=Decision.FLAGGED, text="bytes"):
        """Add a version with its signed and logged scan."""
        ref = self.registry.add("cand", number, text)
        files = build_manifest(self.registry.root / "cand" / str(number) / "model")[0].digest
        at = now()
        said = statement(
            model=ref,
            model_digest=files,
            bundle_digest=self.bundle,
            covers="candidate",
            decision=decision,
            policy_digest=self.policy.digest,
            decided_at=at,
            expires_at=at + dt.timedelta(days=30),
        )
        envelope = sign(said, self.key)
        self.log.append(Said("scan", ref, files, decision.value, envelope), at)
        self.registry.mark(ref, {"gate.attestation": envelope, "gate.decision": decision.value})
        return ref

    def says(self, who, outcome, number=1, **changes):
        """Let a reviewer decide."""
        asked = {"days": 30, "policy": self.policy, "keys": (self.key.public,), "stated": who} | changes
        request = Review(f"models:/cand/{number}", outcome, "why", **asked)
        return review(self.registry, request, Signing(self.key, self.log), now()).statement.predicate

    def trust(self, **changes):
        """Return what a promotion believes."""
        return Trust(
            **{"keys": (self.key.public,), "policy_digest": self.policy.digest, "log": self.log} | changes,
            download=DownloadBounds(),
        )

    def promote(self, number=1):
        """Promote a version."""
        request = Promotion(f"models:/cand/{number}", "prod", "champion", self.trust())
        return promote(self.registry, request, now(), lambda _line: None)

    def events(self):
        """Return the log's lines in short."""
        return [(entry.event, entry.who, entry.outcome) for entry in self.log.read().entries]


@pytest.fixture
def stage(tmp_path):
    """Return a stage with one flagged version."""
    made = Stage(tmp_path)
    made.scanned(1)
    return made


def test_a_rejection_while_an_approval_hashes_the_model_is_not_overruled(stage):
    """The approval is refused, nothing of it is logged, and its reviewer decides anew with the rejection in sight."""
    stage.registry.meanwhile["pull"] = lambda: stage.says("bob", "rejected")
    with pytest.raises(NotReviewableError, match="newer decision about these bytes: rejected"):
        stage.says("ann", "approved")
    assert stage.events() == [("scan", "", "flagged"), ("review", "bob", "rejected")]
    assert stage.registry.facts(stage.registry.resolve("models:/cand/1")).tags["gate.decision"] == "flagged"
    assert stage.says("ann", "approved").review.outcome == "rejected"


@pytest.mark.parametrize("step", ["fetch", "create_version"])
def test_a_rejection_while_a_promotion_works_leaves_the_alias(stage, step):
    """Of this version or of another one with these bytes: the log is asked again directly before the alias is set."""
    assert stage.says("ann", "approved").decision is Decision.APPROVED
    stage.scanned(2)
    for number, said in ((2, "bob rejected these bytes"), (1, "newer decision about these bytes")):
        stage.registry.meanwhile[step] = lambda number=number: stage.says("bob", "rejected", number)
        with pytest.raises(NotApprovedError, match=said):
            stage.promote()
        assert stage.registry.alias("prod", "champion") is None
        stage.says("bob", "approved", number)
    stage.registry.mark(stage.registry.resolve("models:/cand/1"), {"gate.decision": "approved"})
    assert stage.promote().version == ModelRef(registry="mlflow", name="prod", version="3")
    assert audit(stage.log, (stage.key.public,)).faults == ()


def test_the_same_bytes_under_another_number_stay_rejected(stage):
    """One reviewer alone cannot approve them, and a clean scan of them is not promoted."""
    stage.says("bob", "rejected")
    stage.scanned(2)
    again = stage.says("ann", "approved", 2)
    assert (again.decision, [v.reviewer for v in again.review.voices]) == (Decision.FLAGGED, ["bob", "ann"])
    stage.scanned(3, Decision.APPROVED)
    with pytest.raises(NotApprovedError, match="bob rejected these bytes"):
        stage.promote(3)
    looked = verify_version(stage.registry, "models:/cand/3", stage.trust(), now())
    assert "nobody has taken it back" in looked.verified.reasons[-1]
    assert verify_version(stage.registry, "models:/cand/3", stage.trust(log=None), now()).holds
    assert stage.says("bob", "approved", 2).decision is Decision.APPROVED
    assert stage.promote(3).version.name == "prod"


def test_a_rejection_of_somebody_who_left_is_lifted_by_name(stage):
    """Not while the policy names them, not one that is not there, and not by a rejection."""
    stage.says("bob", "rejected")
    stage.scanned(2)
    with pytest.raises(UsageError, match="nobody else takes that back"):
        stage.says("ann", "approved", 2, lifts=("bob",))
    with pytest.raises(UsageError, match="no rejection of these bytes by 'eve'"):
        stage.says("ann", "approved", 2, lifts=("eve",))
    with pytest.raises(UsageError, match="takes no other back"):
        stage.says("ann", "rejected", 2, lifts=("bob",))
    stage.policy = stage.of("ann", "carl")
    stage.scanned(3)
    said = stage.says("ann", "approved", 3, lifts=("bob",))
    assert (said.decision, said.review.voices[-1].lifts) == (Decision.APPROVED, ("bob",))
    assert stage.promote(3).version.name == "prod"


def test_a_rejection_that_was_taken_out_of_the_log_stops_a_promotion(stage):
    """The chain is hashed anew without it; a decision that was signed later was signed after another line."""
    stage.says("ann", "approved")
    approved = stage.registry.facts(stage.registry.resolve("models:/cand/1")).tags
    stage.says("bob", "rejected")
    head = stage.log.read().head
    stage.scanned(2, text="others")
    stage.says("ann", "approved", 2)
    kept = [entry for entry in stage.log.read().entries if entry.who != "bob"]
    rewritten(stage.log, kept)
    stage.registry.mark(stage.registry.resolve("models:/cand/1"), approved)
    with pytest.raises(NotApprovedError, match="The review log was changed"):
        stage.promote()
    with pytest.raises(NotReviewableError, match="one is missing or changed"):
        stage.says("ann", "approved")
    rewritten(stage.log, kept[:2])  # and its end cut off
    assert verify_version(stage.registry, "models:/cand/1", stage.trust(), now()).holds
    looked = verify_version(stage.registry, "models:/cand/1", stage.trust(head=head), now())
    assert [reason for reason in looked.verified.reasons if "its end was cut off" in reason]


def test_another_log_is_no_way_to_forget(stage, tmp_path):
    """What was signed beside a log is reviewed beside it; a scan that knew none enters the new one."""
    stage.says("bob", "rejected")
    stage.log = ReviewLog(tmp_path / "other.jsonl")
    with pytest.raises(NotReviewableError, match="knows no decision about these bytes"):
        stage.says("ann", "approved")
    unlogged = stage.scanned(2)
    stage.log.path.unlink()
    assert stage.says("ann", "approved", 2).model == unlogged
    assert stage.events() == [("scan", "", "flagged"), ("review", "ann", "approved")]


def test_a_decision_other_than_the_one_that_was_looked_at_is_not_signed(stage):
    """By the digest that `gate review show` prints; without one, whichever stands is decided about."""
    shown = look(stage.registry, "models:/cand/1", ()).digest
    assert stage.says("ann", "rejected", shown=shown).review.outcome == "rejected"
    before = stage.events()
    with pytest.raises(DecisionChangedError, match=f"has changed since you looked: expected {shown}, got sha256:"):
        stage.says("ann", "approved", shown=shown)
    assert stage.events() == before
    assert stage.says("ann", "approved").decision is Decision.APPROVED
