"""The publish step's signature: what it says, where it is written first, and what it refuses."""

import datetime as dt

import pytest

from gate.attestations.envelope import open_envelope, sign
from gate.attestations.keys import generate_key
from gate.attestations.log import ReviewLog, Said
from gate.attestations.reviewing import reviewed
from gate.attestations.statement import Voice
from gate.check.files import CheckFiles
from gate.check.publish import attest
from gate.check.signing import Signing
from gate.records.errors import UsageError
from gate.records.evidence import Evidence
from gate.records.finding import Decision
from gate.records.policy import Policy
from gate.records.report import Report
from gate.records.samples_evidence import SamplesEvidence
from gate.records.verdict import Verdict
from tests.attestations.signed import MODEL, digest, statement

EVIDENCE = Evidence(
    gate_version="0",
    model=MODEL,
    manifest_digest=digest("a"),
    assurance="A",
    isolation="full",
    device="cpu",
    seed=0,
    samples=SamplesEvidence(source="clean.npz", sha256=64 * "d", count=9, classes_present=3, accuracy=1.0),
    outcomes={},
)
VERDICT = Verdict(
    decision=Decision.APPROVED,
    findings=(),
    calibrated=False,
    model_digest=digest("a"),
    evidence_digest=EVIDENCE.digest,
    policy_name="default",
    policy_digest=digest("b"),
)


LATELY = dt.datetime.now(dt.UTC).replace(hour=12, minute=0, second=0, microsecond=0) - dt.timedelta(days=1)
"""Yesterday at noon: the policy's days are not over, whenever this runs."""


def decided(at):
    """Return the two dates of a statement."""
    return {"decided_at": at, "expires_at": at + dt.timedelta(days=30)}


def report(checked_at):
    """Return the report of the verdict."""
    policy = Policy(version=1, detectors={"unsafe-pickle": {}}, valid_days=10)
    uri = str(MODEL)
    return Report(
        gate_version="0", checked_at=checked_at, uri=uri, model=MODEL, policy=policy, evidence=EVIDENCE, verdict=VERDICT
    )


@pytest.fixture
def signing(tmp_path):
    """Return a key and a log."""
    return Signing(generate_key(tmp_path / "k.pem", tmp_path / "k.pub.pem"), ReviewLog(tmp_path / "log.jsonl"))


def test_the_decision_is_signed_logged_and_written(tmp_path, signing):
    """The statement binds evidence, policy and samples for the policy's days; publishing twice logs once."""
    files = CheckFiles.create(tmp_path / "out")
    made = [attest(files, EVIDENCE, VERDICT, report(f"{LATELY:%Y-%m-%dT%H:%M:%SZ}"), signing) for _ in range(2)]
    assert made[0] == made[1] == (files.root / "attestation.json").read_text().strip()
    said = open_envelope(made[0], [signing.key.public]).statement.predicate
    assert (said.evidence_digest, said.samples_digest) == (EVIDENCE.digest, digest("d"))
    assert said.expires_at - said.decided_at == dt.timedelta(days=10)
    assert [entry.outcome for entry in signing.log.read().entries] == ["approved"]


def test_without_a_key_the_verdict_is_unsigned(tmp_path, signing):
    """The word says so, and an attestation of an earlier time does not stay beside the new verdict."""
    files = CheckFiles.create(tmp_path / "out")
    attest(files, EVIDENCE, VERDICT, report(f"{LATELY:%Y-%m-%dT%H:%M:%SZ}"), signing)
    assert attest(files, EVIDENCE, VERDICT, report(f"{LATELY:%Y-%m-%dT%H:%M:%SZ}"), None) == "unsigned"
    assert not (files.root / "attestation.json").exists()


def test_a_check_from_the_future_is_not_signed(tmp_path, signing):
    """A date ahead of the clock would lengthen the decision's life; nothing is signed, logged or written."""
    files = CheckFiles.create(tmp_path / "out")
    with pytest.raises(UsageError, match="dated in the future"):
        attest(files, EVIDENCE, VERDICT, report("2999-01-01T00:00:00Z"), signing)
    assert not signing.log.path.exists()
    assert not (files.root / "attestation.json").exists()


def test_a_rejection_of_the_same_bytes_stays_in_a_new_check(tmp_path, signing):
    """Of another version or an earlier check: signed flagged, with the reviewer's words, and logged once."""
    at = LATELY - dt.timedelta(days=1)
    other = statement(decision=Decision.FLAGGED, model=MODEL.model_copy(update={"version": "6"}), **decided(at))
    voice = Voice(reviewer="bob", outcome="rejected", reason="a planted patch", at=at)
    no = sign(reviewed(other, voice, needed=1, days=30, most=120), signing.key)
    signing.log.append(Said("review", other.predicate.model, digest("a"), "rejected", no, "bob", voice.reason), at)
    files = CheckFiles.create(tmp_path / "out")
    made = [attest(files, EVIDENCE, VERDICT, report(f"{LATELY:%Y-%m-%dT%H:%M:%SZ}"), signing) for _ in range(2)]
    said = open_envelope(made[1], [signing.key.public]).statement.predicate
    assert (said.decision, said.review.voices) == (Decision.FLAGGED, (voice,))
    assert said.decided_at == said.scan_time == LATELY
    assert [entry.outcome for entry in signing.log.read().entries] == ["rejected", "flagged"]


def test_a_decision_that_came_meanwhile_is_not_replaced(tmp_path, signing):
    """The log is asked again while nobody else can write to it."""
    files, later = CheckFiles.create(tmp_path / "out"), LATELY + dt.timedelta(hours=1)
    newer = sign(statement(decision=Decision.FLAGGED, **decided(later)), signing.key)
    signing.log.append(Said("scan", MODEL, digest("a"), "flagged", newer), later)
    with pytest.raises(UsageError, match="later signed decision"):
        attest(files, EVIDENCE, VERDICT, report(f"{LATELY:%Y-%m-%dT%H:%M:%SZ}"), signing)
    assert len(signing.log.read().entries) == 1
    assert not (files.root / "attestation.json").exists()
