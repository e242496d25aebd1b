"""The commitment before a scan: signed and logged first, kept where a scan goes on, and believed by its signature."""

import datetime as dt

import pytest

from gate.attestations.auditing import audit
from gate.attestations.commitment import CommitmentStatement, Committed, open_commitment
from gate.attestations.envelope import open_envelope
from gate.attestations.keys import generate_key
from gate.attestations.log import ReviewLog
from gate.check.base_model import evidence_of_base
from gate.check.commit import commit, commitment_of
from gate.check.files import COMMITMENT, CheckFiles, Pulled, PulledSamples
from gate.check.signing import Signing
from gate.records.adapters import Base
from gate.records.artifact import ArtifactFile, Manifest, ModelRef
from tests.attestations.scanned import RULES, evidence
from tests.attestations.signed import MODEL, NOW

EMPTY = Manifest(files=())
SAMPLES = PulledSamples(name="clean.npz", source="clean.npz", sha256=64 * "d", overridden=False)
PULLED = Pulled(gate_version="0", uri="models:/cand/7", model=MODEL, digest=EMPTY.digest, files=(), samples=SAMPLES)


@pytest.fixture
def signing(tmp_path):
    """Return a key and a log."""
    return Signing(generate_key(tmp_path / "k.pem", tmp_path / "k.pub.pem"), ReviewLog(tmp_path / "log.jsonl"))


@pytest.fixture
def files(tmp_path):
    """Return a check's directory."""
    return CheckFiles.create(tmp_path / "out")


def scanned(**changes):
    """Return evidence that was measured just now, of the bytes that were pulled."""
    later = dt.datetime.now(dt.UTC) + dt.timedelta(seconds=1)
    return evidence(**({"manifest_digest": EMPTY.digest, "begun_at": later} | changes))


def test_a_commitment_is_signed_logged_and_found_again(files, signing):
    """It names policy, bytes and samples; the decision can say when it was made and on which line it stands."""
    commit(files, PULLED, RULES, signing, seed=0)
    (line,) = signing.log.read().entries
    assert (line.event, line.outcome, line.digest) == ("commitment", RULES.digest, EMPTY.digest)
    made = open_commitment((files.root / COMMITMENT).read_text(), (signing.key.public,))
    assert (made.policy_digest, made.samples_digest) == (RULES.digest, f"sha256:{64 * 'd'}")
    found = commitment_of(files, scanned(), signing)
    assert (found.policy_digest, found.log_line) == (RULES.digest, 1)
    assert found.before_the_scan
    assert audit(signing.log, [signing.key.public]).faults == ()


def test_a_commitment_is_no_decision(files, signing):
    """As an attestation it approves nothing, and the log's newest decision is never one."""
    commit(files, PULLED, RULES, signing)
    opened = open_envelope((files.root / COMMITMENT).read_text(), [signing.key.public])
    assert opened.statement is None
    assert not opened.holds
    assert signing.log.newest(MODEL, EMPTY.digest) is None


def test_without_a_key_an_earlier_checks_commitment_does_not_stay(files, signing):
    """An unsigned check may not borrow it."""
    commit(files, PULLED, RULES, signing)
    commit(files, PULLED, RULES, None)
    assert not (files.root / COMMITMENT).exists()
    assert commitment_of(files, scanned(), signing) is None


def test_an_interrupted_scan_keeps_its_commitment_where_it_binds_the_same(files, signing):
    """The same policy: the first time counts. Another: a new one, which says that measurements lay there."""
    commit(files, PULLED, RULES, signing)
    first = (files.root / COMMITMENT).read_text()
    (files.root / "unfinished.json").write_text("{}")
    commit(files, PULLED, RULES, signing)
    assert (files.root / COMMITMENT).read_text() == first
    assert len(signing.log.read().entries) == 1
    other = RULES.model_copy(update={"level": 0.01})
    commit(files, PULLED, other, signing)
    found = commitment_of(files, scanned(), signing)
    assert (found.policy_digest, found.resumed, found.log_line) == (other.digest, True, 2)
    assert not found.before_the_scan


def test_an_adapters_commitment_binds_its_base(files, signing):
    """Evidence that was measured beside another base, or beside none, was not committed to."""
    ref = ModelRef(registry="mlflow", name="base", version="1")
    file = ArtifactFile(path="model.safetensors", size_bytes=1, sha256=64 * "e")
    base = Base(uri="models:/base/1", model=ref, files=(file,))
    commit(files, PULLED.model_copy(update={"base": base}), RULES, signing)
    made = open_commitment((files.root / COMMITMENT).read_text(), (signing.key.public,))
    assert made.base_digest == base.manifest.digest
    assert commitment_of(files, scanned(base=evidence_of_base(base)), signing) is not None
    assert commitment_of(files, scanned(), signing) is None
    other = evidence_of_base(base.model_copy(update={"files": (file.model_copy(update={"sha256": 64 * "f"}),)}))
    assert commitment_of(files, scanned(base=other), signing) is None


@pytest.mark.parametrize(
    "changes",
    [
        {"manifest_digest": f"sha256:{64 * '9'}"},
        {"begun_at": None},
        {"seed": 5},
        {"samples": evidence().samples.model_copy(update={"sha256": 64 * "9"})},
    ],
)
def test_a_commitment_about_something_else_is_none(changes, files, signing):
    """Other bytes, samples or seed than the evidence has, or evidence that does not say when it was measured."""
    commit(files, PULLED, RULES, signing, seed=0)
    assert commitment_of(files, scanned(**changes), signing) is None


def test_a_commitment_of_another_key_or_of_no_sense_is_none(tmp_path, files, signing):
    """Whoever may write into the directory cannot date a policy back."""
    stranger = Signing(generate_key(tmp_path / "s.pem", tmp_path / "s.pub.pem"))
    commit(files, PULLED, RULES, stranger)
    assert commitment_of(files, scanned(), signing) is None
    for text in ("", "{}", "[1]", "\x00"):
        files.write(COMMITMENT, text)
        assert commitment_of(files, scanned(), signing) is None


def test_a_line_that_says_other_than_its_commitment_is_a_fault(files, signing, tmp_path):
    """The audit holds the words of a line against what was signed."""
    commit(files, PULLED, RULES, signing)
    entry = signing.log.read().entries[0]
    forged = entry.model_copy(update={"outcome": f"sha256:{64 * '0'}"})
    other = tmp_path / "other.jsonl"
    other.write_bytes(forged.canonical_json() + b"\n")
    (fault,) = audit(ReviewLog(other), [signing.key.public]).faults
    assert "its signed commitment" in fault


def test_subject_and_predicate_of_a_commitment_agree():
    """A tool that reads one of them sees the bytes of the other."""
    made = Committed(
        model=MODEL,
        model_digest=EMPTY.digest,
        policy_name="small",
        policy_digest=RULES.digest,
        committed_at=NOW,
    )
    said = CommitmentStatement.of(made).model_dump(by_alias=True)
    said["subject"][0]["digest"]["sha256"] = 64 * "0"
    with pytest.raises(ValueError, match="different bytes"):
        CommitmentStatement.model_validate(said)
